import type { FileSample, Split } from "./dataset.ts";

/** A sample with the sha256 of its bytes. */
export interface HashedSample extends Pick<FileSample, "path" | "split" | "label"> {
  readonly contentHash: string;
}

/** Two samples with the same bytes. */
export interface Duplicate {
  readonly path: string;
  readonly split: Split;
  /** Index of the sample's class, absent where it has none. */
  readonly label?: number | undefined;
  /** The first sample with these bytes, of train where one is. */
  readonly twin: { readonly path: string; readonly split: Split; readonly label?: number | undefined };
}

/** Returns whether a hash occurs twice in some lists. */
export function hasCopies(hashes: readonly (readonly string[])[]): boolean {
  const known = new Set<string>();
  for (const list of hashes) for (const hash of list) known.add(hash);
  return known.size < hashes.reduce((count, list) => count + list.length, 0);
}

/** Returns the samples whose bytes another one has, and that lie in another split or another class than it. */
export function duplicatesOf(samples: readonly HashedSample[]): readonly Duplicate[] {
  const twinOf = twins(samples);
  return samples.flatMap((sample): Duplicate[] => {
    const twin = twinOf(sample);
    if (twin.split === sample.split && twin.label === sample.label) return [];
    return [{ ...placeOf(sample), twin: placeOf(twin) }];
  });
}

function placeOf({ path, split, label }: HashedSample): Duplicate["twin"] {
  return { path, split, ...(label !== undefined && { label }) };
}

/** Returns what gives the first sample with the bytes of another, of train where one is. */
function twins(samples: readonly HashedSample[]): (sample: HashedSample) => HashedSample {
  const first = new Map<string, HashedSample>();
  for (const sample of samples) {
    const known = first.get(sample.contentHash);
    if (!known || (known.split !== "train" && sample.split === "train"))
      first.set(sample.contentHash, sample);
  }
  return (sample) => first.get(sample.contentHash) ?? sample;
}

const named = 3;

/**
 * Warns of samples that have the same bytes: in train and in a held-out split, which makes the held-out figures better than they are;
 * and in two classes, which no training can tell apart. Each warning counts all and names the first.
 *
 * @param unit What the samples are called: `images`.
 */
export function duplicateWarnings(
  samples: readonly HashedSample[],
  classNames: readonly string[],
  unit: string,
): readonly string[] {
  const twinOf = twins(samples);
  const leaked = (split: Split): string[] => {
    const held = samples.filter((sample) => sample.split === split);
    const copies = held.filter((sample) => twinOf(sample).split === "train");
    if (copies.length === 0) return [];
    const pairs = copies.slice(0, named).map((sample) => `${sample.path} is ${twinOf(sample).path}`);
    return [
      `${copies.length} of ${held.length} ${unit} of ${split} are also in train, byte for byte: ${pairs.join(", ")}${more(copies)}. The figures of ${split} are not those of new ${unit}.`,
    ];
  };
  const torn = samples.filter((sample) => twinOf(sample).label !== sample.label);
  const nameOf = ({ label }: HashedSample) => classNames[label ?? -1] ?? String(label);
  const pairs = torn
    .slice(0, named)
    .map(
      (sample) => `${sample.path} (${nameOf(sample)}) is ${twinOf(sample).path} (${nameOf(twinOf(sample))})`,
    );
  return [
    ...leaked("val"),
    ...leaked("test"),
    ...(torn.length > 0
      ? [`${torn.length} ${unit} are in two classes, byte for byte: ${pairs.join(", ")}${more(torn)}.`]
      : []),
  ];
}

function more(all: readonly unknown[]): string {
  return all.length > named ? ` and ${all.length - named} more` : "";
}
