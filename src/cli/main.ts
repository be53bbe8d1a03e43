/**
 * The main thread of the command line. The work runs in a thread of its own (`work.ts`), because a native step blocks the thread
 * that it runs in for seconds: this one always hears Ctrl-C, and writes what the work says.
 */
import { rmSync } from "node:fs";
import { constants } from "node:os";
import { receiveMessageOnPort, SHARE_ENV, Worker } from "node:worker_threads";
import type { FromWork, ToWork, WorkData } from "./thread-messages.ts";

/** The signals that ask a process to end: Ctrl-C, a scheduler or `timeout`, a terminal that closes. */
const endingSignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Columns of stdout and stderr, which the work reads whenever it draws. */
const columns = new Int32Array(new SharedArrayBuffer(8));
const { port1: messages, port2: port } = new MessageChannel();
const hasColors = (stream: NodeJS.WriteStream): boolean => stream.isTTY === true && stream.hasColors();
const workerData: WorkData = {
  columns,
  isTerminal: process.stderr.isTTY === true,
  isOutputTerminal: process.stdout.isTTY === true,
  colors: { stdout: hasColors(process.stdout), stderr: hasColors(process.stderr) },
  port,
};
const work = new Worker(new URL("./work.js", import.meta.url), {
  argv: process.argv.slice(2),
  env: SHARE_ENV,
  stdout: true,
  stderr: true,
  workerData,
  transferList: [port],
});

/** True if the first signal only asks the work to stop. */
let interruptible = false;
/** True if the work ends once nobody reads what it prints. */
let needsReader = true;
let stopping = false;
const unfinished = new Set<string>();
let outputFailed = false;

measureTerminal();
process.stdout.on("resize", measureTerminal);
process.stderr.on("resize", measureTerminal);
for (const name of endingSignals) process.on(name, () => heard(name));
messages.on("message", received);
messages.unref();
passOutput();
work.on("error", (error: NodeJS.ErrnoException) => {
  process.stderr.write(
    error.code === "ERR_WORKER_OUT_OF_MEMORY"
      ? "memory: expected the work to fit into Node's heap, got more. Set NODE_OPTIONS=--max-old-space-size=8000, the heap in MB.\n"
      : `This is a bug in finetune, please report it.\n${error.stack ?? error.message}\n`,
  );
});
work.on("exit", (code) => {
  process.exitCode = outputFailed ? 1 : code;
});

function heard(name: (typeof endingSignals)[number]): void {
  drainMessages();
  if (stopping || !interruptible) leave(name);
  stopping = true;
  messages.postMessage({ kind: "stop", exitCode: 128 + constants.signals[name] } satisfies ToWork);
  if (workerData.isTerminal) process.stderr.write("\r\u001b[2K");
  process.stderr.write("Stopping after this step. Press Ctrl-C again to leave at once.\n");
}

/** Ends the process as the signal does by default, whatever the work is in, without the files that it had begun. */
function leave(name: (typeof endingSignals)[number]): void {
  drainMessages();
  for (const path of unfinished) {
    try {
      rmSync(path, { recursive: true, force: true, maxRetries: 3, retryDelay: 10 });
    } catch {
      // What cannot be removed is found and removed by the next run.
    }
  }
  for (const signal of endingSignals) process.removeAllListeners(signal);
  process.kill(process.pid, name);
}

function received(message: FromWork): void {
  switch (message.kind) {
    case "runs":
      interruptible = message.interruptible;
      needsReader = !message.interruptible;
      break;
    case "unfinished":
      if (message.state === "begun") unfinished.add(message.path);
      else unfinished.delete(message.path);
  }
}

/** Takes the messages that have come and were not heard yet. */
function drainMessages(): void {
  for (let next = receiveMessageOnPort(messages); next; next = receiveMessageOnPort(messages)) {
    received(next.message as FromWork);
  }
}

/**
 * Writes what the work prints. Nothing that a command computes is lost to an output that cannot be written: a reader that goes
 * away ends only a command that needs one, and anything else, such as a full disk, is said once and makes the exit code 1.
 */
function passOutput(): void {
  let isWritable = true;
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (!isWritable) return;
    isWritable = false;
    if (error.code !== "EPIPE") {
      outputFailed = true;
      process.stderr.write(`standard output: cannot be written: ${error.message}.\n`);
    } else if (needsReader) leaveUnread();
  });
  // Nobody is left to tell.
  process.stderr.on("error", () => {});
  work.stdout.on("data", (chunk: Uint8Array) => {
    if (isWritable) process.stdout.write(chunk);
  });
  work.stderr.on("data", (chunk: Uint8Array) => process.stderr.write(chunk));
}

/** Ends without an error. A GPU must be left by the thread that works with it, if that one listens. */
function leaveUnread(): void {
  messages.postMessage({ kind: "leave" } satisfies ToWork);
  setTimeout(() => process.exit(0), 1000).unref();
}

function measureTerminal(): void {
  columns[0] = process.stdout.columns ?? 0;
  columns[1] = process.stderr.columns ?? 0;
}
