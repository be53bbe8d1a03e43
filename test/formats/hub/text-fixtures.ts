/** The text classifiers of KerasHub in fixtures/hub-texts, with what KerasHub predicts. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Checkpoint } from "../../../src/checkpoint.ts";
import type { StringTensor, Tensor } from "../../../src/tensor.ts";
import { layerGraph } from "../../../src/topology/build-graph.ts";

export interface TextRecord {
  readonly class: string;
  readonly outputs: Readonly<Record<string, { shape: number[]; data: string }>>;
  readonly texts?: readonly string[];
  /** What `predict` of KerasHub says of the texts. */
  readonly scores?: { shape: number[]; data: string };
  /** The sum of how far one step of SGD moves each weight, by its path in KerasHub. */
  readonly moved?: Readonly<Record<string, number>>;
}

const fixtures = join(import.meta.dirname, "..", "..", "..", "fixtures", "hub-texts");

export function textPath(file: string): string {
  return join(fixtures, file);
}

/** Every record, by the name of its files. */
export const textRecords: readonly (readonly [string, TextRecord])[] = readdirSync(fixtures)
  .filter((name) => name.endsWith(".keras"))
  .map((file) => {
    const name = file.replace(".keras", "");
    return [name, JSON.parse(readFileSync(textPath(`${name}.json`), "utf8")) as TextRecord] as const;
  });

/** The token ids of fixtures/make/hub_texts.py. */
export function idsFor(checkpoint: Checkpoint): Record<string, Tensor> {
  const filled = (value: (index: number) => number): Tensor => ({
    dtype: "int32",
    shape: [2, 9],
    data: Int32Array.from({ length: 18 }, (_, index) => value(index)),
  });
  const all: Record<string, Tensor> = {
    token_ids: filled((index) => (index * 7) % 23),
    segment_ids: filled((index) => (index % 9 > 4 ? 1 : 0)),
    padding_mask: filled((index) => (index > 14 ? 0 : 1)),
  };
  const names = layerGraph(checkpoint).inputs.map(({ name }) => name);
  return Object.fromEntries(names.map((name) => [name, all[name]!]));
}

export function textTensor(given: readonly string[]): StringTensor {
  return { dtype: "string", shape: [given.length], data: [...given] };
}
