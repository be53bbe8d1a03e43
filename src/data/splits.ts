/**
 * Which of one class's images are held out for validation: the `fraction` with the smallest content hashes, at least one, and at
 * least one left to train. It depends on the bytes alone, so that renaming or adding images moves (nearly) none, and copies of
 * one image stay on one side.
 *
 * @returns indices into `hashes`; none if all images are the same.
 */
export function heldOutByHash(hashes: readonly string[], fraction: number): ReadonlySet<number> {
  const order = hashes.map((_, index) => index).sort((a, b) => (hashes[a]! < hashes[b]! ? -1 : 1));
  const wanted = Math.max(1, Math.round(hashes.length * fraction));
  const held = new Set<number>();
  const last = hashes[order.at(-1) ?? 0];
  for (const [position, index] of order.entries()) {
    const copy = position > 0 && hashes[order[position - 1]!] === hashes[index];
    if ((held.size >= wanted && !copy) || hashes[index] === last) break;
    held.add(index);
  }
  return held;
}
