import { createHash } from "node:crypto";
import { DataError, UsageError } from "../errors.ts";
import { optionName } from "../options.ts";
import type { FileDataset, FileSample } from "./dataset.ts";
import { contentHashes, type HashFile } from "./file-bytes.ts";

/** Facts of a sample that decide its side of a split. */
export interface SplitItem {
  /** The sha256 of the sample's bytes, in hexadecimal: copies stay together. */
  readonly hash: string;
  /** Class index; samples without one are split as one class. */
  readonly label?: number | undefined;
  /** Samples of one group stay together. */
  readonly group?: string | undefined;
}

/** Samples that stay together: those of one group, and copies of one another. */
interface Unit {
  /** The key that orders units: a hash of the group's name or of the bytes. */
  readonly key: string;
  readonly members: readonly number[];
  /** The labels of the members, each with their number. */
  readonly counts: readonly (readonly [label: number, count: number])[];
}

/**
 * Chooses the samples to hold out: of each class about `fraction`, at least one, and at least one is left to train. The choice
 * depends on the bytes (on the names of the groups where there are groups) and on nothing else, so that renaming or adding files
 * moves nearly none. Copies of one sample and samples of one group stay on one side.
 *
 * @returns Indices into `items`. A class with a single unit keeps it for training.
 */
export function heldOut(items: readonly SplitItem[], fraction: number): ReadonlySet<number> {
  const units = plainUnits(items) ?? [...unitsOf(items)].sort(byKey);
  const totals = totalsOf(units);
  const wanted = new Map(
    [...totals].map(([label, total]) => [label, Math.max(1, Math.round(total * fraction))]),
  );
  const last = new Map<number, Unit>();
  for (const unit of units) for (const [label] of unit.counts) last.set(label, unit);
  const taken = new Map<number, number>();
  const held = new Set<number>();
  for (const unit of units) {
    const isNeeded = unit.counts.some(([label]) => (taken.get(label) ?? 0) < (wanted.get(label) ?? 0));
    const isLast = unit.counts.some(([label]) => last.get(label) === unit);
    if (!isNeeded || isLast) continue;
    for (const index of unit.members) held.add(index);
    for (const [label, count] of unit.counts) taken.set(label, (taken.get(label) ?? 0) + count);
  }
  return held;
}

/**
 * Assigns each sample to one of `count` folds. Every fold has about the same number of samples of each class; copies of one sample
 * and samples of one group share a fold. The same samples give the same folds in any order.
 *
 * @returns The fold of each item, 0 to `count` - 1.
 * @throws {UsageError} if `count` is no whole number of 2 or more. @throws {DataError} if there are fewer units than folds.
 */
export function foldsOf(items: readonly SplitItem[], count: number): readonly number[] {
  if (!Number.isInteger(count) || count < 2) {
    throw new UsageError(
      `${optionName("folds")}: expected a whole number of 2 or more, got ${count}.`,
      "folds",
      "folds",
    );
  }
  const units = [...unitsOf(items)].sort((a, b) => b.members.length - a.members.length || byKey(a, b));
  if (units.length < count) {
    const what = items.some(({ group }) => group !== undefined) ? "groups" : "samples that differ";
    throw new DataError(
      `${optionName("folds")}: expected ${count} ${what} or more, got ${units.length}.`,
      "folds",
      "folds",
    );
  }
  const totals = totalsOf(units);
  const folds = Array.from({ length: count }, () => ({ samples: 0, counts: new Map<number, number>() }));
  const assigned = new Array<number>(items.length).fill(0);
  for (const unit of units) {
    const shares = folds.map(({ counts }) => {
      const parts = unit.counts.map(([label]) => (counts.get(label) ?? 0) / (totals.get(label) ?? 1));
      return parts.reduce((sum, part) => sum + part, 0);
    });
    const chosen = folds.reduce((best, fold, index) => {
      const [share = 0, least = 0] = [shares[index], shares[best]];
      const isEmptier = share === least && fold.samples < (folds[best]?.samples ?? 0);
      return share < least || isEmptier ? index : best;
    }, 0);
    const fold = folds[chosen];
    if (fold === undefined) continue;
    fold.samples += unit.members.length;
    for (const [label, size] of unit.counts) fold.counts.set(label, (fold.counts.get(label) ?? 0) + size);
    for (const index of unit.members) assigned[index] = chosen;
  }
  return assigned;
}

/** Returns the dataset with the samples of one fold as val and those of the others as train; test samples stay. */
export function withFold<Dataset extends FileDataset>(
  dataset: Dataset,
  folds: readonly (number | undefined)[],
  fold: number,
): Dataset {
  const samples = dataset.samples.map((sample, index): FileSample => {
    if (sample.split === "test" || folds[index] === undefined) return sample;
    return { ...sample, split: folds[index] === fold ? "val" : "train" };
  });
  return { ...dataset, samples };
}

/**
 * Returns the fold of each sample of a dataset; samples of test, and files that cannot be read, have none.
 *
 * @throws {UsageError | DataError} as `foldsOf`.
 */
export async function fileFolds(
  samples: readonly FileSample[],
  count: number,
  hashFile: HashFile,
): Promise<readonly (number | undefined)[]> {
  const { items, indices } = await splitItems(
    samples.map((sample) => (sample.split === "test" ? undefined : sample)),
    hashFile,
  );
  const folds: (number | undefined)[] = new Array<undefined>(samples.length).fill(undefined);
  foldsOf(items, count).forEach((fold, position) => {
    const index = indices[position];
    if (index !== undefined) folds[index] = fold;
  });
  return folds;
}

