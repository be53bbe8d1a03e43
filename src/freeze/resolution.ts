import type { BatchNormMode } from "../checkpoint.ts";

/** Who is frozen, and why. */
export interface FreezeResolution {
  /** Paths of the frozen layers, weightless ones among them. */
  readonly frozen: ReadonlySet<string>;
  /** By path of every layer, the rule that decided: `--freeze-until conv4`, `the file's flags`. */
  readonly why: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
  readonly bnMode: BatchNormMode;
  /** Paths of layers that are not pretrained: BatchNormalization in them trains as always. */
  readonly newLayers: ReadonlySet<string>;
  /** The policies in order of application, `until conv4`; what decides where there are none. */
  readonly summary: string;
}

/** What of a resolution decides which weights train. */
export type FrozenSet = Pick<FreezeResolution, "frozen" | "bnMode" | "newLayers">;
