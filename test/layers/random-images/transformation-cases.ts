/** The record in fixtures/augmentation: what Keras's random image layers drew, and what they made of images with it. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { JsonObject } from "../../../src/checkpoint.ts";
import type { Drawn, Transformation } from "../../../src/layers/random-images/random-image.ts";
import { modernConfig } from "../../../src/topology/dialects/layer-config.ts";
import type { PackedTensor } from "../layer-cases.ts";
import { upload } from "../layer-cases.ts";

export interface TransformationCase {
  readonly name: string;
  readonly className: string;
  /** In Keras 3's vocabulary with defaults. */
  readonly config: JsonObject;
  readonly input: PackedTensor;
  /** As Keras has it, numbers an image in lists and the rest as `{ tensor }`. */
  readonly transformation: JsonObject;
  readonly output: PackedTensor;
}

export function transformationCases(): TransformationCase[] {
  const file = new URL("../../../fixtures/augmentation/transformations.json.gz", import.meta.url);
  const { cases } = JSON.parse(gunzipSync(readFileSync(file)).toString()) as {
    cases: readonly TransformationCase[];
  };
  return cases.map((each) => ({ ...each, config: modernConfig(each.className, each.config, 3) }));
}

/** A recorded transformation with its names as here and its tensors on the engine, which the caller disposes. */
export function liveTransformation(recorded: JsonObject): Transformation {
  return live(recorded) as Transformation;
}

function live(value: unknown): Drawn {
  if (Array.isArray(value)) return value.map(live);
  if (typeof value !== "object" || value === null) return namedHere(value) as Drawn;
  if ("tensor" in value) return upload(value.tensor as PackedTensor);
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [camelCase(name), live(item)]));
}

/** Keras names layers by their attributes, `random_shear`. */
function namedHere(value: unknown): unknown {
  return typeof value === "string" ? camelCase(value) : value;
}

function camelCase(name: string): string {
  return name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}
