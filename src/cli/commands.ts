import type { Command } from "./command.ts";
import { convertCommand } from "./convert.ts";
import { doctorCommand } from "./doctor.ts";
import { evaluateCommand } from "./evaluate.ts";
import { inspectCommand } from "./inspect.ts";
import { planCommand } from "./plan.ts";
import { predictCommand } from "./predict.ts";
import { setupCommand } from "./setup.ts";

/** A command whose flags only it knows. */
export type AnyCommand = Command<Record<never, never>>;

/** The commands that are called by name: all but training, which goes without one. */
export const namedCommands: readonly AnyCommand[] = [
  planCommand,
  inspectCommand,
  predictCommand,
  evaluateCommand,
  convertCommand,
  setupCommand,
  doctorCommand,
];