/** Returns the samples with part of train as val, chosen by `heldOut`. A file that cannot be read stays in train, to be counted when it is decoded. */
export async function holdOut(
  samples: readonly FileSample[],
  fraction: number,
  hashFile: HashFile,
): Promise<readonly FileSample[]> {
  const { items, indices } = await splitItems(
    samples.map((sample) => (sample.split === "train" ? sample : undefined)),
    hashFile,
  );
  const held = new Set([...heldOut(items, fraction)].map((position) => indices[position]));
  return samples.map((sample, index) => (held.has(index) ? { ...sample, split: "val" } : sample));
}

async function splitItems(
  samples: readonly (FileSample | undefined)[],
  hashFile: HashFile,
): Promise<{ readonly items: readonly SplitItem[]; readonly indices: readonly number[] }> {
  const wanted = samples.flatMap((sample, index) => (sample ? [index] : []));
  const hashes = await contentHashes(
    wanted.map((index) => samples[index]?.path ?? ""),
    hashFile,
  );
  const items: SplitItem[] = [];
  const indices: number[] = [];
  for (const [position, index] of wanted.entries()) {
    const [hash, sample] = [hashes[position] ?? null, samples[index]];
    if (hash === null || !sample) continue;
    items.push({ hash, label: sample.label, group: sample.group });
    indices.push(index);
  }
  return { items, indices };
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/**
 * Returns the units of samples without groups and copies, of which there may be very many, in the order of their keys; null for other samples.
 * Comparing the number that a hash begins with is faster than comparing texts.
 */
function plainUnits(items: readonly SplitItem[]): readonly Unit[] | null {
  if (items.some(({ group, hash }) => group !== undefined || !/^[0-9a-f]{64}$/.test(hash))) return null;
  const ranks = Float64Array.from(items, ({ hash }) => Number.parseInt(hash.slice(0, rankDigits), 16));
  const order = Uint32Array.from(items.keys()).sort((a, b) => (ranks[a] ?? 0) - (ranks[b] ?? 0));
  const units: Unit[] = [];
  for (const [position, index] of order.entries()) {
    const item = items[index];
    // Copies have one rank, and so may two hashes that are in no order yet.
    if (!item || (position > 0 && ranks[index] === ranks[order[position - 1] ?? 0])) return null;
    units.push({ key: item.hash, members: [index], counts: [[item.label ?? -1, 1]] });
  }
  return units;
}

/** Hexadecimal digits of a number that a double holds. */
const rankDigits = 13;

function byKey(a: Unit, b: Unit): number {
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}

function totalsOf(units: readonly Unit[]): ReadonlyMap<number, number> {
  const totals = new Map<number, number>();
  for (const { counts } of units) {
    for (const [label, count] of counts) totals.set(label, (totals.get(label) ?? 0) + count);
  }
  return totals;
}

/** Joins samples that share a group or their bytes, also over several steps: a copy of a member brings its own group along. */
function unitsOf(items: readonly SplitItem[]): readonly Unit[] {
  const parents = items.map((_, index) => index);
  const rootOf = (index: number): number => {
    let at = index;
    for (let parent = parents[at] ?? at; parent !== at; parent = parents[at] ?? at) {
      parents[at] = parents[parent] ?? parent;
      at = parent;
    }
    return at;
  };
  const join = (first: Map<string, number>, key: string, index: number): void => {
    const earlier = first.get(key);
    if (earlier === undefined) first.set(key, index);
    else parents[rootOf(index)] = rootOf(earlier);
  };
  const copies = new Map<number | undefined, Map<string, number>>();
  const groups = new Map<string, number>();
  for (const [index, { hash, group, label }] of items.entries()) {
    // Without groups a copy under another label is a unit of its own class, so that each class is split by its own samples.
    const own = group === undefined ? (label ?? -1) : undefined;
    const known = copies.get(own) ?? new Map<string, number>();
    copies.set(own, known);
    join(known, hash, index);
    if (group !== undefined) join(groups, group, index);
  }
  const members = new Map<number, number[]>();
  for (const index of items.keys()) {
    const root = rootOf(index);
    const unit = members.get(root);
    if (unit) unit.push(index);
    else members.set(root, [index]);
  }
  return [...members.values()].map((unit) => unitOf(items, unit));
}

function unitOf(items: readonly SplitItem[], members: readonly number[]): Unit {
  const [only, ...more] = members;
  const item = only === undefined || more.length > 0 ? undefined : items[only];
  // Nearly all units are one sample, of very many.
  if (item) return { key: keyOf(item), members, counts: [[item.label ?? -1, 1]] };
  const counts = new Map<number, number>();
  const keys: string[] = [];
  for (const index of members) {
    const member = items[index];
    if (member === undefined) continue;
    counts.set(member.label ?? -1, (counts.get(member.label ?? -1) ?? 0) + 1);
    keys.push(keyOf(member));
  }
  const [key = ""] = keys.sort();
  return { key, members, counts: [...counts] };
}

function keyOf({ hash, group }: SplitItem): string {
  return group === undefined ? hash : sha256(group);
}
