import { modelFileAt, wholeNumber } from "../cli-api.ts";
import type { AppliedRule, LayerReason } from "../index.ts";
import { readCheckpoint, replaceHead, whyLayer } from "../index.ts";
import { columns } from "./columns.ts";
import type { Command } from "./command.ts";
import { picked } from "./command.ts";
import type { ModelValue } from "./data-flags.ts";
import { archFlag, modelValue } from "./data-flags.ts";
import { value } from "./flag.ts";
import type { FreezeValues } from "./freeze-flags.ts";
import { bnModeFlag, freezeFlags, freezePolicies } from "./freeze-flags.ts";
import type { JsonValue } from "./output-flags.ts";
import { jsonFlag } from "./output-flags.ts";
import { missing } from "./run-flags.ts";
import { number } from "./values.ts";

interface WhyValues extends FreezeValues, ModelValue, JsonValue {
  readonly classes?: number;
}

/** `finetune why LAYER --model M` says which rule decided a layer's state, and what its gradient is for. */
export const whyCommand: Command<WhyValues> = {
  name: "why",
  usage: "why LAYER --model FILE [freeze flags]",
  summary:
    "Says which rule froze or freed a layer, which weights need a gradient through it, and what feeds it. Nothing is computed.",
  options: { ...archFlag, ...bnModeFlag },
  flags: {
    ...modelValue,
    model: { ...modelValue.model, help: "The model; required" },
    ...freezeFlags,
    classes: value("Ask for the model with a new head of this many classes", "K", wholeNumber(2), {
      group: "Task",
      read: number,
    }),
    ...jsonFlag,
  },
  positionals: [1, 1],
  examples: [
    ["why conv4_block1_1_bn --model resnet50.h5 --freeze-until conv5", "one layer"],
    ['why "*_bn" --model resnet50.h5 --freeze-until conv4', "a table of all that match"],
  ],
  run: async ({ values, options, positionals, terminal }) => {
    const [layer = ""] = positionals;
    if (values.model === undefined) {
      throw missing("model", "a Keras file", "why LAYER --model FILE");
    }
    const read = await readCheckpoint(modelFileAt(values.model), picked(options, "arch"));
    const checkpoint = values.classes === undefined ? read : replaceHead(read, { classes: values.classes });
    const freeze = freezePolicies(values);
    const reasons = whyLayer(checkpoint, layer, {
      ...picked(options, "bnMode"),
      ...(freeze.length > 0 && { freeze }),
    });
    if (values.json) terminal.document(reasons);
    const [only] = reasons;
    const lines = only && reasons.length === 1 ? reasonLines(only) : reasonTable(reasons);
    for (const line of lines) terminal.print(line);
  },
};

/** Returns what decides one layer, a line for each fact. */
function reasonLines(reason: LayerReason): readonly string[] {
  const { path, className, stage, parameters, frozen, trains, rules, gradient, normalization } = reason;
  const facts = [
    className,
    ...(stage === null ? [] : [`stage ${stage}`]),
    `${parameters.toLocaleString("en-US")} parameters`,
  ];
  const [last, ...earlier] = rules.toReversed();
  return [
    `layer     ${path}  (${facts.join(", ")})`,
    `${frozen ? "frozen   " : "free     "} ${last ? ruleText(last) : ""}`,
    ...earlier.map((rule) => `          before that ${rule.freezes ? "frozen" : "free"}: ${ruleText(rule)}`),
    `trains    ${trains.length === 0 ? "nothing" : trains.join(", ")}`,
    `runs      ${sideText(reason)}`,
    ...(reason.frontier.length > 0
      ? [
          `fed by    ${named(reason.frontier)}, ${reason.frontier.length === 1 ? "a tensor" : "tensors"} of the frontier`,
        ]
      : []),
    `gradient  ${gradientText(gradient.neededBy, trains.length > 0)}`,
    ...(normalization
      ? [
          `BN        ${normalization.mode}: normalizes with ${normalization.statistics === "batch" ? "the batch's statistics, and updates the stored ones" : "the stored statistics, which stay"}`,
        ]
      : []),
  ];
}

function ruleText({ text, detail }: AppliedRule): string {
  return `${text}: ${detail}`;
}

function sideText({ side, inference, isFrontier }: LayerReason): string {
  if (side === "dynamic") return "in every step, behind the frontier";
  if (side === "both") return "shared: some calls once per sample, others in every step";
  const kept = isFrontier ? "; its output is a tensor of the frontier, which is cached" : "";
  const once = `once per sample, before the frontier${kept}`;
  switch (inference?.kind) {
    case "folded":
      return `${once}; folded into ${inference.into}`;
    case "identity":
      return `${once}; left out there, as the identity in inference`;
    case "unread":
      return `${once}; left out there, because nothing that runs reads it`;
    case "runs":
      return inference.changed ? `${once}, with others folded into it` : once;
    case undefined:
      return once;
  }
}

function gradientText(neededBy: readonly string[], trains: boolean): string {
  if (neededBy.length > 0) return `passes through it, for ${named(neededBy)} before it`;
  return trains
    ? "ends at its own weights: nothing before it trains"
    : "none: neither it nor anything before it trains";
}

function reasonTable(reasons: readonly LayerReason[]): readonly string[] {
  const rows = reasons.map((reason) => {
    const { path, frozen, trains, rules, side, inference, gradient, normalization } = reason;
    return [
      path,
      frozen ? "frozen" : trains.length > 0 ? "trains" : "free",
      rules.at(-1)?.text ?? "",
      side,
      inference?.kind === "folded"
        ? `into ${inference.into}`
        : inference?.kind === "identity"
          ? "left out"
          : "-",
      gradient.passes ? "passes" : trains.length > 0 ? "ends here" : "none",
      normalization?.statistics ?? "-",
    ];
  });
  return columns([["layer", "state", "rule", "side", "folded", "gradient", "BN statistics"], ...rows]);
}

/** Names a few, and counts the others. */
function named(names: readonly string[]): string {
  return names.length > 4 ? `${names.slice(0, 3).join(", ")} and ${names.length - 3} more` : names.join(", ");
}
