import { ensureEngine } from "../cli-api.ts";
import type { FinetuneOptions } from "../index.ts";
import { UsageError } from "../index.ts";
import type { GivenOptions } from "./command.ts";
import { archFlag, dataFlags, modelFlag } from "./data-flags.ts";
import type { EngineValues } from "./engine-flags.ts";
import { chooseEngine } from "./engine-flags.ts";
import type { OptionFlags } from "./flag.ts";
import { bnModeFlag } from "./freeze-flags.ts";
import { cacheFlags } from "./output-flags.ts";
import { engineLine, slowEngineLines } from "./run-text.ts";
import { taskFlags } from "./task-flags.ts";
import type { Terminal } from "./terminal.ts";
import { trainingFlags } from "./training-flags.ts";

/** Flags of every command that trains, without those of its output. */
export const runFlags: OptionFlags = {
  ...modelFlag,
  ...archFlag,
  ...dataFlags,
  ...taskFlags,
  ...bnModeFlag,
  ...trainingFlags,
  ...cacheFlags,
};

/**
 * Returns the model and the data of a run. `usage` is the command's, for the error.
 * @throws {UsageError} where one of them is missing.
 */
export function modelAndData(
  { model, data }: GivenOptions,
  usage: string,
): Pick<FinetuneOptions, "model" | "data"> & { readonly model: string } {
  if (typeof model !== "string") throw missing("model", "a Keras file", usage);
  if (data === undefined) throw missing("data", "a folder of class folders, or a table", usage);
  return { model, data };
}

/** Takes the engine that the flags name, starts it, and says which one it is and how it would be faster. */
export async function startEngine(
  values: EngineValues,
  options: GivenOptions,
  terminal: Terminal,
): Promise<void> {
  chooseEngine(values, options);
  const engine = await ensureEngine();
  terminal.tell(engineLine(engine));
  slowEngineLines(engine).forEach(terminal.hint);
}

/** Returns the error for a flag that a command cannot do without. */
export function missing(flag: string, expected: string, usage: string): UsageError {
  return new UsageError(
    `--${flag}: expected ${expected}, got none. Usage: finetune ${usage}`,
    "flag-missing",
    flag,
  );
}
