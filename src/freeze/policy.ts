import type { BatchNormMode } from "../checkpoint.ts";
import { UsageError } from "../errors.ts";
import { policyName } from "../options.ts";
import { parsePatterns } from "./patterns.ts";
import type { FreezeRule } from "./rules.ts";

/**
 * A rule about which layers are frozen, as data. Only one of the position policies (`until`, `through`, `depth`,
 * `all-but-head`) may be given; `freeze` and `unfreeze` policies add up.
 */
export type FreezePolicy =
  | { readonly kind: "until"; readonly patterns: readonly string[] }
  | { readonly kind: "through"; readonly patterns: readonly string[] }
  | { readonly kind: "freeze"; readonly patterns: readonly string[] }
  | { readonly kind: "unfreeze"; readonly patterns: readonly string[] }
  | { readonly kind: "depth"; readonly n: number; readonly container?: string }
  | { readonly kind: "all-but-head" };

/**
 * Freezes every layer before the first one that `name` matches. That layer and all layers after it train.
 * @param name A layer, a prefix of layer names, a stage such as `conv4`, a glob or a `/regex/`.
 * @throws {UsageError} if `name` lists several patterns.
 * @example
 * ```ts
 * await finetune({ model: "resnet50.h5", data: "photos", freeze: freezeUntil("conv4") });
 * ```
 */
export function freezeUntil(name: string): FreezePolicy {
  return { kind: "until", patterns: onePattern("until", name) };
}

/**
 * Freezes every layer up to and including the last one that `name` matches. All layers after it train.
 * @param name A layer, a prefix of layer names, a stage such as `conv3`, a glob or a `/regex/`.
 * @throws {UsageError} if `name` lists several patterns.
 * @example
 * ```ts
 * freezeThrough("conv3"); // the same cut of a ResNet as freezeUntil("conv4")
 * ```
 */
export function freezeThrough(name: string): FreezePolicy {
  return { kind: "through", patterns: onePattern("through", name) };
}

/**
 * Freezes every layer that one of the patterns matches and leaves the others as they are. `freeze("none")` trains all
 * layers.
 * @throws {UsageError} if no pattern is given.
 * @example
 * ```ts
 * freeze("conv1", "*_bn", "/^block[12]_/");
 * ```
 */
export function freeze(...patterns: readonly string[]): FreezePolicy {
  return { kind: "freeze", patterns: somePatterns("freeze", patterns) };
}

/**
 * Trains every layer that one of the patterns matches, whatever other policies freeze.
 * @throws {UsageError} if no pattern is given.
 * @example
 * ```ts
 * [freezeUntil("conv5"), unfreeze("*_bn")];
 * ```
 */
export function unfreeze(...patterns: readonly string[]): FreezePolicy {
  return { kind: "unfreeze", patterns: somePatterns("unfreeze", patterns) };
}

/**
 * Freezes `model.layers[:n]` as Keras counts layers, a nested model as one. A negative number freezes all but the last
 * layers. `"base:n"` counts in the nested model `base`: layers before that model are frozen, layers after it train.
 * @throws {UsageError} if `n` is not an integer.
 * @example
 * ```ts
 * freezeDepth(100); // for layer in model.layers[:100]: layer.trainable = False
 * freezeDepth("resnet50:-10");
 * ```
 */
export function freezeDepth(n: number | string): FreezePolicy {
  const parts = typeof n === "number" ? null : /^(?:(.+):)?\s*([+-]?\d+)\s*$/.exec(n);
  const count = typeof n === "number" ? n : Number(parts?.[2] ?? Number.NaN);
  if (!Number.isSafeInteger(count)) {
    throw new UsageError(
      `${policyName("freezeDepth", n)}: expected an integer, or a nested model and an integer such as base:3.`,
      "freeze-depth",
      "freeze",
    );
  }
  const container = parts?.[1]?.trim();
  return container === undefined
    ? { kind: "depth", n: count + 0 }
    : { kind: "depth", n: count + 0, container };
}

/**
 * Trains only the head: the new head, or the last layer with weights and the layers after it if the head is kept.
 * @example
 * ```ts
 * await finetune({ model: "mobilenet.keras", data: "photos", freeze: freezeAllButHead() });
 * ```
 */
export function freezeAllButHead(): FreezePolicy {
  return { kind: "all-but-head" };
}

const names: Readonly<Record<FreezePolicy["kind"], string>> = {
  until: "freezeUntil",
  through: "freezeThrough",
  freeze: "freeze",
  unfreeze: "unfreeze",
  depth: "freezeDepth",
  "all-but-head": "freezeAllButHead",
};

/** Formats a policy as the caller writes it: `freezeUntil("conv4")`, or `--freeze-until "conv4"` on the command line. */
export function formatPolicy(policy: FreezePolicy): string {
  return policyOf(policy.kind, argumentOf(policy));
}

/** Formats a policy of this kind with another argument, or without one. */
export function policyOf(kind: FreezePolicy["kind"], argument?: string | number): string {
  return policyName(names[kind], argument);
}

/** Returns the argument of a policy as text, or the number of a depth: `conv4`, `a,b`, `base:3`, 100. */
export function argumentOf(policy: FreezePolicy): string | number | undefined {
  if ("patterns" in policy) return policy.patterns.join(",");
  if (policy.kind !== "depth") return undefined;
  return policy.container === undefined ? policy.n : `${policy.container}:${policy.n}`;
}

function onePattern(kind: FreezePolicy["kind"], text: string): readonly string[] {
  const patterns = parsePatterns(text);
  if (patterns.length === 1) return patterns;
  throw new UsageError(
    `${policyOf(kind, text)}: expected one layer, stage or pattern, got ${patterns.length}. A cut has one position; use ${policyOf("freeze")} and ${policyOf("unfreeze")} to list layers.`,
    "freeze-one-pattern",
    "freeze",
  );
}

function somePatterns(kind: FreezePolicy["kind"], texts: readonly string[]): readonly string[] {
  const patterns = texts.flatMap(parsePatterns);
  if (patterns.length > 0) return patterns;
  throw new UsageError(
    `${policyOf(kind)}: expected a layer, stage or pattern, got none.`,
    "freeze-empty",
    "freeze",
  );
}

/** The frozen layers of a model, and the reason for each. */
export interface FreezeResolution {
  /** Paths of the frozen layers, including layers without weights. */
  readonly frozen: ReadonlySet<string>;
  /** Rule that decided, by the path of every layer: `freezeUntil("conv4")`, `the flags in the file`. */
  readonly why: ReadonlyMap<string, string>;
  /** Rules in the order of their application, by the path of every layer; the last decides. */
  readonly rules: ReadonlyMap<string, readonly FreezeRule[]>;
  readonly warnings: readonly string[];
  readonly bnMode: BatchNormMode;
  /** Paths of the layers that are not pretrained. The BatchNormalization mode does not apply to them. */
  readonly newLayers: ReadonlySet<string>;
  /** Policies in order of application (`until conv4`), or the default that applies without a policy. */
  readonly summary: string;
}

/** The part of a resolution that determines which weights train. */
export type FrozenSet = Pick<FreezeResolution, "frozen" | "bnMode" | "newLayers">;
