import type { Checkpoint } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { KerasMajor } from "../layer-graph.ts";

/**
 * How a model config is written: as Keras 2 did in `.h5` (`keras1` too, whose words are made Keras 2's in reading), as Keras 2
 * did in `.keras` (from 2.12 on), as Keras 3 does in `.h5` (without modules), or as it does in `.keras`.
 */
export type Dialect = "keras1" | "keras2" | "keras2-archive" | "keras3-h5" | "keras3";

/** The dialect of a checkpoint's config. */
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

/** 1, 2 or 3 from `"2.2.4-tf"`. */
export function kerasMajor(kerasVersion: string): KerasMajor {
  const major = Number.parseInt(kerasVersion, 10);
  if (major === 1 || major === 2 || major === 3) return major;
  throw new TopologyError(
    `model config: Keras version: expected 1, 2 or 3, got ${JSON.stringify(kerasVersion)}.`,
    "unsupported-version",
  );
}
