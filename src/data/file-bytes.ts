import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { MachineError } from "../errors.ts";

/**
 * Returns a file's bytes, or why there are none in words that follow a path and a colon.
 *
 * @throws {MachineError} if the disk fails.
 */
export async function readFileBytes(path: string, maxBytes: number): Promise<Buffer | string> {
  try {
    const status = await stat(path);
    if (!status.isFile()) return "not a file.";
    if (status.size > maxBytes) return `too large: expected at most ${maxBytes} bytes, got ${status.size}.`;
    return await readFile(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return "no such file.";
    if (code === "EACCES" || code === "EPERM") return "permission denied.";
    if (code === "EIO" || code === "ELOOP" || code === "ENOTDIR" || code === "ENAMETOOLONG")
      return `cannot be read (${code}).`;
    throw new MachineError(`${path}: cannot be read: ${message.replace(/\.$/, "")}.`);
  }
}

/** Returns the sha256 of a file's bytes, in hexadecimal. */
export async function contentHash(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}
