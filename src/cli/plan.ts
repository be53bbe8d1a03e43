import { modelFileAt, planLines } from "../cli-api.ts";
import { planFinetune, readCheckpoint, replaceHead } from "../index.ts";
import type { Command, FlagsOf } from "./command.ts";
import { value } from "./command.ts";
import type { FreezeValues } from "./freeze-flags.ts";
import { freezeFlags, freezePolicies } from "./freeze-flags.ts";
import type { ArchValue, JsonValue } from "./run-flags.ts";
import { archFlag, jsonFlag, withoutUndefined } from "./run-flags.ts";
import { wholeNumber } from "./values.ts";

interface PlanValues extends FreezeValues, ArchValue, JsonValue {
  readonly classes?: number;
}

const flags: FlagsOf<PlanValues> = {
  ...freezeFlags,
  ...archFlag,
  classes: value("Plan with a new head of this many classes", "K", wholeNumber(2)),
  ...jsonFlag,
};

/** `finetune plan M`: what is frozen, where the cut is, what it costs; no data needed. */
export const planCommand: Command<PlanValues> = {
  name: "plan",
  usage: "plan MODEL [freeze flags]",
  summary: "Prints what would be frozen, where the cut is and what a run would cost. Nothing is computed.",
  flags,
  positionals: [1, 1],
  examples: [["plan resnet50.h5 --freeze-until conv4 --classes 5", "the plan for five classes"]],
  run: async ({ values, positionals, terminal }) => {
    const file = modelFileAt(positionals[0]!);
    const read = await readCheckpoint(file, withoutUndefined({ arch: values.arch }));
    const checkpoint = values.classes === undefined ? read : replaceHead(read, { classes: values.classes });
    const freeze = freezePolicies(values);
    const plan = planFinetune(
      checkpoint,
      withoutUndefined({ freeze: freeze.length > 0 ? freeze : undefined, bnMode: values["bn-mode"] }),
    );
    const context = { model: file, origin: `Keras ${read.kerasVersion} ${read.format}` };
    if (values.json) terminal.document(plan);
    for (const line of planLines(plan, context)) terminal.print(line);
    for (const warning of plan.warnings) terminal.notice(`warning: ${warning}`);
  },
};
