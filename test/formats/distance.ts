/** The largest difference, relative to the largest of the numbers expected where that is above 1. */
export function distance(values: ArrayLike<number>, expected: ArrayLike<number>): number {
  const largest = Array.from(expected).reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  const apart = Array.from(values, (value, index) => Math.abs(value - expected[index]!));
  return apart.reduce((most, value) => Math.max(most, value), 0) / largest;
}
