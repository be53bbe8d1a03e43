import { readdirSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { JsonObject } from "../../src/checkpoint.ts";
import type { Shape } from "../../src/tensor.ts";

/** What a Keras said of a model config (fixtures/make/graphs.py). */
export interface GraphFixture {
  readonly name: string;
  readonly kerasVersion: string;
  readonly modelConfig: JsonObject;
  readonly sequential: boolean;
  /** Layers and ops in Keras's order, nested models in place. */
  readonly layers: readonly FixtureLayer[];
  /** `model.layers`, nested in place: without ops, and without the InputLayer of a Keras 3 Sequential. */
  readonly order: readonly string[];
  readonly outputShapes: readonly Shape[];
  readonly outputNames: readonly string[] | null;
  /** A digest of each output: of the layers behind it and of who reads whom, call by call. */
  readonly wiring: readonly string[];
  readonly parameters: number;
}

export interface FixtureLayer {
  readonly path: string;
  readonly className: string;
  readonly op: boolean;
  /** Shape and dtype of each output of the first call; Keras 2 tells no dtype. */
  readonly outputs?: readonly (readonly [Shape, string | null])[];
  /** Name, shape and whether gradients reach it. */
  readonly weights: readonly (readonly [string, readonly number[], boolean])[];
}

const folder = new URL("../../fixtures/graphs/", import.meta.url);

export function graphFixtureFiles(): string[] {
  return readdirSync(folder).filter((file) => /^keras-.*\.json\.gz$/.test(file));
}

export function readGraphFixtures(file: string): readonly GraphFixture[] {
  const text = gunzipSync(readFileSync(new URL(file, folder))).toString();
  return (JSON.parse(text) as { models: GraphFixture[] }).models;
}

export function graphFixture(file: string, name: string): GraphFixture {
  const found = readGraphFixtures(file).find((fixture) => fixture.name === name);
  if (!found) throw new Error(`no fixture "${name}" in ${file}`);
  return found;
}
