/** A rotation in the plane of two vectors. */
export interface Rotation {
  readonly c: number;
  readonly s: number;
}

/** `x' = c x + s y` and `y' = c y - s x`, in place. */
export function rotate(x: number[], y: number[], { c, s }: Rotation): void {
  x.forEach((one, index) => {
    const other = y[index]!;
    x[index] = c * one + s * other;
    y[index] = c * other - s * one;
  });
}
