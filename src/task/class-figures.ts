/** How well one class, or one label, is told. */
export interface ClassFigures {
  readonly label: string;
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  /** Samples, or positions, that have it. */
  readonly support: number;
}
