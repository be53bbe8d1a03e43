import { createHash } from "node:crypto";
import type { Weights } from "../checkpoint.ts";

/** The sha256 of every frozen weight before and after training, in hexadecimal. */
export interface Proof {
  /** True if every one of them is the same. */
  readonly unchanged: boolean;
  readonly weights: readonly { readonly name: string; readonly before: string; readonly after: string }[];
}

/** The sha256 of each weight that training must not move, by `layer/weight`. */
export type WeightHashes = ReadonlyMap<string, string>;

/** Returns the hashes of all weights except those that `moving` names, by layer path. */
export function hashFrozenWeights(
  weights: Weights,
  moving: ReadonlyMap<string, ReadonlySet<string>>,
): WeightHashes {
  const hashes = new Map<string, string>();
  for (const [path, layer] of weights) {
    for (const weight of layer) {
      if (moving.get(path)?.has(weight.name)) continue;
      const { buffer, byteOffset, byteLength } = weight.data;
      const bytes = new Uint8Array(buffer, byteOffset, byteLength);
      hashes.set(`${path}/${weight.name}`, createHash("sha256").update(bytes).digest("hex"));
    }
  }
  return hashes;
}

/** Sets the hashes before and after training side by side. */
export function proofOf(before: WeightHashes, after: WeightHashes): Proof {
  const weights = [...before].map(([name, hash]) => ({ name, before: hash, after: after.get(name) ?? "" }));
  return { unchanged: weights.every((weight) => weight.before === weight.after), weights };
}
