import { KerasFileError, MachineError } from "../errors.ts";

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  ENOTDIR: "no such file or directory",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "the file system is read-only",
  EISDIR: "is a directory: expected a file",
  ENAMETOOLONG: "the name is too long",
};

const machineReasons: Readonly<Record<string, string>> = {
  EFBIG: "the file is larger than the file system or a limit (ulimit -f) allows. Write to another place.",
  EIO: "the disk reports an error. Check the disk, or write to another one.",
  EMFILE: "too many files are open. Close some, or raise the limit (ulimit -n).",
};

/**
 * Turns an error of the operating system into one that a user can act on. An error without a known code is returned as
 * it is.
 * @param label Name of the file in the message.
 */
export function systemError(label: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (typeof code !== "string") return error;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new MachineError(
      `${label}: no space left on the device. Free some space, or write to another place.`,
      "space",
    );
  }
  const refusal = machineReasons[code];
  if (refusal) return new MachineError(`${label}: ${refusal}`, code.toLowerCase());
  const reason = reasons[code];
  return reason ? new KerasFileError(`${label}: ${reason}.`, code.toLowerCase()) : error;
}
