import type { Split } from "./dataset.ts";

/** A split in a name, and the rest of the name without it. */
export interface SplitName {
  /** `unlabeled`: samples to predict, that no training uses. */
  readonly split: Split | "unlabeled";
  /** The other words of the name in lower case, joined by `_`: `asl_alphabet` in `asl_alphabet_train`. Often empty. */
  readonly rest: string;
}

const words: ReadonlyMap<string, SplitName["split"]> = new Map(
  Object.entries({
    train: ["train", "training", "trainval"],
    val: ["val", "valid", "validate", "validation", "dev", "development", "eval", "evaluation"],
    test: ["test", "testing"],
    unlabeled: ["pred", "predict", "prediction", "predictions", "unlabeled", "unlabelled"],
  } satisfies Record<SplitName["split"], readonly string[]>).flatMap(([split, spellings]) =>
    spellings.map((spelling) => [spelling, split as SplitName["split"]] as const),
  ),
);

/** Words that only say that a folder holds samples. */
const filler =
  /^(set|sets|seg|data|dataset|datasets|image|images|img|imgs|photo|photos|pic|pics|picture|pictures|file|files|sample|samples|text|texts|dir|folder|split|subset|\d+)$/;

const compound =
  /^(?<word>train(?:ing|val)?|val(?:id|idate|idation)?|dev|eval|test(?:ing)?)(?:set|data|dataset|images|imgs|dir|folder|split|\d+)$/;

/**
 * Returns which split a folder's name speaks of, undefined if it speaks of none. Case, separators, numbers and words such as
 * `set`, `data` and `images` do not matter: `train`, `Training`, `training_set`, `seg_train`, `TrainSet`, `train2017`, `images-val`.
 */
export function splitNameOf(name: string): SplitName | undefined {
  const found: SplitName["split"][] = [];
  const rest: string[] = [];
  for (const word of wordsOf(name)) {
    const split = words.get(word) ?? words.get(compound.exec(word)?.groups?.["word"] ?? "");
    if (split) found.push(split);
    else if (!filler.test(word)) rest.push(word);
  }
  const [split] = found;
  return split && new Set(found).size === 1 ? { split, rest: rest.join("_") } : undefined;
}

/** Returns the split that the value of a table's split column names, undefined if it names none. */
export function splitOfValue(value: string): Split | undefined {
  const name = splitNameOf(value);
  return name && name.rest === "" && name.split !== "unlabeled" ? name.split : undefined;
}

/** Splits a name at separators and where a capital follows a small letter, in lower case. */
function wordsOf(name: string): readonly string[] {
  return name
    .replace(/(\p{Ll})(\p{Lu})/gu, "$1 $2")
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== "");
}
