import { DataError } from "../errors.ts";
import type { InputTensor } from "../tensor.ts";
import type { FileKind } from "./file-kind.ts";
import { readingThread } from "./reading-thread.ts";
import { limiter, readConcurrency } from "./reading-turns.ts";
import type { BadFile, LoadedSample, OpenInput, SampleReader } from "./sample-reader.ts";

export interface BatchOptions {
  readonly batchSize: number;
  /** True to fail at the first sample that cannot be used instead of leaving it out. */
  readonly strict?: boolean | undefined;
  /** The number of samples of the same set that are used without being read here: with any, it is no error that none of these can be. */
  readonly usedBefore?: number | undefined;
  /** Called with each sample, in order, before the batch that holds it. */
  readonly onSample?: ((outcome: SampleOutcome) => void) | undefined;
}

/** A file, and which view of it; the sample itself where `view` is absent. */
export interface SampleView {
  readonly path: string;
  readonly view?: number;
}

/** The outcome of reading one sample. */
export interface SampleOutcome {
  readonly path: string;
  /** Why the sample is left out; undefined if it is used. */
  readonly reason?: string;
  readonly rotated: boolean;
  readonly mislabelled: boolean;
}

export interface SampleBatch {
  /** `[N, …]` as the model takes it; owned by the receiver. */
  readonly input: InputTensor;
  /** Index of each of the N in the samples asked for. */
  readonly indices: readonly number[];
  /** The sha256 of the bytes that were read, in hexadecimal, for each of the N. */
  readonly contentHashes: readonly string[];
  /** Gives the memory of `input` to a later batch. It need not be called, and nothing may read `input` any more then. */
  release(): void;
}

/**
 * Reads batches in the order of `samples`. A sample that cannot be used is left out and the batch filled with the next, so that
 * every batch but the last has `batchSize` samples. Reads at most two batches ahead of the consumer.
 *
 * @throws {DataError} if no sample can be used, or with `strict` at the first that cannot.
 */
export async function* sampleBatches<Value>(
  samples: readonly SampleView[],
  reader: SampleReader<Value>,
  options: BatchOptions,
): AsyncGenerator<SampleBatch, void, void> {
  const { batchSize, usedBefore = 0 } = options;
  const total = samples.length + usedBefore;
  const bad: BadFile[] = [];
  const thread = readingThread(reader, samples);
  const source = thread ?? reader;
  const released: InputTensor[] = [];
  const emptyBatch = (): Batch<Value> => ({
    open: source.open(batchSize, released.pop()),
    indices: [],
    contentHashes: [],
  });
  const finished = ({ open, ...rest }: Batch<Value>): SampleBatch => {
    const input = open.finish(rest.indices.length);
    return { input, ...rest, release: () => void released.push(input) };
  };
  let batch = emptyBatch();
  let used = usedBefore;
  const ahead = Math.max(2 * batchSize, readConcurrency(samples[0]?.path));
  const read = readAhead(samples, source, ahead, thread ? ahead : readConcurrency(samples[0]?.path));
  try {
    for await (const { index, outcome } of read) {
      const path = samples[index]!.path;
      if ("reason" in outcome) {
        options.onSample?.({ path, reason: outcome.reason, rotated: false, mislabelled: false });
        if (options.strict) throw badFilesError([outcome], total, reader.kind);
        bad.push(outcome);
        continue;
      }
      options.onSample?.({ path, rotated: outcome.rotated, mislabelled: outcome.mislabelled });
      batch.open.set(batch.indices.length, outcome.value);
      batch.indices.push(index);
      batch.contentHashes.push(outcome.contentHash);
      used++;
      if (batch.indices.length === batchSize) {
        yield finished(batch);
        batch = emptyBatch();
      }
    }
  } finally {
    await read.return();
    thread?.close();
  }
  if (batch.indices.length > 0) yield finished(batch);
  if (used === 0 && samples.length > 0) throw badFilesError(bad, total, reader.kind);
}

/**
 * Reads samples into one tensor, in the order of their sources.
 *
 * @throws {DataError} if samples cannot be used; it names each.
 */
export async function loadSamples<Source, Value, Input extends InputTensor>(
  sources: readonly Source[],
  reader: Pick<SampleReader<Value, Input>, "kind" | "open"> & {
    load(source: Source): Promise<LoadedSample<Value> | BadFile>;
  },
): Promise<Input> {
  const open = reader.open(sources.length);
  const inTurn = limiter(readConcurrency(sources[0]));
  const outcomes = await Promise.all(
    sources.map((source, row) =>
      inTurn(async () => {
        const outcome = await reader.load(source);
        if ("reason" in outcome) return outcome;
        open.set(row, outcome.value);
        return null;
      }),
    ),
  );
  const bad = outcomes.filter((outcome) => outcome !== null);
  if (bad.length > 0) throw badFilesError(bad, sources.length, reader.kind);
  return open.finish(sources.length);
}

interface Sample<Value> {
  readonly index: number;
  readonly outcome: LoadedSample<Value> | BadFile;
}

async function* readAhead<Value>(
  samples: readonly SampleView[],
  reader: Pick<SampleReader<Value>, "load">,
  ahead: number,
  atOnce: number,
): AsyncGenerator<Sample<Value>, void, void> {
  const inTurn = limiter(atOnce);
  const pending: Promise<Sample<Value> | { readonly failure: unknown }>[] = [];
  let next = 0;
  let stopped = false;
  const load = (index: number) =>
    inTurn(async () => {
      const { path, view } = samples[index]!;
      if (stopped) return { index, outcome: { path, reason: "not asked for any more." } };
      return { index, outcome: await reader.load(path, view) };
    }).catch((failure: unknown) => ({ failure }));
  try {
    while (next < samples.length || pending.length > 0) {
      while (next < samples.length && pending.length < ahead) pending.push(load(next++));
      const sample = await pending.shift()!;
      if ("failure" in sample) throw sample.failure;
      yield sample;
    }
  } finally {
    stopped = true;
    await Promise.all(pending);
  }
}

interface Batch<Value> {
  readonly open: OpenInput<Value, InputTensor>;
  readonly indices: number[];
  readonly contentHashes: string[];
}

function badFilesError(bad: readonly BadFile[], total: number, { many }: FileKind): DataError {
  const listed = bad.slice(0, 5).map(({ path, reason }) => `${path}: ${reason}`);
  const more = bad.length > 5 ? `\nand ${bad.length - 5} more` : "";
  const head = bad.length === 1 && total === 1 ? "" : `${bad.length} of ${total} ${many} cannot be used:\n`;
  return new DataError(`${head}${listed.join("\n")}${more}`, "bad-files");
}
