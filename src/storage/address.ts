import { join } from "node:path";
import { UsageError } from "../errors.ts";

/** Place of an object, or of all objects whose keys begin alike, in a bucket. */
export interface BucketPlace {
  readonly bucket: string;
  /** Key without a slash at its start or end; empty for the whole bucket. */
  readonly key: string;
}

/** Returns whether a text is the address of an object or a folder in a bucket, `s3://bucket/prefix`. */
export function isBucketAddress(text: string): boolean {
  return /^s3:\/\//i.test(text);
}

/** Returns the bucket and the key that an address names. @throws {UsageError} if it names no bucket. */
export function bucketPlace(address: string): BucketPlace {
  const [, bucket = "", key = ""] = /^s3:\/\/([^/]*)\/?([\s\S]*?)\/*$/i.exec(address) ?? [];
  if (bucket !== "") return { bucket, key };
  throw new UsageError(`${address}: expected s3://bucket/prefix, got no bucket.`, "s3-address");
}

/** Returns the address of a key in a bucket. */
export function bucketAddress({ bucket, key }: BucketPlace): string {
  return key === "" ? `s3://${bucket}` : `s3://${bucket}/${key}`;
}

/** Returns the path of what lies in a folder, be it on a disk or in a bucket. */
export function pathIn(folder: string, ...names: readonly string[]): string {
  if (!isBucketAddress(folder)) return join(folder, ...names);
  return [folder.replace(/\/+$/, ""), ...names].join("/");
}
