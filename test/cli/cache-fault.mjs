/**
 * Loaded before the command: of the FAULT_AT-th write of the feature cache only half happens. With FAULT=kill it is the process's
 * last; else the disk is full from then on.
 */
import { writeSync } from "node:fs";
import { open } from "node:fs/promises";

const probe = await open(process.execPath);
const handle = Object.getPrototypeOf(probe);
await probe.close();
const { write } = handle;
let left = Number(process.env.FAULT_AT);

handle.write = function (bytes, from, length, position) {
  if (--left > 0) return write.call(this, bytes, from, length, position);
  if (left === 0) writeSync(this.fd, bytes, from, length >> 1, position);
  if (process.env.FAULT === "kill") process.kill(process.pid, "SIGKILL");
  throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
};
