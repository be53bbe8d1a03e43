import { type ChildProcess, fork, spawn } from "node:child_process";
import { closeSync, cpSync, mkdirSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, onTestFinished } from "vitest";
import { isWhole } from "../sample.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

export interface CliResult {
  /** Null where a signal ended the process. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Called with everything written so far, at each piece; may send signals. */
  readonly watch?: (written: string, send: (signal: NodeJS.Signals) => void) => void;
  /** Milliseconds after which Ctrl-C is pressed. */
  readonly interruptAfter?: number;
  /** Where stdout goes: to the result, to a reader that has gone, or to a disk that is full. */
  readonly stdout?: "read" | "closed" | "full";
}

/**
 * Runs `node bin/finetune.js` on wasm to its end. `npm test` lets a process that is warm do what needs none of its own, which
 * saves the time that a process takes to load; `npm run test:all` starts one each time.
 */
export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const { cwd = root, env = {}, ...own } = options;
  const choosesEngine = args.some((word) => /^--(engine|threads|verbose)/.test(word));
  if (isWhole || choosesEngine || Object.keys(own).length > 0 || "NODE_OPTIONS" in env)
    return spawnCli(args, options);
  const request = {
    args,
    cwd,
    env: { KERAS_FINETUNE_ENGINE: "wasm", KERAS_FINETUNE_HOME: homeOfTests(), ...env },
  };
  const result = before.then(() => runWarm(request));
  before = result.catch(() => {});
  return result;
}

/** What the warm process was asked last: it does one thing at a time. */
let before: Promise<unknown> = Promise.resolve();
let warm: ChildProcess | undefined;

function runWarm(request: object): Promise<CliResult> {
  if (!warm || warm.exitCode !== null) {
    const { FORCE_COLOR: _color, ...env } = process.env;
    const started = fork(join(import.meta.dirname, "warm-cli.mjs"), { env, stdio: "ignore", execArgv: [] });
    process.once("exit", () => started.kill());
    warm = started;
  }
  const child = warm;
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void => reject(new Error(`the warm process ended with ${code}`));
    child.once("exit", onExit);
    child.once("message", (result: Omit<CliResult, "signal">) => {
      child.off("exit", onExit);
      resolve({ ...result, signal: null });
    });
    child.send(request);
  });
}

function spawnCli(
  args: readonly string[],
  { cwd, env, watch, interruptAfter, stdout: target = "read" }: CliOptions,
): Promise<CliResult> {
  const full = target === "full" ? openSync("/dev/full", "w") : undefined;
  const { FORCE_COLOR: _color, ...inherited } = process.env;
  const child = spawn(process.execPath, [join(root, "bin", "finetune.js"), ...args], {
    cwd: cwd ?? root,
    env: { ...inherited, KERAS_FINETUNE_ENGINE: "wasm", KERAS_FINETUNE_HOME: homeOfTests(), ...env },
    stdio: ["ignore", full ?? "pipe", "pipe"],
  });
  if (full !== undefined) closeSync(full);
  if (target === "closed") child.stdout?.destroy();
  const clock =
    interruptAfter === undefined ? undefined : setTimeout(() => child.kill("SIGINT"), interruptAfter);
  child.on("close", () => clearTimeout(clock));
  let stdout = "";
  let stderr = "";
  const told = (): void => watch?.(stdout + stderr, (signal) => child.kill(signal));
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    told();
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    told();
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

/** Names of the files that a run leaves in its folder, in order. */
export const runFiles: readonly string[] = [
  "args.json",
  "events.jsonl",
  "history.csv",
  "labels.json",
  "model.keras",
  "plan.json",
  "report.html",
  "report.json",
];

/** A path below fixtures/. */
export function fixture(...parts: readonly string[]): string {
  return join(root, "fixtures", ...parts);
}

/** A new folder that is gone after the file's tests; to be called in beforeAll. */
export function lastingScratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "finetune-cli-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A new folder that is gone after the test. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "finetune-cli-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Class folders with a few of the demo's pictures each: `{ train: { brick: 3 } }` or `{ brick: 3 }`. */
export function photos(layout: Readonly<Record<string, number | Readonly<Record<string, number>>>>): string {
  const folder = scratch();
  const copy = (name: string, count: number, target: string): void => {
    mkdirSync(target, { recursive: true });
    for (let index = 0; index < count; index++) {
      const picture = `${name}-${Math.floor(index / 5)}${index % 5}.jpg`;
      cpSync(fixture("demo", "photos", "train", name, picture), join(target, picture));
    }
  };
  for (const [name, value] of Object.entries(layout)) {
    if (typeof value === "number") copy(name, value, join(folder, name));
    else for (const [inner, count] of Object.entries(value)) copy(inner, count, join(folder, name, inner));
  }
  return folder;
}

let home: string | undefined;

function homeOfTests(): string {
  if (home === undefined) {
    const made = mkdtempSync(join(tmpdir(), "finetune-home-"));
    process.on("exit", () => rmSync(made, { recursive: true, force: true }));
    home = made;
  }
  return home;
}
