import { readFileSync } from "node:fs";

/** Clock of the calling thread in later Nodes, which the types of the earliest supported one lack. */
interface ThreadClock {
  threadCpuUsage?(): { readonly user: number; readonly system: number };
}

/**
 * Returns the seconds of processor time that the calling thread has had. Node tells them from 23.9 on, Linux in its own file; elsewhere
 * they are those of the whole process.
 */
export function threadSeconds(): number {
  const { threadCpuUsage } = process as ThreadClock;
  if (threadCpuUsage) {
    const { user, system } = threadCpuUsage.call(process);
    return (user + system) / 1e6;
  }
  const nanoseconds = schedulerNanoseconds();
  if (nanoseconds > 0) return nanoseconds / 1e9;
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** Returns the first number of `/proc/thread-self/schedstat`, the time on a processor; 0 where there is none. */
function schedulerNanoseconds(): number {
  try {
    return Number.parseInt(readFileSync("/proc/thread-self/schedstat", "utf8"), 10) || 0;
  } catch {
    return 0;
  }
}
