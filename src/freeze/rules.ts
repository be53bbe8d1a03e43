import type { NameRule } from "./names.ts";

/** One rule that froze or freed a layer. */
export interface FreezeRule {
  /**
   * Kind of the rule: the default that applies without a position, a position, a list of layers, or the mode of
   * BatchNormalization.
   */
  readonly kind: "start" | "position" | "freeze" | "unfreeze" | "bn-mode";
  /** The rule as the caller writes it: `freezeUntil("conv4")`, or in words: `the flags in the file`. */
  readonly text: string;
  /** True if it froze the layer. */
  readonly freezes: boolean;
  /** Its pattern; absent for a rule without one. */
  readonly pattern?: string;
  /** The way in which the pattern matched. */
  readonly match?: NameRule;
  /** Position in `graph.layers` of the first layer after the cut; absent for a rule that does not cut the list. */
  readonly cut?: number;
}

/** The layers as they are frozen so far, and the rules that decided so. */
export interface Decisions {
  /** Paths of the frozen layers. */
  readonly frozen: Set<string>;
  /** Rules in the order of their application, by the path of the layer; the last decides. */
  readonly rules: Map<string, FreezeRule[]>;
}

/** Applies a rule to a layer. */
export function decide({ frozen, rules }: Decisions, path: string, rule: FreezeRule): void {
  if (rule.freezes) frozen.add(path);
  else frozen.delete(path);
  const earlier = rules.get(path);
  if (earlier) earlier.push(rule);
  else rules.set(path, [rule]);
}

/** Returns the text of the rule that decided, by the path of every layer. */
export function lastRules({ rules }: Decisions): ReadonlyMap<string, string> {
  return new Map([...rules].map(([path, own]) => [path, own.at(-1)?.text ?? ""]));
}
