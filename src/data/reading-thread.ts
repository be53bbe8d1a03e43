/** @file Images that a thread of its own reads while this one computes: a native step blocks the thread that it runs in. */
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { isBucketAddress } from "../storage/address.ts";
import { limiter, readConcurrency } from "./reading-turns.ts";
import type { BadFile, LoadedSample, SampleReader } from "./sample-reader.ts";

/** A request for one image. */
export interface ReadRequest {
  readonly id: number;
  readonly path: string;
  /** A value that is used no more, for the pixels to be written into. */
  readonly spare?: Float32Array | undefined;
}

type Outcome = LoadedSample<Float32Array> | BadFile;

/** The answer to a request, null for one on which the reader failed, or what the thread says once it can read. */
export type ReadAnswer =
  | { readonly id: number; readonly outcome: Outcome | null }
  | { readonly isReady: true };

/** A reader whose images are read beside the thread that asks for them. */
export interface ReadingThread<Value> extends Pick<SampleReader<Value>, "load" | "open"> {
  /** Ends the thread once it has read what it was asked for. */
  close(): void;
}

/** The `ImageOptions` of readers of images. Only the reader itself is known here: one that is made of it may load something else. */
const optionsOf = new WeakMap<object, object>();

/** Lets a thread of its own read what a reader of images would read, by the `ImageOptions` that it is made of. */
export function readableApart(reader: SampleReader<Float32Array>, options: object): void {
  optionsOf.set(reader, options);
}

/** Files from which on a thread is worth its start, which takes as long as reading twenty images. */
const leastSamples = 96;

/**
 * Starts a thread that reads what `reader` would; null for a reader of anything but images, for few of them or for those in a bucket,
 * which this process has a connection to, on a single processor, and where Node runs the sources. Until the thread has
 * started, and if it fails, the images are read here.
 */
export function readingThread<Value>(
  reader: SampleReader<Value>,
  samples: readonly { readonly path: string }[],
): ReadingThread<Value> | null {
  const options = optionsOf.get(reader);
  const [first] = samples;
  if (!options || !first || samples.length < leastSamples || isBucketAddress(first.path)) return null;
  const work = new URL("./reading-work.js", import.meta.url);
  if (availableParallelism() === 1 || !existsSync(work)) return null;
  // Options are known of readers of images alone, whose values are floats.
  return startThread(
    work,
    options,
    reader as SampleReader<unknown> as SampleReader<Float32Array>,
  ) as ReadingThread<unknown> as ReadingThread<Value>;
}

function startThread(
  work: URL,
  options: object,
  reader: SampleReader<Float32Array>,
): ReadingThread<Float32Array> {
  const thread = new Worker(work, { workerData: options, execArgv: [] });
  const waiting = new Map<
    number,
    { readonly path: string; readonly answer: (outcome: Outcome | Promise<Outcome>) => void }
  >();
  const spares: Float32Array[] = [];
  let isReady = false;
  let requests = 0;
  const inTurn = limiter(readConcurrency());
  const ask = (path: string): Promise<Outcome> => {
    const id = requests++;
    const spare = spares.pop();
    const request: ReadRequest = { id, path, spare };
    thread.postMessage(request, spare ? [spare.buffer as ArrayBuffer] : []);
    return new Promise((answer) => waiting.set(id, { path, answer }));
  };
  const readHere = (path: string): Promise<Outcome> =>
    inTurn(() => (isReady ? ask(path) : reader.load(path)));
  const end = (): void => {
    isReady = false;
    // What was asked for in its turn holds that turn until it is answered.
    const inTurnAgain = limiter(readConcurrency());
    for (const { path, answer } of waiting.values()) answer(inTurnAgain(() => reader.load(path)));
    waiting.clear();
  };
  thread.on("message", (message: ReadAnswer) => {
    if ("isReady" in message) {
      isReady = true;
      return;
    }
    const request = waiting.get(message.id);
    waiting.delete(message.id);
    // What the reader throws there it throws here too, as the error that it is.
    request?.answer(message.outcome ?? reader.load(request.path));
  });
  thread.on("error", end);
  thread.on("exit", end);
  return {
    load: (path) => (isReady ? ask(path) : readHere(path)),
    open: (rows, former) => {
      const { set, finish } = reader.open(rows, former);
      return {
        set: (row, value) => {
          set(row, value);
          spares.push(value);
        },
        finish,
      };
    },
    close: () => thread.postMessage(null),
  };
}
