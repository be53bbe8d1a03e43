/** @file Flags of a sweep: those of a run, of which many take several values. */

import { cutNamed, parsePatterns, someText } from "../cli-api.ts";
import type { FinetuneOptions, FreezePolicy, SweepGrid, SweepOption } from "../index.ts";
import { freezeDepth, freezeThrough, UsageError } from "../index.ts";
import type { Flag, FlagsOf, OptionFlag } from "./flag.ts";
import { value } from "./flag.ts";
import type { FreezeValues } from "./freeze-flags.ts";
import { freezeFlags, freezePolicies } from "./freeze-flags.ts";
import { outputFlags } from "./output-flags.ts";
import { runFlags } from "./run-flags.ts";

type Values = readonly unknown[];

/** The values of the flags that may have several. */
export interface SweptValues extends FreezeValues {
  readonly "bn-mode"?: Values;
  readonly augment?: Values;
  readonly views?: Values;
  readonly "batch-size"?: Values;
  readonly epochs?: Values;
  readonly optimizer?: Values;
  readonly lr?: Values;
  readonly schedule?: Values;
  readonly warmup?: Values;
  readonly momentum?: Values;
  readonly "weight-decay"?: Values;
  readonly "layer-decay"?: Values;
  readonly "clip-norm"?: Values;
  readonly "clip-value"?: Values;
  readonly "global-clip-norm"?: Values;
  readonly accumulate?: Values;
  readonly ema?: Values;
  readonly seed?: Values;
}

type SweptName = Exclude<keyof SweptValues, keyof FreezeValues>;

/** The option that each of these flags varies. */
const optionOf: { readonly [Name in SweptName]-?: SweepOption } = {
  "bn-mode": "bnMode",
  augment: "augment",
  views: "views",
  "batch-size": "batchSize",
  epochs: "epochs",
  optimizer: "optimizer",
  lr: "learningRate",
  schedule: "schedule",
  warmup: "warmup",
  momentum: "momentum",
  "weight-decay": "weightDecay",
  "layer-decay": "layerDecay",
  "clip-norm": "clipNorm",
  "clip-value": "clipValue",
  "global-clip-norm": "globalClipNorm",
  accumulate: "accumulate",
  ema: "ema",
  seed: "seed",
};

/** Returns the name of the flag that varies an option, without dashes. */
export function sweptFlagOf(option: SweepOption): string {
  return Object.entries(optionOf).find(([, own]) => own === option)?.[0] ?? option;
}

const sweptNames = Object.keys(optionOf) as readonly SweptName[];
/** Flags of a run that have one value in a sweep too. */
export const plainFlags: Readonly<Record<string, OptionFlag>> = {
  ...Object.fromEntries(
    Object.entries(runFlags).filter(([name]) => !(sweptNames as readonly string[]).includes(name)),
  ),
  ...outputFlags,
};

/** Flags that may have several values, and those that freeze. */
export const sweptFlags: FlagsOf<SweptValues> = {
  ...freezeFlags,
  ...(Object.fromEntries(sweptNames.map((name) => [name, swept(name)])) as {
    readonly [Name in SweptName]-?: Flag<Values>;
  }),
  "freeze-until": cuts("freeze-until", "X,…"),
  "freeze-through": cuts("freeze-through", "X,…"),
  "freeze-depth": cuts("freeze-depth", "N,…"),
};

function cuts(name: "freeze-until" | "freeze-through" | "freeze-depth", placeholder: string): Flag<string> {
  const own = freezeFlags[name];
  const help = `${own.help}. Several between commas are tried one by one${name === "freeze-until" ? "; head and none are cuts too" : ""}`;
  return value(
    help,
    placeholder,
    (given, refuse) =>
      someText(
        Array.isArray(given) ? given.join(",") : typeof given === "number" ? String(given) : given,
        refuse,
      ),
    {
      group: own.group,
    },
  );
}

/** Declares a flag of a run as one that takes several values: between commas, or by repeating it where a value has commas of its own. */
function swept(name: SweptName): Flag<Values> {
  const own = runFlags[name];
  if (!own) throw new Error(`sweep: no flag --${name}`);
  const repeats = name === "augment";
  const one = (item: unknown, refuse: Parameters<Flag<Values>["check"]>[1]): unknown => {
    if (item === "none" && repeats) return null;
    return own.check(typeof item === "string" ? own.read(item.trim(), refuse) : item, refuse);
  };
  return {
    ...own,
    kind: repeats ? "list" : "value",
    placeholder: repeats ? own.placeholder : `${own.placeholder},…`,
    help: repeats ? `${own.help}. Repeat it to try several; none is a value too` : own.help,
    choices: undefined,
    read: (text) => (repeats || text.trimStart().startsWith("{") ? [text] : text.split(",")),
    check: (given, refuse) => (Array.isArray(given) ? given : [given]).map((item) => one(item, refuse)),
  };
}

/**
 * Returns what varies, and what is the same in all runs.
 * @throws {UsageError} where nothing varies.
 */
export function gridOf(values: SweptValues): {
  readonly grid: SweepGrid;
  readonly shared: Partial<FinetuneOptions>;
} {
  const cutsGiven = cutPolicies(values);
  const { "freeze-until": _until, "freeze-through": _through, "freeze-depth": _depth, ...others } = values;
  const rest = freezePolicies(others);
  const freeze = cutsGiven.map((cut): readonly FreezePolicy[] => [cut, ...rest]);
  const lists: [SweepOption, Values][] = sweptNames.flatMap((name) => {
    const list = values[name];
    return list === undefined ? [] : [[optionOf[name], list] as [SweepOption, Values]];
  });
  const all: readonly (readonly [SweepOption, Values])[] = [
    ...(freeze.length > 0 ? [["freeze", freeze] as const] : []),
    ...lists,
  ];
  const varying = all.filter(([, list]) => list.length > 1);
  if (varying.length === 0) {
    throw new UsageError(
      "sweep: expected a flag with several values, such as --lr 1e-3,1e-4 or --freeze-until conv4,conv5, got none.",
      "sweep-empty",
      "grid",
    );
  }
  const single = all.filter(([, list]) => list.length === 1 && list[0] !== null);
  return {
    grid: Object.fromEntries(varying),
    shared: {
      ...(freeze.length === 0 && rest.length > 0 && { freeze: rest }),
      ...Object.fromEntries(single.map(([option, list]) => [option, list[0]])),
    },
  };
}

/** Returns the cuts to try. @throws {UsageError} for more than one flag that sets them. */
function cutPolicies(values: SweptValues): readonly FreezePolicy[] {
  const given = (["freeze-until", "freeze-through", "freeze-depth", "freeze-all-but-head"] as const).filter(
    (name) => values[name] !== undefined,
  );
  if (given.length > 1) freezePolicies(values);
  const { "freeze-until": until, "freeze-through": through, "freeze-depth": depth } = values;
  if (until !== undefined) return parsePatterns(until).map(cutNamed);
  if (through !== undefined) return parsePatterns(through).map(freezeThrough);
  if (depth !== undefined) return depth.split(",").map((text) => freezeDepth(text.trim()));
  return [];
}
