import { describe, expect, test } from "vitest";
import { bucketAddress, bucketPlace, isBucketAddress, pathIn } from "../../src/storage/address.ts";

describe("an address in a bucket", () => {
  test.each([
    ["s3://photos/set/train", "photos", "set/train"],
    ["s3://photos/set/", "photos", "set"],
    ["s3://photos", "photos", ""],
    ["S3://photos/", "photos", ""],
    ["s3://photos/a//b c/é+%41.jpg", "photos", "a//b c/é+%41.jpg"],
  ])("%s names bucket %s and key %s", (address, bucket, key) => {
    expect(isBucketAddress(address)).toBe(true);
    expect(bucketPlace(address)).toEqual({ bucket, key });
    expect(bucketPlace(bucketAddress({ bucket, key }))).toEqual({ bucket, key });
  });

  test.each(["photos/s3", "/data/s3:/x", "file:///x", "s3:photos", ""])("%s is none", (path) => {
    expect(isBucketAddress(path)).toBe(false);
  });

  test("without a bucket is refused", () => {
    expect(() => bucketPlace("s3://")).toThrow("s3://: expected s3://bucket/prefix, got no bucket.");
    expect(() => bucketPlace("s3:///photos")).toThrow("expected s3://bucket/prefix");
  });

  test("goes on with names as a path does, and its slashes stay", () => {
    expect(pathIn("s3://photos/set/", "train", "1.jpg")).toBe("s3://photos/set/train/1.jpg");
    expect(pathIn("s3://photos", "x")).toBe("s3://photos/x");
    expect(pathIn("photos/", "x")).toBe("photos/x");
  });
});
