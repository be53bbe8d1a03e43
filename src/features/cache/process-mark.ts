import { readFileSync, readlinkSync } from "node:fs";
import { rename, stat, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { isRunning } from "../../formats/atomic-file.ts";

/**
 * Identity of the process that wrote a mark (a lease, a notice of eviction) into a folder. Pids mean something on one machine and in
 * one pid namespace, and are used again: the process's start time tells the later one apart.
 */
interface ProcessMark {
  readonly machine: string;
  readonly pid: number;
  /** Start time in clock ticks since the machine started; null where the system does not tell. */
  readonly started: string | null;
}

/** A mark of a process that cannot be asked (another machine's) counts as long as it is renewed at least this often. */
const renewalMs = 10 * 60_000;

/** Writes this process's mark, whole or not at all. @throws the system's error. */
export async function writeMark(path: string): Promise<void> {
  const mark: ProcessMark = { machine: machineName(), pid: process.pid, started: startOf(process.pid) };
  const temporary = `${path}.tmp`;
  await writeFile(temporary, JSON.stringify(mark));
  await rename(temporary, path);
}

/** Returns whether the process that wrote the mark still runs; false where there is no mark. */
export async function isMarkAlive(path: string): Promise<boolean> {
  let mark: Partial<ProcessMark>;
  try {
    mark = JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return false;
  }
  if (mark.machine === machineName() && typeof mark.pid === "number") {
    return isRunning(mark.pid) && startOf(mark.pid) === mark.started;
  }
  const renewed = await stat(path).then(
    (status) => status.mtimeMs,
    () => 0,
  );
  return Date.now() - renewed < renewalMs;
}

function machineName(): string {
  const boot = tryRead(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim());
  const namespace = tryRead(() => readlinkSync("/proc/self/ns/pid"));
  return [hostname(), boot, namespace].join(" ");
}

/** Returns field 22 of `/proc/<pid>/stat`; the command before it may hold spaces and brackets. */
function startOf(pid: number): string | null {
  const text = tryRead(() => readFileSync(`/proc/${pid}/stat`, "utf8"));
  return text?.slice(text.lastIndexOf(")") + 2).split(" ")[19] ?? null;
}

function tryRead(read: () => string): string | null {
  try {
    return read();
  } catch {
    return null;
  }
}
