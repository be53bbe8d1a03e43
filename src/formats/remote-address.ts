import { UsageError } from "../errors.ts";

/** Returns whether a text is the address of something that is not on a disk: `s3://bucket/prefix`, `https://…`. */
export function isRemoteAddress(path: string): boolean {
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(path);
}

/** Refuses an address that is to be read as a file. @throws {UsageError} if `path` is one. */
export function refuseRemoteSource(path: string): void {
  if (!isRemoteAddress(path)) return;
  throw new UsageError(
    `${path}: expected a file or a folder on a disk, got an address. Fetch it first: ${
      isS3(path) ? `aws s3 cp ${path} .` : `curl -LO ${path}`
    }`,
    "remote-address",
  );
}

/** Returns the error for an address that something is to be written to, which a path on a disk would otherwise be made of. */
export function remoteTargetError(path: string, option?: string): UsageError {
  const advice = isS3(path) ? ` and copy what is written: aws s3 cp --recursive DIR ${path}` : ".";
  return new UsageError(
    `${path}: expected a path on a disk to write to, got an address. Name a path on a disk${advice}`,
    "remote-address",
    option,
  );
}

function isS3(path: string): boolean {
  return /^s3:/i.test(path);
}
