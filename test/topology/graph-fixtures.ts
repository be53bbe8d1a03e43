import { readdirSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { JsonObject } from "../../src/checkpoint.ts";
import type { Shape } from "../../src/tensor.ts";

/** A model config with what Keras reported about the model (fixtures/make/graphs.py). */
export interface GraphFixture {
  readonly name: string;
  readonly kerasVersion: string;
  readonly modelConfig: JsonObject;
  readonly sequential: boolean;
  /** Layers and operations in Keras's order, nested models flattened in place. */
  readonly layers: readonly FixtureLayer[];
  /**
   * `model.layers` with nested models flattened in place, without operations and without the InputLayer of a Sequential
   * of Keras 3.
   */
  readonly order: readonly string[];
  readonly outputShapes: readonly Shape[];
  readonly outputNames: readonly string[] | null;
  /** Digest of each output, computed from all calls that lead to it and their inputs. */
  readonly wiring: readonly string[];
  readonly parameters: number;
}

export interface FixtureLayer {
  readonly path: string;
  readonly className: string;
  readonly op: boolean;
  /** Shape and dtype of each output of the first call; dtypes of Keras 2 are null. */
  readonly outputs?: readonly (readonly [Shape, string | null])[];
  /** Name and shape of each weight, and whether gradients reach it. */
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
