/** What Keras, TensorFlow and Pillow answered (fixtures/make/data.py), and folders to put files into. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll } from "vitest";

export interface PackedArray {
  readonly shape: readonly number[];
  readonly dtype: "uint8" | "float32";
  readonly base64: string;
}

export async function answers<T>(name: string): Promise<T> {
  const bytes = await readFile(new URL(`../../fixtures/data/${name}`, import.meta.url));
  return JSON.parse((name.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString()) as T;
}

export function unpack({ dtype, base64 }: PackedArray): Uint8Array | Float32Array {
  const bytes = Uint8Array.from(Buffer.from(base64, "base64"));
  return dtype === "uint8" ? bytes : new Float32Array(bytes.buffer);
}

export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let index = 0; index < a.length; index++) largest = Math.max(largest, Math.abs(a[index]! - b[index]!));
  return largest;
}

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

/** A new folder with these files, by relative path; it is gone after the file's last test. */
export async function folderWith(files: Readonly<Record<string, string | Uint8Array>> = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "keras-finetune-data-"));
  folders.push(folder);
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  return folder;
}
