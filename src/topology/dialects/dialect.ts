import type { Checkpoint } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { KerasMajor } from "../layer-graph.ts";

/**
 * Dialect of a model config: that of Keras 1 (which reading converts to Keras 2's), of Keras 2 in `.h5`, of Keras 2 in
 * `.keras` (since 2.12), of Keras 3 in `.h5` (without modules), or of Keras 3 in `.keras`.
 */
export type Dialect = "keras1" | "keras2" | "keras2-archive" | "keras3-h5" | "keras3";

/** Returns the dialect of a checkpoint's config. */
export function dialectOf({
  modelConfig,
  kerasVersion,
}: Pick<Checkpoint, "modelConfig" | "kerasVersion">): Dialect {
  const major = kerasMajor(kerasVersion);
  if (major === 1) return "keras1";
  const archive = "module" in modelConfig;
  if (major === 2) return archive ? "keras2-archive" : "keras2";
  return archive ? "keras3" : "keras3-h5";
}

/** A release of Keras, from the version in a file. */
export interface KerasRelease {
  readonly major: KerasMajor;
  /** Undefined if the file does not say: `"3"`. */
  readonly minor: number | undefined;
  /** True for tf.keras: `"2.2.4-tf"` is that of TensorFlow 1.13 to 2.1, and from 2.4 on there is no other Keras 2. */
  readonly isTensorFlows: boolean;
}

/** Takes a version apart. @throws {TopologyError} if it is none of Keras 1, 2 or 3. */
export function kerasRelease(kerasVersion: string): KerasRelease {
  const major = kerasMajor(kerasVersion);
  const minor = /^\d+\.(\d+)/.exec(kerasVersion)?.[1];
  const isLate = major === 2 && minor !== undefined && Number(minor) >= 4;
  return {
    major,
    minor: minor === undefined ? undefined : Number(minor),
    isTensorFlows: isLate || kerasVersion.endsWith("-tf"),
  };
}

/** Returns the first number of a version: 2 of `"2.2.4-tf"`. @throws {TopologyError} if it is not 1, 2 or 3. */
export function kerasMajor(kerasVersion: string): KerasMajor {
  const major = Number.parseInt(kerasVersion, 10);
  if (major === 1 || major === 2 || major === 3) return major;
  throw new TopologyError(
    `model config: Keras version: expected 1, 2 or 3, got ${JSON.stringify(kerasVersion)}.`,
    "unsupported-version",
  );
}
