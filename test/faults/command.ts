/** The command as a process of its own, which is killed, limited or run as somebody else, and what it leaves. */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, onTestFinished } from "vitest";
import type { Weights } from "../../src/index.ts";
import { readCheckpoint } from "../../src/index.ts";

export const root = join(import.meta.dirname, "..", "..");
export const photos = join(root, "fixtures", "demo", "photos");
export const smallModel = join(root, "fixtures", "cli", "small_resnet.keras");
const command = join(process.env["FINETUNE_COPY"] ?? root, "bin", "finetune.js");
/** Number of images in `photos`. */
export const images = 75;
/** KILLS and SEED, which `npm run test:faults -- --kills N --seed N` sets. */
export const kills = Number(process.env["KILLS"] ?? 5);
export const seed = Number(process.env["SEED"] ?? 1);
/** True for the long command, which a kill count of 50 or more asks for. */
export const isLong = kills >= 50;

export interface Ended {
  /** Null where a signal ended the process. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly milliseconds: number;
}

export interface Surroundings {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds after which the process is killed, as by `kill -9`. */
  readonly killAfter?: number;
  /** A program and its arguments that the command is run by: `["faketime", "-1d"]`. */
  readonly by?: readonly string[];
  /** Called with all that is written, at each piece. */
  readonly watch?: (written: string) => void;
}

/** Runs `finetune` to its end, on the engine of the environment. */
export function finetuneCommand(args: readonly string[], around: Surroundings = {}): Promise<Ended> {
  const { cwd = root, env = {}, killAfter, by = [], watch } = around;
  const [program = "", ...rest] = [...by, process.execPath, command, ...args];
  const { FORCE_COLOR: _color, NODE_OPTIONS: _options, ...inherited } = process.env;
  const started = performance.now();
  const child = spawn(program, rest, {
    cwd,
    env: { ...inherited, KERAS_FINETUNE_ENGINE: engine, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const clock = killAfter === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), killAfter);
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    watch?.(stdout + stderr);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    watch?.(stdout + stderr);
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(clock);
      resolve({ code, signal, stdout, stderr, milliseconds: performance.now() - started });
    });
  });
}

export const engine = process.env["KERAS_FINETUNE_ENGINE"] ?? "wasm";

/** Flags of a run of seconds, its features in `cache`. */
export function training(cache: string, ...more: readonly string[]): string[] {
  return [
    ...["--model", smallModel, "--data", photos, "--freeze-until", "conv3", "--epochs=2"],
    ...["--cache", cache, ...more],
  ];
}

/** Weights and figures of a run, which do not depend on time or place. */
export interface Results {
  readonly weights: Weights;
  /** history.csv without its last column, the seconds. */
  readonly history: string;
}

export async function resultsIn(out: string): Promise<Results> {
  const { weights } = await readCheckpoint(join(out, "model.keras"));
  return { weights, history: readFileSync(join(out, "history.csv"), "utf8").replace(/,[^,]*$/gm, "") };
}

/** Names in a folder that begin with a dot: what is made on the way. */
export function unfinishedIn(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.startsWith("."));
}

/** A new folder that is gone after the test. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "faults-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A new folder that is gone after the file's tests. */
export function lastingScratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "faults-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Returns how a process ended, and what it says of an error; a stack is a bug. */
export function trouble({ code, signal, stderr }: Ended): readonly unknown[] {
  return [code, signal, /^\s+at .*/m.exec(stderr)?.[0] ?? (code === 0 ? null : stderr.trim().slice(-1000))];
}
/** `trouble` of a command that did what it was asked. */
export const done = [0, null, null];
