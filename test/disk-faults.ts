/** A disk that fills, or a process that dies, at a chosen change of the disk. */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

export interface DiskFault {
  /** `full`: what takes room is answered ENOSPC; `killed`: nothing reaches the disk any more, clean-up neither. */
  readonly kind: "full" | "killed";
  /** The first change that fails, from 1. */
  readonly at: number;
}

/** A number that no process has. */
const deadPid = 2 ** 22 + 1;

let fault: DiskFault | null = null;
let changes = 0;

/**
 * Runs `action` with the fault, every change counted: opening to write, writing, syncing, renaming, making and removing; nothing waits for the disk. A write that
 * fails leaves half its bytes. Under `killed` the process has a pid that nobody has. Returns how many changes there were.
 */
export async function withDiskFault(own: DiskFault, action: () => unknown): Promise<number> {
  const pid = Object.getOwnPropertyDescriptor(process, "pid")!;
  if (own.kind === "killed") Object.defineProperty(process, "pid", { value: deadPid, configurable: true });
  Object.assign(fs, faulty);
  Object.assign(fs.promises, faultyPromises);
  syncBuiltinESMExports();
  fault = own;
  changes = 0;
  try {
    await action();
  } finally {
    fault = null;
    Object.assign(fs, real);
    Object.assign(fs.promises, realPromises);
    syncBuiltinESMExports();
    Object.defineProperty(process, "pid", pid);
  }
  return changes;
}

/** Whether the change at hand fails. */
function fails(takesRoom: boolean): boolean {
  changes++;
  return fault !== null && changes >= fault.at && (takesRoom || fault.kind === "killed");
}

function answer(call: string): Error {
  const code = fault?.kind === "full" ? "ENOSPC" : "EKILLED";
  return Object.assign(new Error(`${code}: no space left on device, ${call}`), { code, syscall: call });
}

// biome-ignore lint/suspicious/noExplicitAny: stands for functions of every signature
type Call = (...args: any[]) => unknown;

function faultyCall<F extends Call>(name: string, original: F, takesRoom: boolean): F {
  return ((...args: Parameters<F>) => {
    if (fails(takesRoom)) throw answer(name);
    return original(...args);
  }) as F;
}

type WriteArguments = [descriptor: number, bytes: Uint8Array, from?: number, length?: number, at?: number];

const real = {
  openSync: fs.openSync,
  writeSync: fs.writeSync,
  writeFileSync: fs.writeFileSync,
  fsyncSync: fs.fsyncSync,
  renameSync: fs.renameSync,
  mkdirSync: fs.mkdirSync,
  rmSync: fs.rmSync,
  rmdirSync: fs.rmdirSync,
};
const realPromises = { mkdir: fs.promises.mkdir, rm: fs.promises.rm };

const faulty = {
  openSync: ((path, flags = "r", mode) => {
    if (/[wa]/.test(String(flags)) && fails(true)) throw answer("open");
    return real.openSync(path, flags, mode);
  }) as typeof fs.openSync,
  writeSync: ((...[descriptor, bytes, from, length, at]: WriteArguments) => {
    if (!fails(true)) return real.writeSync(descriptor, bytes, from, length, at);
    real.writeSync(descriptor, bytes, from, (length ?? bytes.length) >> 1, at);
    throw answer("write");
  }) as typeof fs.writeSync,
  writeFileSync: ((file, data, options) => {
    if (!fails(true)) return real.writeFileSync(file, data, options);
    if (typeof file === "number") real.writeFileSync(file, String(data).slice(0, 1));
    throw answer("write");
  }) as typeof fs.writeFileSync,
  fsyncSync: faultyCall("fsync", () => {}, true),
  renameSync: faultyCall("rename", real.renameSync, false),
  mkdirSync: faultyCall("mkdir", real.mkdirSync, true),
  rmSync: faultyCall("rm", real.rmSync, false),
  rmdirSync: faultyCall("rmdir", real.rmdirSync, false),
};
const faultyPromises = {
  mkdir: faultyCall("mkdir", realPromises.mkdir, true),
  rm: faultyCall("rm", realPromises.rm, false),
};
