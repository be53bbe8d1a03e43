/** Caches in new folders, features to put into them, and processes that use them until they are killed. */
import { type ChildProcess, fork } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { openFeatureCache } from "../../../src/features/cache/feature-cache.ts";
import type { FeatureCache, FeatureCacheOptions } from "../../../src/features/cache/kept-features.ts";

export const tensors = [
  { name: "block_out", shape: [4, 4, 8] },
  { name: "shortcut", shape: [10] },
] as const;

export const recordBytes = 4 * (4 * 4 * 8 + 10);

const directories: string[] = [];
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

/** An empty folder; it is gone after the file's last test. */
export function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "keras-finetune-cache-"));
  directories.push(directory);
  return directory;
}

export function openCache(directory: string, own: Partial<FeatureCacheOptions> = {}): Promise<FeatureCache> {
  return openFeatureCache({ directory, trunkKey: "trunk", tensors, ...own });
}

/** sha256 of a made-up sample. */
export function sampleKey(sample: number | string): string {
  return createHash("sha256").update(`sample ${sample}`).digest("hex");
}

/** Features that only this sample has, with every kind of value among them. */
export function features(sample: number): Float32Array[] {
  return [128, 10].map((count) => {
    const values = Float32Array.from(
      { length: count },
      (_, index) => Math.sin(sample * 1000 + index) * 10 ** (index % 7),
    );
    values.set([-0, Number.MIN_VALUE, 1e-40, Number.POSITIVE_INFINITY, sample]);
    return values;
  });
}

export function trunkFolders(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => !name.startsWith("."))
    .map((name) => join(directory, name));
}

export function filesIn(directory: string, ending: string): string[] {
  return trunkFolders(directory).flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith(ending))
      .map((name) => join(folder, name)),
  );
}

export interface Worker {
  readonly process: ChildProcess;
  /** Resolves when the worker has said `message`. */
  said(message: string): Promise<void>;
  /** Resolves with the signal or exit code that ended it. */
  readonly ended: Promise<string | number | null>;
}

/** Another process that does `task` with the cache in `directory`. */
export function startWorker(task: string, directory: string, ...args: readonly string[]): Worker {
  const child = fork(new URL("./cache-worker.mjs", import.meta.url), [task, directory, ...args]);
  const heard = new Set<string>();
  const waiting = new Map<string, () => void>();
  child.on("message", (message) => {
    heard.add(String(message));
    waiting.get(String(message))?.();
  });
  const ended = new Promise<string | number | null>((resolve) => {
    child.on("exit", (code, signal) => resolve(signal ?? code));
  });
  return {
    process: child,
    ended,
    said: (message) =>
      new Promise((resolve, reject) => {
        if (heard.has(message)) resolve();
        waiting.set(message, resolve);
        ended.then((how) => reject(new Error(`the worker ended (${how}) before it said "${message}"`)));
      }),
  };
}
