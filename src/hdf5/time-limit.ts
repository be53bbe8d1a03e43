import { Script } from "node:vm";
import { isMainThread } from "node:worker_threads";
import { KerasFileError } from "../errors.ts";
import { abandonLibrary, isStop, libraryMessage } from "./library.ts";

/** Seconds that reading any file may take, and bytes that every further second must get through. */
const leastSeconds = 6;
const leastBytesPerSecond = 2e6;

/** The property in which the script that runs under the limit finds what to run. */
const slot: unique symbol = Symbol.for("keras-finetune.hdf5-read");
const script = new Script('globalThis[Symbol.for("keras-finetune.hdf5-read")]()');

let isRunning = false;

/**
 * Runs `read`, which calls the HDF5 library, and ends it after a time that no honest file takes: in a damaged file the library may
 * follow a circle of addresses forever, without a turn of the event loop in which a signal could be heard. V8 interrupts it,
 * `finally` blocks inside `read` do not run then. Ctrl-C ends it too, and is raised again. Calls inside another are part of it.
 * @param bytes Size of the file, which the time depends on. `KERAS_FINETUNE_READ_SECONDS` sets another.
 * @throws {KerasFileError} if the time is over.
 */
export function withTimeLimit<T>(label: string, bytes: number, read: () => T): T {
  if (isRunning) return read();
  const seconds = limitFor(bytes);
  const place = globalThis as { [slot]?: () => T };
  isRunning = true;
  place[slot] = read;
  try {
    const result = script.runInThisContext({ timeout: seconds * 1000, breakOnSigint: isMainThread }) as T;
    // What goes on after an `await` would have no limit.
    if (result instanceof Promise)
      throw new Error(`${label}: a read under a limit of time returned a promise`);
    return result;
  } catch (error) {
    throw ended(label, seconds, error);
  } finally {
    isRunning = false;
    delete place[slot];
  }
}

function limitFor(bytes: number): number {
  const asked = Number(process.env["KERAS_FINETUNE_READ_SECONDS"]);
  return asked > 0 ? asked : Math.ceil(leastSeconds + bytes / leastBytesPerSecond);
}

function ended(label: string, seconds: number, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ERR_SCRIPT_EXECUTION_INTERRUPTED") {
    abandonLibrary();
    process.kill(process.pid, "SIGINT");
    return new KerasFileError(`${label}: reading was interrupted.`, "interrupted");
  }
  if (isStop(error)) {
    return new KerasFileError(
      `${label}: reading: ${libraryMessage(error)}. The file is damaged: copy or download it again.`,
      "damaged",
    );
  }
  if (code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") return error;
  abandonLibrary();
  return new KerasFileError(
    `${label}: reading: expected an end within ${seconds} s, got none. The file is damaged: copy or download it again. On a slow disk set KERAS_FINETUNE_READ_SECONDS to more.`,
    "endless",
  );
}
