/** A point of a chart, x rising. */
export type ChartPoint = readonly [x: number, y: number];

/** Names a place on the x axis. */
export interface ChartMark {
  readonly x: number;
  /** One character. */
  readonly sign: string;
}

interface ChartSize {
  /** Columns of the whole chart. */
  readonly width: number;
  /** Lines of the plot, without the axis. */
  readonly height: number;
}

/** Columns that values on the y axis take. */
const margin = 9;

/**
 * Draws a curve with characters: a line of text for each line of the plot, then one with the marks and one with the values of x at
 * both ends. `text` writes a value of x, `valueText` one of y.
 */
export function lineChart(
  points: readonly ChartPoint[],
  marks: readonly ChartMark[],
  { width, height }: ChartSize,
  text: (x: number) => string,
  valueText: (y: number) => string,
): readonly string[] {
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const [bottom, top] = [Math.min(...ys), Math.max(...ys)];
  const columns = Math.max(10, width - margin - 3);
  const columnOf = (x: number): number => Math.round(((x - left) / (right - left || 1)) * (columns - 1));
  const rowOf = (y: number): number => Math.round(((top - y) / (top - bottom || 1)) * (height - 1));
  const rows = Array.from({ length: height }, () => Array.from({ length: columns }, () => " "));
  for (const [x, y] of points) {
    const row = rows[rowOf(y)];
    if (row) row[columnOf(x)] = "*";
  }
  const signs = Array.from({ length: columns }, () => "-");
  for (const { x, sign } of marks) signs[columnOf(x)] = sign;
  const [from, to] = [text(left), text(right)];
  return [
    ...rows.map((row, index) => {
      const isLabelled = index === 0 || index === height - 1 || index === Math.floor(height / 2);
      const value = top - (index / (height - 1)) * (top - bottom);
      return `${(isLabelled ? valueText(value) : "").padStart(margin)} | ${row.join("")}`.trimEnd();
    }),
    `${" ".repeat(margin)} +-${signs.join("")}`,
    `${" ".repeat(margin + 3)}${from}${to.padStart(columns - from.length)}`,
  ];
}
