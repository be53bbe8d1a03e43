import type { Checkpoint } from "../../checkpoint.ts";
import { kerasMajor } from "../dialects/read-model.ts";

/**
 * How a model config is written: as Keras 1 or 2 did, as Keras 3 does in `.h5` (without modules), or as it does in `.keras`.
 */
export type Dialect = "keras1" | "keras2" | "keras3-h5" | "keras3";

/** The dialect of a checkpoint's config. */
export function dialectOf({
  modelConfig,
  kerasVersion,
}: Pick<Checkpoint, "modelConfig" | "kerasVersion">): Dialect {
  const major = kerasMajor(kerasVersion);
  if (major !== 3) return `keras${major}`;
  return "module" in modelConfig ? "keras3" : "keras3-h5";
}
