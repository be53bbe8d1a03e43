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
