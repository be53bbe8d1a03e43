import type { BadFile, SampleReader } from "../data/sample-reader.ts";
import { DataError } from "../errors.ts";
import { extractArrays } from "./array-features.ts";
import type { FileFeatures } from "./file-features.ts";
import { tensorRows } from "./sample-rows.ts";
import type { StaticProgram } from "./trunk.ts";

interface OpenRowOptions {
  readonly reader: SampleReader;
  readonly strict: boolean;
  readonly batchSize: number;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((done: number, cached: number) => void) | undefined;
}

/** The frontier tensors of files where they are as long as the longest text of all: each is run, and none is kept. */
export async function extractOpenRows(
  part: StaticProgram,
  samples: readonly { readonly path: string }[],
  { reader, strict, batchSize, signal, onProgress }: OpenRowOptions,
): Promise<FileFeatures> {
  const open = reader.open(samples.length);
  const indices: number[] = [];
  const bad: BadFile[] = [];
  for (const [index, { path }] of samples.entries()) {
    signal?.throwIfAborted();
    const outcome = await reader.load(path);
    if ("reason" in outcome) {
      if (strict) throw new DataError(`${path}: ${outcome.reason}`, "bad-files");
      bad.push(outcome);
      continue;
    }
    open.set(indices.length, outcome.value);
    indices.push(index);
  }
  const tensors = await extractArrays(part, [open.finish(indices.length)], {
    batchSize,
    signal,
    onProgress: (done) => onProgress?.(done + bad.length, 0),
  });
  return { features: tensors.map(tensorRows), indices, bad, cached: 0, dispose: () => {} };
}
