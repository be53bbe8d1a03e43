import { namedMemoryError } from "../cli-api.ts";
import { DataError, KerasFileError, MachineError, TopologyError, UsageError } from "../index.ts";

/** Message and exit code of a command that ends early. */
export interface Failure {
  readonly message: string;
  readonly exitCode: number;
}

/** The reason with which the first signal, Ctrl-C or another, aborts a run. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
  readonly exitCode: number;
  constructor(message: string, exitCode = 130) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** 2 for what was asked, 1 for file, data and machine, 130 for Ctrl-C; only a bug brings its stack. */
export function failureOf(thrown: unknown): Failure {
  const error = namedMemoryError(thrown);
  if (error instanceof Interrupted) return { message: error.message, exitCode: error.exitCode };
  if (error instanceof UsageError) return { message: error.message, exitCode: 2 };
  if (
    error instanceof KerasFileError ||
    error instanceof TopologyError ||
    error instanceof DataError ||
    error instanceof MachineError
  ) {
    return { message: error.message, exitCode: 1 };
  }
  if (error instanceof Error && isSystemError(error)) return { message: error.message, exitCode: 1 };
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { message: `This is a bug in finetune, please report it.\n${stack}`, exitCode: 1 };
}

function isSystemError(error: Error): boolean {
  return "syscall" in error && "code" in error;
}
