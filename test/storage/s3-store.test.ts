import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const root = new URL("../../", import.meta.url).href;

test("a bucket without the AWS SDK is refused, with what to install", async () => {
  const code = `const { openBucket } = await import("${root}dist/storage/s3-store.js");
    await openBucket("b").catch((error) => console.log(error.name, error.code, error.message));`;
  const args = ["--import", `${root}test/s3/no-sdk.mjs`, "--input-type=module", "--eval", code];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  expect(stdout).toMatch(/^MachineError s3-sdk s3:\/\/: expected the package @aws-sdk\/client-s3, got none/);
  expect(stdout).toMatch(/Run npm install @aws-sdk\/client-s3\.$/m);
});
