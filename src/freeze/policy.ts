import type { BatchNormMode } from "../checkpoint.ts";
import { UsageError } from "../errors.ts";
import { parsePatterns } from "./patterns.ts";

/** One statement about what is frozen, as data. Position policies exclude each other; patterns add up. */
export type FreezePolicy =
  | { readonly kind: "until"; readonly patterns: readonly string[] }
  | { readonly kind: "through"; readonly patterns: readonly string[] }
  | { readonly kind: "freeze"; readonly patterns: readonly string[] }
  | { readonly kind: "unfreeze"; readonly patterns: readonly string[] }
  | { readonly kind: "depth"; readonly n: number; readonly container?: string }
  | { readonly kind: "all-but-head" };

/** Freezes every layer before the first one that `name` matches; that one and all after it train. */
export function freezeUntil(name: string): FreezePolicy {
  return { kind: "until", patterns: onePattern("--freeze-until", name) };
}

/** Freezes every layer up to and including the last one that `name` matches; all after it train. */
export function freezeThrough(name: string): FreezePolicy {
  return { kind: "through", patterns: onePattern("--freeze-through", name) };
}

/** Freezes each layer that a pattern matches and leaves the others alone. `freeze("none")` trains everything. */
export function freeze(...patterns: readonly string[]): FreezePolicy {
  return { kind: "freeze", patterns: somePatterns("--freeze", patterns) };
}

/** Trains each layer that a pattern matches, whatever freezes it. */
export function unfreeze(...patterns: readonly string[]): FreezePolicy {
  return { kind: "unfreeze", patterns: somePatterns("--unfreeze", patterns) };
}

/**
 * Freezes `model.layers[:n]` as Keras counts them, a nested model as one layer; `-k` freezes all but the last k. `"base:n"`
 * counts in `base.layers`: what comes before the nested model is frozen, what comes after it trains.
 * @throws {UsageError} for what is no whole number.
 */
export function freezeDepth(n: number | string): FreezePolicy {
  const parts = typeof n === "number" ? null : /^(?:(.+):)?\s*([+-]?\d+)\s*$/.exec(n);
  const count = typeof n === "number" ? n : Number(parts?.[2] ?? Number.NaN);
  if (!Number.isSafeInteger(count)) {
    throw new UsageError(
      `--freeze-depth ${JSON.stringify(n)}: expected a whole number, or a nested model and one such as base:3.`,
      "freeze-depth",
    );
  }
  const container = parts?.[1]?.trim();
  return container === undefined
    ? { kind: "depth", n: count + 0 }
    : { kind: "depth", n: count + 0, container };
}

/** Trains the head alone: the new one, else the last weighted layer and what follows it. */
export function freezeAllButHead(): FreezePolicy {
  return { kind: "all-but-head" };
}

/** `--freeze-until conv4`: the policy as it is written on the command line. */
export function formatPolicy(policy: FreezePolicy): string {
  switch (policy.kind) {
    case "until":
    case "through":
      return `--freeze-${policy.kind} ${policy.patterns.join(",")}`;
    case "freeze":
    case "unfreeze":
      return `--${policy.kind} ${policy.patterns.join(",")}`;
    case "depth":
      return `--freeze-depth ${policy.container === undefined ? "" : `${policy.container}:`}${policy.n}`;
    case "all-but-head":
      return "--freeze-all-but-head";
  }
}

function onePattern(flag: string, text: string): readonly string[] {
  const patterns = parsePatterns(text);
  if (patterns.length === 1) return patterns;
  throw new UsageError(
    `${flag} ${JSON.stringify(text)}: expected one layer, stage or pattern, got ${patterns.length}. A cut is at one place; list layers with --freeze and --unfreeze.`,
    "freeze-one-pattern",
  );
}

function somePatterns(flag: string, texts: readonly string[]): readonly string[] {
  const patterns = texts.flatMap(parsePatterns);
  if (patterns.length > 0) return patterns;
  throw new UsageError(`${flag}: expected a layer, stage or pattern, got none.`, "freeze-empty");
}

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
