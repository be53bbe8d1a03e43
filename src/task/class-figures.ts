/** Precision, recall and F1 of one class or label. */
export interface ClassFigures {
  readonly label: string;
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  /** Samples, or positions, that have it. */
  readonly support: number;
}
