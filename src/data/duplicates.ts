import type { FileSample, Split } from "./dataset.ts";

/** A sample with the sha256 of its bytes. */
export interface HashedSample extends Pick<FileSample, "path" | "split" | "label"> {
  readonly contentHash: string;
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
  const first = new Map<string, HashedSample>();
  for (const sample of samples) {
    const known = first.get(sample.contentHash);
    if (!known || (known.split !== "train" && sample.split === "train"))
      first.set(sample.contentHash, sample);
  }
  const twinOf = (sample: HashedSample): HashedSample => first.get(sample.contentHash) ?? sample;
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
