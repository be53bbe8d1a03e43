import {
  ensureEngine,
  modelFileAt,
  planLines,
  plannedSamples,
  planWithCost,
  prepareRun,
  resolveOptions,
  textInputOf,
  wholeNumber,
} from "../cli-api.ts";
import { readCheckpoint, replaceHead } from "../index.ts";
import type { Command, GivenOptions } from "./command.ts";
import { picked } from "./command.ts";
import type { ModelValue } from "./data-flags.ts";
import { archFlag, dataFlags, modelValue } from "./data-flags.ts";
import type { EngineValues } from "./engine-flags.ts";
import { chooseEngine, engineFlags } from "./engine-flags.ts";
import { value } from "./flag.ts";
import type { FreezeValues } from "./freeze-flags.ts";
import { bnModeFlag, freezeFlags, freezePolicies } from "./freeze-flags.ts";
import type { JsonValue } from "./output-flags.ts";
import { cacheFlags, jsonFlag } from "./output-flags.ts";
import { engineLine } from "./run-text.ts";
import { taskFlags } from "./task-flags.ts";
import type { Terminal } from "./terminal.ts";
import { trainingFlags } from "./training-flags.ts";
import { number } from "./values.ts";

/** The command has a flag of its own for classes, which needs no data. */
const { classes: _classes, ...withoutClasses } = taskFlags;

interface PlanValues extends FreezeValues, ModelValue, EngineValues, JsonValue {
  readonly classes?: number;
}

/** `finetune plan M` prints what is frozen and where the cut is; it needs no data. */
export const planCommand: Command<PlanValues> = {
  name: "plan",
  usage: "plan MODEL [freeze flags] [--data DIR]",
  summary:
    "Prints what would be frozen, where the cut is and what a run would cost: on --data the whole run, else an epoch of 1,000 samples. Nothing is trained or written.",
  options: { ...archFlag, ...dataFlags, ...withoutClasses, ...bnModeFlag, ...trainingFlags, ...cacheFlags },
  flags: {
    ...modelValue,
    ...freezeFlags,
    classes: value("Plan with a new head of this many classes", "K", wholeNumber(2), {
      group: "Task",
      read: number,
    }),
    ...jsonFlag,
    ...engineFlags,
  },
  positionals: [1, 1],
  takesModel: true,
  examples: [
    ["plan resnet50.h5 --freeze-until conv4 --classes 5", "the plan for five classes"],
    ["plan resnet50.h5 --freeze-until conv4 --data photos/", "the plan of that run, as --dry-run prints it"],
  ],
  run: async ({ values, options, positionals, terminal }) => {
    const [model = ""] = positionals;
    const file = modelFileAt(model);
    chooseEngine(values, options);
    if (options.data !== undefined) {
      await printRunPlan(file, values, options, terminal);
      return;
    }
    const read = await readCheckpoint(file, picked(options, "arch"));
    const checkpoint = values.classes === undefined ? read : replaceHead(read, { classes: values.classes });
    const freeze = freezePolicies(values);
    const plan = await planWithCost(checkpoint, {
      ...picked(options, "bnMode"),
      ...(freeze.length > 0 && { freeze }),
    });
    terminal.tell(engineLine(await ensureEngine()));
    const texts = textInputOf(read);
    const context = {
      unit: "samples",
      model: file,
      origin: `Keras ${read.kerasVersion} ${read.format}`,
      ...(texts && { preprocessing: texts.preprocessing }),
    };
    if (values.json) terminal.document(plan);
    for (const line of planLines(plan, context)) terminal.print(line);
    terminal.print(
      `          time, memory and cache are of ${grouped(plannedSamples)} samples; --data plans a run`,
    );
    for (const warning of plan.warnings) terminal.notice(`warning: ${warning}`);
  },
};

/** Prints the plan of the run that the flags describe, as `--dry-run` does. */
async function printRunPlan(
  model: string,
  values: PlanValues,
  options: GivenOptions,
  terminal: Terminal,
): Promise<void> {
  const freeze = freezePolicies(values);
  const run = await prepareRun(
    resolveOptions({
      ...options,
      model,
      data: options.data ?? "",
      ...(values.classes !== undefined && { classes: values.classes }),
      ...(freeze.length > 0 && { freeze }),
    }),
  );
  terminal.tell(engineLine(await ensureEngine()));
  if (values.json) terminal.document(run.plan);
  for (const line of [...run.messages, ...run.planLines]) terminal.print(line);
  for (const warning of run.warnings) terminal.notice(`warning: ${warning}`);
}

function grouped(count: number): string {
  return count.toLocaleString("en-US");
}
