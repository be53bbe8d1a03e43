import { expect, test } from "vitest";
import { contentHashes } from "../../src/data/file-bytes.ts";

test("a path that stands among others again, as a view of its file, is read once", async () => {
  const read: string[] = [];
  const hashFile = async (path: string): Promise<string> => {
    read.push(path);
    if (path === "gone") throw new Error("no such file");
    return `hash of ${path}`;
  };
  const hashes = await contentHashes(["a", "b", "a", "gone", "gone", "b"], hashFile);
  expect(hashes).toEqual(["hash of a", "hash of b", "hash of a", null, null, "hash of b"]);
  expect(read).toEqual(["a", "b", "gone"]);
});
