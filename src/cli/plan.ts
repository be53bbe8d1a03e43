import { modelFileAt, planLines, wholeNumber } from "../cli-api.ts";
import { planFinetune, readCheckpoint, replaceHead } from "../index.ts";
import type { Command } from "./command.ts";
import { picked } from "./command.ts";
import type { ModelValue } from "./data-flags.ts";
import { archFlag, modelValue } from "./data-flags.ts";
import { value } from "./flag.ts";
import type { FreezeValues } from "./freeze-flags.ts";
import { bnModeFlag, freezeFlags, freezePolicies } from "./freeze-flags.ts";
import type { JsonValue } from "./output-flags.ts";
import { jsonFlag } from "./output-flags.ts";
import { number } from "./values.ts";

interface PlanValues extends FreezeValues, ModelValue, JsonValue {
  readonly classes?: number;
}

/** `finetune plan M` prints what is frozen and where the cut is; it needs no data. */
export const planCommand: Command<PlanValues> = {
  name: "plan",
  usage: "plan MODEL [freeze flags]",
  summary: "Prints what would be frozen, where the cut is and what a run would cost. Nothing is computed.",
  options: { ...archFlag, ...bnModeFlag },
  flags: {
    ...modelValue,
    ...freezeFlags,
    classes: value("Plan with a new head of this many classes", "K", wholeNumber(2), {
      group: "Task",
      read: number,
    }),
    ...jsonFlag,
  },
  positionals: [1, 1],
  takesModel: true,
  examples: [["plan resnet50.h5 --freeze-until conv4 --classes 5", "the plan for five classes"]],
  run: async ({ values, options, positionals, terminal }) => {
    const [model = ""] = positionals;
    const file = modelFileAt(model);
    const read = await readCheckpoint(file, picked(options, "arch"));
    const checkpoint = values.classes === undefined ? read : replaceHead(read, { classes: values.classes });
    const freeze = freezePolicies(values);
    const plan = planFinetune(checkpoint, {
      ...picked(options, "bnMode"),
      ...(freeze.length > 0 && { freeze }),
    });
    const context = { model: file, origin: `Keras ${read.kerasVersion} ${read.format}` };
    if (values.json) terminal.document(plan);
    for (const line of planLines(plan, context)) terminal.print(line);
    for (const warning of plan.warnings) terminal.notice(`warning: ${warning}`);
  },
};
