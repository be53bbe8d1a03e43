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
  EFBIG: "larger than the file system or a limit (ulimit -f) allows. Write elsewhere.",
  EIO: "the disk reports an error. Check it, or write elsewhere.",
  EMFILE: "too many files are open. Close some, or raise the limit (ulimit -n).",
};

/** What the system refused to do with the file `label`, in words; an error without a known code is itself. */
export function systemError(label: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (typeof code !== "string") return error;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new MachineError(`${label}: no space left on the device. Free some, or write elsewhere.`, "space");
  }
  const refusal = machineReasons[code];
  if (refusal) return new MachineError(`${label}: ${refusal}`, code.toLowerCase());
  const reason = reasons[code];
  return reason ? new KerasFileError(`${label}: ${reason}.`, code.toLowerCase()) : error;
}
