import { describe, expect, test } from "vitest";
import { cutBox, cutPartners, withBox } from "../../../src/features/views/cutmix.ts";
import type { ImageShape } from "../../../src/features/views/transformations.ts";

const shape: ImageShape = [20, 30, 3];
const view = (index: number) => ({ contentHash: String(index).padStart(64, "0"), view: 1, seed: 0 });
const size = shape[0] * shape[1] * shape[2];

describe("a box of another image", () => {
  test("lies inside the image, and what it leaves is its share of the area", () => {
    for (let index = 0; index < 50; index++) {
      const { rows, columns, kept } = cutBox(view(index), 1, shape);
      for (const [[low, high], length] of [
        [rows, shape[0]],
        [columns, shape[1]],
      ] as const) {
        expect(low).toBeGreaterThanOrEqual(0);
        expect(high).toBeLessThanOrEqual(length + 1e-9);
        expect(low).toBeLessThanOrEqual(high);
      }
      const area = ((rows[1] - rows[0]) * (columns[1] - columns[0])) / (shape[0] * shape[1]);
      expect(kept).toBeCloseTo(1 - area, 9);
    }
  });

  test("is pasted, and nothing else of the other image", () => {
    const image = new Float32Array(size).fill(1);
    const mixed = withBox(
      image,
      new Float32Array(size).fill(2),
      { rows: [2.5, 6], columns: [0, 3.5], kept: 0 },
      shape,
    );
    const inside = [...mixed].flatMap((value, at) => (value === 2 ? [Math.floor(at / 3)] : []));
    const pixels = [3, 4, 5].flatMap((row) => [0, 1, 2, 3].map((column) => row * 30 + column));
    expect([...new Set(inside)]).toEqual(pixels);
    expect(inside.length).toBe(pixels.length * 3);
    expect(image.every((value) => value === 1)).toBe(true);
  });

  test("is drawn from the content, the view and the seed", () => {
    expect(cutBox(view(1), 1, shape)).toEqual(cutBox(view(1), 1, shape));
    expect(cutBox(view(1), 1, shape)).not.toEqual(cutBox({ ...view(1), view: 2 }, 1, shape));
  });

  test("comes from each image once a view", () => {
    const paths = ["a", "b", "c", "d", "e"];
    const partners = cutPartners(paths, { seed: 0, view: 1 });
    expect([...partners.values()].sort()).toEqual(paths);
    expect([...cutPartners(paths, { seed: 0, view: 2 })]).not.toEqual([...partners]);
  });
});
