import type { PngImage } from "../data/image-writing.ts";
import { drawnSvg } from "../data/image-writing.ts";
import { escaped } from "./html/markup.ts";

/** The sides of the drawn matrix in pixels, and of a cell. */
const matrixSide = 900;
const cellSides = { least: 4, most: 56 } as const;
/** Smaller cells have no room for their count, or for the label of their row. */
const leastWithCount = 22;
const leastWithLabel = 11;

/** Draws a confusion matrix, true classes down and predicted ones across; a cell is as dark as its share of the row. */
export function confusionImage(
  confusion: readonly (readonly number[])[],
  labels: readonly string[],
): Promise<PngImage> {
  const count = confusion.length;
  const side = Math.max(
    cellSides.least,
    Math.min(cellSides.most, Math.floor(matrixSide / Math.max(1, count))),
  );
  const hasLabels = side >= leastWithLabel;
  const longest = Math.max(...labels.map(({ length }) => length), 4);
  const margin = hasLabels ? Math.min(220, 20 + longest * 7) : 24;
  const size = margin + count * side + 12;
  const font = Math.min(12, side - 1);
  const at = (index: number): number => margin + index * side;
  const label = (index: number): string => escaped(labels[index] ?? String(index));
  const cells = confusion.flatMap((row, truth) => {
    const total = row.reduce((sum, value) => sum + value, 0);
    return row.map((value, predicted) => {
      const share = total === 0 ? 0 : value / total;
      const box = `<rect x="${at(predicted)}" y="${at(truth)}" width="${side}" height="${side}" fill="#0a58ca" fill-opacity="${share.toFixed(3)}" stroke="#d8dee4" stroke-width="0.5"/>`;
      if (side < leastWithCount || value === 0) return box;
      const color = share > 0.55 ? "#ffffff" : "#1b1f24";
      return `${box}<text x="${at(predicted) + side / 2}" y="${at(truth) + side / 2 + font / 3}" text-anchor="middle" font-size="${font}" fill="${color}">${value}</text>`;
    });
  });
  const names = hasLabels
    ? [...confusion.keys()].map((index) => {
        const middle = at(index) + side / 2;
        return `<text x="${margin - 6}" y="${middle + font / 3}" text-anchor="end" font-size="${font}">${label(index)}</text><text x="${middle + font / 3}" y="${margin - 6}" font-size="${font}" transform="rotate(-90 ${middle + font / 3} ${margin - 6})">${label(index)}</text>`;
      })
    : [];
  return drawnSvg(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${size}" height="${size}" font-family="sans-serif" fill="#1b1f24"><rect width="${size}" height="${size}" fill="#ffffff"/><text x="4" y="14" font-size="10" fill="#57606a">true \\ predicted</text>${cells.join("")}${names.join("")}</svg>`,
  );
}
