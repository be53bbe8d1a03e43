/** Situations that people ask about in public, rebuilt and answered by real Keras: fixtures/make/public_situations.py. */
import { readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { gunzipSync, inflateSync } from "node:zlib";
import type { PreprocessMode } from "../../src/checkpoint.ts";
import type { Split } from "../../src/data/dataset.ts";
import type { MetricValue } from "../../src/task/metrics/metric.ts";
import type { Tensor } from "../../src/tensor.ts";

interface Packed {
  readonly shape: number[];
  readonly dtype: "float32" | "int32";
  readonly base64: string;
}
type PackedAll = Packed | readonly Packed[];

export type Figures = Readonly<Record<string, MetricValue>>;

export interface PublicSituation {
  readonly name: string;
  /** Where people ask about it. */
  readonly source: string;
  readonly suffix: ".keras" | ".h5";
  readonly file: string;
  readonly action: "evaluate" | "train" | "fit";
  /** Name of a folder of images. */
  readonly photos: string | null;
  readonly masks: Readonly<Record<string, string>> | null;
  readonly table: string | null;
  readonly arrays: {
    readonly inputs: PackedAll;
    readonly targets: PackedAll;
    readonly weights: PackedAll | null;
  } | null;
  readonly classWeight: Readonly<Record<string, number>> | null;
  /** What the caller says beside the model and the data. */
  readonly says: {
    readonly x?: readonly string[];
    readonly targets?: readonly string[];
    readonly sampleWeight?: string;
    readonly split?: Split;
    readonly loss?: string;
    readonly metrics?: readonly string[];
    readonly preprocess?: PreprocessMode;
  };
  /** Figures of `evaluate`, or of two training steps; where Keras refuses, those of the loss that the targets are made for. */
  readonly answer: Figures | readonly Figures[] | null;
  /** The error that Keras raises. */
  readonly refused: string | null;
}

interface Recorded {
  readonly photos: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly situations: readonly PublicSituation[];
}

const path = new URL("../../fixtures/public-situations/keras-3.15.1.json.gz", import.meta.url);
const { photos, situations } = JSON.parse(gunzipSync(readFileSync(path)).toString()) as Recorded;
const dictionary = inflateSync(Buffer.from(situations[0]?.file ?? "", "base64")).subarray(-32768);

export const publicSituations = situations;

/** The paths of a situation's files; null where it has none. */
export interface SituationFiles {
  readonly model: string;
  readonly photos: string | null;
  readonly masks: string | null;
  readonly table: string | null;
}

/** Writes the files of a situation into a folder. */
export async function writeSituation(situation: PublicSituation, folder: string): Promise<SituationFiles> {
  const place = (name: string): string => join(folder, name);
  const model = place(`model${situation.suffix}`);
  const packed = Buffer.from(situation.file, "base64");
  await writeAt(model, inflateSync(packed, situation === situations[0] ? {} : { dictionary }));
  const images = situation.photos === null ? null : (photos[situation.photos] ?? null);
  for (const [root, files] of [
    ["photos", images],
    ["masks", situation.masks],
  ] as const) {
    for (const [name, bytes] of Object.entries(files ?? {}))
      await writeAt(join(place(root), name), Buffer.from(bytes, "base64"));
  }
  if (situation.table !== null) await writeAt(place("table.csv"), situation.table);
  return {
    model,
    photos: images && place("photos"),
    masks: situation.masks && place("masks"),
    table: situation.table === null ? null : place("table.csv"),
  };
}

async function writeAt(file: string, content: Uint8Array | string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
}

export function unpacked(packed: PackedAll): Tensor | Tensor[] {
  return "base64" in packed ? tensorOf(packed) : packed.map(tensorOf);
}

function tensorOf({ shape, dtype, base64 }: Packed): Tensor {
  const bytes = Uint8Array.from(Buffer.from(base64, "base64")).buffer;
  return { dtype, shape, data: dtype === "int32" ? new Int32Array(bytes) : new Float32Array(bytes) };
}

/** Returns the figures of Keras that are not ours, by the size of each where that is over 1. */
export function differences(got: Figures, expected: Figures): string[] {
  return Object.entries(expected).flatMap(([name, value]) => {
    const [wanted, found] = [[value].flat(), [got[name] ?? []].flat()];
    const isSame =
      wanted.length === found.length &&
      wanted.every(
        (each, index) => Math.abs(each - (found[index] ?? Number.NaN)) <= 2e-5 * Math.max(1, Math.abs(each)),
      );
    return isSame ? [] : [`${name}: ${found.join(" ")} for ${wanted.join(" ")}`];
  });
}

/** Refusals, by words of the message, of what Keras refuses too, or of numbers that Keras computes and that mean nothing. */
export const refusals: Readonly<Record<string, RegExp>> = {
  "labels up to 5 for 4 classes": /sample 4: expected a class index from 0 to 3, got 4/,
  "tags up to 9 of 7": /sample 1, position \[1\]: expected a class index from 0 to 6, got 7/,
  "20 inputs and 10 targets": /expected one for each of 20 samples, got 10/,
  "images of another size in arrays": /expected \[None,16,16,3\], got \[4,12,12,3\]/,
  "softmax of one unit with sparse_categorical_crossentropy": /a softmax of one unit, which is 1 for every/,
  "softmax of one unit with binary_crossentropy": /a softmax of one unit, which is 1 for every sample/,
  "classes 1 to 3 made one-hot have four columns": /expected 3 classes, .* got 4/,
  "three classes as numbers for one sigmoid": /expected 2 classes, as the model has outputs, got 3/,
  "masks of 0 and 255 as targets of a sigmoid": /expected 0 and 1 .* got 0 and 255\. Divide the masks by 255/,
  "255 as void without being ignored": /position \[0,0\]: expected a class index from 0 to 2, got 255/,
};

/** Situations that Keras refuses and for which there is an answer here. */
export const answeredHere: Readonly<Record<string, string>> = {
  "one-hot targets for sparse_categorical_crossentropy":
    "read as categorical_crossentropy, whose figures these are",
  "class indices for categorical_crossentropy":
    "read as sparse_categorical_crossentropy, whose figures these are",
  "MeanIoU of probabilities": "computed from the likeliest classes",
  "class weights of masks": "weighted pixel by pixel",
  "class weights of two outputs": "weighted in each output that has those classes",
};

/** Returns a situation's row in docs/situations.md. */
export function rowOf({ name, source, answer, refused }: PublicSituation): string {
  const [first] = [answer ?? []].flat();
  const figures = Object.entries(first ?? {}).map(
    ([key, value]) =>
      `${key} ${[value]
        .flat()
        .map((each) => each.toFixed(4))
        .join(" ")}`,
  );
  const error = refused?.split(":", 1)[0];
  const keras = [error, figures.join(", ")].filter((text) => text).join("; ");
  const ours = name in refusals ? "refused by name" : (answeredHere[name] ?? "the same");
  return `| ${name} | <${source}> | ${keras} | ${ours} |`;
}
