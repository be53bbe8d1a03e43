/** Shares of a dataset for machines that extract it together. */
import { createHash } from "node:crypto";
import type { BadFile } from "../data/sample-reader.ts";
import { UsageError } from "../errors.ts";
import { optionError, optionName } from "../options.ts";

/** One of `count` shares, counted from 0. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** Figures of an extraction. Samples count once for each of their views. */
export interface FeatureFigures {
  readonly samples: number;
  readonly extracted: number;
  /** The number of samples that the cache held already. */
  readonly cached: number;
  /** Size of the samples' features. */
  readonly bytes: number;
  readonly seconds: number;
}

/** Outcome of the extraction of one shard. */
export interface ShardFeatures extends FeatureFigures {
  readonly shard: Shard;
  readonly bad: readonly BadFile[];
}

/** The whole as its only share. */
export const wholeShard: Shard = { index: 0, count: 1 };

/**
 * Returns the index of the shard that a file belongs to. It follows from the path below the data's folder alone, so that every machine
 * finds the same without reading a file.
 */
export function shardIndexOf(relativePath: string, count: number): number {
  const path = relativePath.replaceAll("\\", "/").normalize("NFC");
  return createHash("sha256").update(path).digest().readUIntBE(0, 6) % count;
}

/**
 * Returns the shard that `text` means, `2/8`: the third of eight, since they are counted from 0.
 * @throws {UsageError} for any other text.
 */
export function parseShard(text: string): Shard {
  const [, index, count] = /^(\d+)\/(\d+)$/.exec(text.trim()) ?? [];
  return checkedShard({ index: Number(index), count: Number(count) }, text);
}

/** Returns the shard itself. @throws {UsageError} if it is not one of its count. */
export function checkedShard({ index, count }: Shard, given: unknown = `${index}/${count}`): Shard {
  const isWhole = Number.isSafeInteger(index) && Number.isSafeInteger(count);
  if (isWhole && count > 0 && index >= 0 && index < count) return { index, count };
  const advice = isWhole && index === count ? `The last of ${count} is ${count - 1}/${count}.` : "";
  throw optionError("shard", "I/N with I from 0 to N - 1, such as 0/8", given, { code: "shard", advice });
}

/** Variables in which a scheduler tells a task of an array its number. */
interface Scheduler {
  readonly name: string;
  readonly index: string;
  readonly count: string;
  /** The variable with the number of the first task, and the one with the step between two; 0 and 1 without them. */
  readonly first?: string;
  readonly step?: string;
  /** Explains where `count` comes from, if the scheduler does not set it by itself. */
  readonly advice?: string;
}

const schedulers: readonly Scheduler[] = [
  {
    name: "Kubernetes",
    index: "JOB_COMPLETION_INDEX",
    count: "JOB_COMPLETIONS",
    advice: "Set it in the Job's manifest to the number of completions.",
  },
  {
    name: "Slurm",
    index: "SLURM_ARRAY_TASK_ID",
    count: "SLURM_ARRAY_TASK_COUNT",
    first: "SLURM_ARRAY_TASK_MIN",
    step: "SLURM_ARRAY_TASK_STEP",
  },
  { name: "AWS Batch", index: "AWS_BATCH_JOB_ARRAY_INDEX", count: "AWS_BATCH_JOB_ARRAY_SIZE" },
  { name: "Google Cloud Batch", index: "BATCH_TASK_INDEX", count: "BATCH_TASK_COUNT" },
];

/**
 * Returns the shard that the environment of a task of Kubernetes, Slurm, AWS Batch or Google Cloud Batch says, null outside of an array
 * of tasks.
 * @throws {UsageError} if the variables do not make a shard, or if several schedulers have set theirs.
 */
export function shardFromEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): Shard | null {
  const [found, other] = schedulers.filter(({ index }) => environment[index] !== undefined);
  if (!found) return null;
  if (other) {
    throw new UsageError(
      `${found.index} and ${other.index}: expected variables of one scheduler, got those of ${found.name} and ${other.name}. Pass ${optionName("shard")} I/N.`,
      "shard",
      "shard",
    );
  }
  const number = (name: string | undefined, absent?: number): number => {
    const text = name === undefined ? undefined : environment[name];
    if (text === undefined && absent !== undefined) return absent;
    const value = Number(text);
    if (text !== undefined && text.trim() !== "" && Number.isSafeInteger(value)) return value;
    throw new UsageError(
      `${name}: expected a whole number, which ${found.name} gives to each task of an array, got ${text === undefined ? "none" : JSON.stringify(text)}. ${found.advice ?? `Pass ${optionName("shard")} I/N.`}`,
      "shard",
      "shard",
    );
  };
  const index = (number(found.index) - number(found.first, 0)) / number(found.step, 1);
  const count = number(found.count);
  if (Number.isInteger(index) && index >= 0 && index < count) return { index, count };
  throw new UsageError(
    `${found.index}: expected one of ${count} tasks, ${found.count}, with numbers that follow each other, got ${environment[found.index]}. Pass ${optionName("shard")} I/N.`,
    "shard",
    "shard",
  );
}
