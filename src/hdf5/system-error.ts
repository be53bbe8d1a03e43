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

/** What the system refused to do with the file `label`, in words; an error without a known code is itself. */
export function systemError(label: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (typeof code !== "string") return error;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new MachineError(`${label}: no space left on the device. Free some, or write elsewhere.`, "space");
  }
  const reason = reasons[code];
  return reason ? new KerasFileError(`${label}: ${reason}.`, code.toLowerCase()) : error;
}
