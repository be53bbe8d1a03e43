/** The models of KerasHub in fixtures/hub, with what KerasHub predicts. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Tensor } from "../../../src/tensor.ts";
import { elementCount, float32Tensor } from "../../../src/tensor.ts";

const folder = join(import.meta.dirname, "..", "..", "..", "fixtures", "hub");

interface Packed {
  readonly shape: number[];
  readonly data: string;
}

export interface HubRecord {
  readonly class: string;
  /** Shape of one image. */
  readonly shape: number[];
  readonly output: Packed;
  /** The first values of an image of pixels behind the model's preprocessor. */
  readonly prepared?: Packed;
  /** The same of a wide image, 40 x 61, and of a high one, 53 x 38. */
  readonly wide?: Packed;
  readonly high?: Packed;
  /** Norms of the gradients of the mean squared error to {@link targetsOf}, in ascending order. */
  readonly gradients?: number[];
  /** Losses of three steps of SGD with a rate of 0.01 on both images, of classes 0 and 3. */
  readonly losses?: number[];
}

/** Every record, by the name of its files. */
export function hubRecords(): readonly (readonly [string, HubRecord])[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .map((name) => [
      name.replace(".json", ""),
      JSON.parse(readFileSync(join(folder, name), "utf8")) as HubRecord,
    ]);
}

export function hubPath(file: string): string {
  return join(folder, file);
}

/** Returns a packed array, whose values are the first thousand alone. */
export function packedTensor({ shape, data }: Packed): Tensor {
  return {
    dtype: "float32",
    shape,
    data: new Float32Array(Uint8Array.from(Buffer.from(data, "base64")).buffer),
  };
}

/** Two images whose values follow from their positions, as in fixtures/make/hub.py. */
export function imagesOf(shape: readonly number[]): Tensor {
  const count = 2 * elementCount(shape);
  return float32Tensor(
    Float32Array.from({ length: count }, (_, index) => (((index * 7919) % 17) - 8) / 4),
    [2, ...shape],
  );
}

/** Targets whose values follow from their positions, as in fixtures/make/hub.py. */
export function targetsOf(shape: readonly number[]): Tensor {
  return float32Tensor(
    Float32Array.from({ length: elementCount(shape) }, (_, index) => ((index * 7) % 5) - 2),
    shape,
  );
}
