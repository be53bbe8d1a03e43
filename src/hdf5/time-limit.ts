import { Script } from "node:vm";
import { isMainThread } from "node:worker_threads";
import { KerasFileError } from "../errors.ts";
import { abandonLibrary, isStop, libraryMessage } from "./library.ts";
import { threadSeconds } from "./thread-time.ts";

/** Seconds of the processor that reading any file may take, and bytes that every further second must get through. */
const leastSeconds = 4;
const leastBytesPerSecond = 2e6;

/** Share of the elapsed time that a thread has of a processor which nobody else asks for. Below it a read is not judged. */
const share = 0.75;

/** The property in which the script that runs under the limit finds what to run. */
const slot: unique symbol = Symbol.for("keras-finetune.hdf5-read");
const script = new Script('globalThis[Symbol.for("keras-finetune.hdf5-read")]()');

let isRunning = false;
/** Factor of the elapsed time after which a read is interrupted. */
let patience = 1;

/** A read that was interrupted before it had the processor time that a damaged file is told by. */
export class StarvedRead extends Error {
  /** Share of the processor time of its limit that it had. */
  readonly part: number;

  constructor(label: string, part: number) {
    super(
      `${label}: reading: had ${Math.round(100 * part)} % of the processor time that tells a damaged file.`,
    );
    this.part = part;
  }
}

/**
 * Runs `read`, which calls the HDF5 library, and ends it after a processor time that no honest file takes: in a damaged file the
 * library may follow a circle of addresses forever, without a turn of the event loop in which a signal could be heard. V8 interrupts
 * it, `finally` blocks inside `read` do not run then. Ctrl-C ends it too, and is raised again. Calls inside another are part of it.
 * @param bytes Size of the file, which the time depends on. `KERAS_FINETUNE_READ_SECONDS` sets another.
 * @throws {KerasFileError} if the time is over.
 * @throws {StarvedRead} if the thread had too little of the processor to tell: a busy machine, a slow disk. See `untilNotStarved`.
 */
export function withTimeLimit<T>(label: string, bytes: number, read: () => T): T {
  if (isRunning) return read();
  const seconds = limitFor(bytes);
  const place = globalThis as { [slot]?: () => T };
  isRunning = true;
  place[slot] = read;
  const started = threadSeconds();
  try {
    // V8 knows elapsed time only.
    const timeout = Math.ceil((1000 * seconds * patience) / share);
    const result = script.runInThisContext({ timeout, breakOnSigint: isMainThread }) as T;
    // What goes on after an `await` would have no limit.
    if (result instanceof Promise)
      throw new Error(`${label}: a read under a limit of time returned a promise`);
    return result;
  } catch (error) {
    throw ended(label, seconds, threadSeconds() - started, error);
  } finally {
    isRunning = false;
    delete place[slot];
  }
}

/**
 * Repeats a read from the opening of its file until it has ended or had the processor time of its limit, each time for as long as this
 * takes at the share of the processor that it had: twice to eight times as long.
 */
export async function untilNotStarved<T>(read: () => Promise<T>): Promise<T> {
  for (let factor = 1; ; ) {
    try {
      patience = factor;
      return await read();
    } catch (error) {
      if (!(error instanceof StarvedRead)) throw error;
      factor *= Math.min(8, Math.max(2, 1.5 / error.part));
    } finally {
      patience = 1;
    }
  }
}

function limitFor(bytes: number): number {
  const asked = Number(process.env["KERAS_FINETUNE_READ_SECONDS"]);
  return asked > 0 ? asked : Math.ceil(leastSeconds + bytes / leastBytesPerSecond);
}

function ended(label: string, seconds: number, taken: number, error: unknown): unknown {
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
  if (taken < seconds) return new StarvedRead(label, taken / seconds);
  return new KerasFileError(
    `${label}: reading: expected an end within ${seconds} s of processor time, got none. The file is damaged: copy or download it again. For a larger limit set KERAS_FINETUNE_READ_SECONDS.`,
    "endless",
  );
}
