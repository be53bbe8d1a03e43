import { describe, expect, test } from "vitest";
import { UsageError } from "../../src/errors.ts";
import { checkedShard, parseShard, shardFromEnvironment, shardIndexOf } from "../../src/features/shard.ts";

describe("the shard of a file", () => {
  const paths = Array.from({ length: 4000 }, (_, index) => `train/class${index % 7}/image-${index}.jpg`);

  test("follows from its path below the data's folder, however the system writes it", () => {
    expect(shardIndexOf("train\\ants\\1.jpg", 8)).toBe(shardIndexOf("train/ants/1.jpg", 8));
    expect(shardIndexOf("ants/e\u0301.jpg", 64)).toBe(shardIndexOf("ants/\u00e9.jpg", 64));
  });

  test("is one of the count, about as many files in each", () => {
    const counts = new Array<number>(8).fill(0);
    for (const path of paths) counts[shardIndexOf(path, 8)]!++;
    expect(counts.reduce((sum, count) => sum + count)).toBe(paths.length);
    for (const count of counts) expect(Math.abs(count - 500)).toBeLessThan(100);
  });

  test("does not change when other files come or go", () => {
    const before = paths.map((path) => shardIndexOf(path, 8));
    expect([...paths].reverse().map((path) => shardIndexOf(path, 8))).toEqual(before.reverse());
  });
});

describe("I/N", () => {
  test("is counted from 0", () => {
    expect(parseShard("0/8")).toEqual({ index: 0, count: 8 });
    expect(parseShard(" 7/8 ")).toEqual({ index: 7, count: 8 });
    expect(checkedShard({ index: 0, count: 1 })).toEqual({ index: 0, count: 1 });
  });

  test.each(["8/8", "9/8", "0/0", "1", "a/b", "-1/8", "1.5/8", ""])("%j is refused", (text) => {
    expect(() => parseShard(text)).toThrow(UsageError);
  });

  test("that counts from 1 is told what the last is", () => {
    expect(() => parseShard("8/8")).toThrow("The last of 8 is 7/8.");
  });
});

describe("the environment of a task", () => {
  test.each([
    ["Kubernetes", { JOB_COMPLETION_INDEX: "2", JOB_COMPLETIONS: "5" }, { index: 2, count: 5 }],
    [
      "Slurm, whose arrays need not begin at 0",
      { SLURM_ARRAY_TASK_ID: "12", SLURM_ARRAY_TASK_MIN: "10", SLURM_ARRAY_TASK_COUNT: "4" },
      { index: 2, count: 4 },
    ],
    [
      "Slurm with a step",
      {
        SLURM_ARRAY_TASK_ID: "9",
        SLURM_ARRAY_TASK_MIN: "1",
        SLURM_ARRAY_TASK_COUNT: "3",
        SLURM_ARRAY_TASK_STEP: "4",
      },
      { index: 2, count: 3 },
    ],
    ["AWS Batch", { AWS_BATCH_JOB_ARRAY_INDEX: "0", AWS_BATCH_JOB_ARRAY_SIZE: "3" }, { index: 0, count: 3 }],
    ["Google Cloud Batch", { BATCH_TASK_INDEX: "6", BATCH_TASK_COUNT: "7" }, { index: 6, count: 7 }],
  ])("of %s says the shard", (_name, environment, shard) => {
    expect(shardFromEnvironment(environment)).toEqual(shard);
  });

  test("outside of an array says none", () => {
    expect(shardFromEnvironment({ PATH: "/bin", SLURM_JOB_ID: "7" })).toBeNull();
  });

  test.each([
    ["no count", { JOB_COMPLETION_INDEX: "2" }, "JOB_COMPLETIONS: expected a whole number"],
    ["no number", { BATCH_TASK_INDEX: "x", BATCH_TASK_COUNT: "7" }, 'got "x"'],
    [
      "a list of tasks with gaps",
      { SLURM_ARRAY_TASK_ID: "9", SLURM_ARRAY_TASK_MIN: "1", SLURM_ARRAY_TASK_COUNT: "3" },
      "with numbers that follow each other, got 9",
    ],
    [
      "two schedulers",
      { JOB_COMPLETION_INDEX: "0", JOB_COMPLETIONS: "2", BATCH_TASK_INDEX: "1", BATCH_TASK_COUNT: "2" },
      "those of Kubernetes and Google Cloud Batch",
    ],
  ])("with %s is refused", (_name, environment, message) => {
    expect(() => shardFromEnvironment(environment)).toThrow(UsageError);
    expect(() => shardFromEnvironment(environment)).toThrow(message);
  });
});
