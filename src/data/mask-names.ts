/** Pairs images with masks by their names. */
const leadingWord = /(^|\/)(images?|img|masks?|labels?|gt|seg)[_-]?(?=[^/]*\d[^/]*$)/i;
const imageEnding = /_(leftImg8bit|image|img|rgb|sat|orig)$/i;

/**
 * Pairs names of images with names of masks, both without extension: equal ones first; then those where the mask's name goes on after
 * the image's, by the ending that most of them share (`_mask`, `_L`, `_gtFine_labelIds`); then those that begin with words such as
 * `image` and `mask`.
 *
 * @returns Pairs of indices, images without a mask, and masks without an image.
 */
export function pairByName(
  images: readonly string[],
  masks: readonly string[],
): {
  readonly pairs: readonly (readonly [number, number])[];
  readonly left: readonly number[];
  readonly spare: readonly number[];
} {
  const attempts: ((name: string, isMask: boolean) => string)[] = [
    (name) => name,
    (name) => name.toLowerCase(),
    (name, isMask) =>
      isMask ? withoutEnding(name, commonEnding(images, masks)) : name.replace(imageEnding, ""),
    (name) => name.replace(leadingWord, "$1"),
  ];
  let best: ReturnType<typeof paired> | undefined;
  for (const change of attempts) {
    const found = paired(
      images.map((name) => change(name, false)),
      masks.map((name) => change(name, true)),
    );
    if (found.left.length === 0) return found;
    if (!best || found.left.length < best.left.length) best = found;
  }
  return best ?? { pairs: [], left: [], spare: [] };
}

function paired(images: readonly string[], masks: readonly string[]) {
  const places = new Map(masks.map((name, index) => [name, index]));
  const pairs: (readonly [number, number])[] = [];
  const left: number[] = [];
  images.forEach((name, index) => {
    const mask = places.get(name);
    if (mask === undefined) left.push(index);
    else pairs.push([index, mask]);
  });
  const used = new Set(pairs.map(([, mask]) => mask));
  return { pairs, left, spare: [...masks.keys()].filter((index) => !used.has(index)) };
}

function withoutEnding(name: string, ending: string): string {
  return ending !== "" && name.endsWith(ending) ? name.slice(0, -ending.length) : name;
}

/** Returns what most masks' names have after the name of an image; of several as frequent ones that of class indices. */
function commonEnding(images: readonly string[], masks: readonly string[]): string {
  const names = new Set(images.map((name) => name.replace(imageEnding, "")));
  const counts = new Map<string, number>();
  for (const mask of masks) {
    for (let length = mask.length - 1; length > 0; length--) {
      if (!names.has(mask.slice(0, length))) continue;
      const ending = mask.slice(length);
      counts.set(ending, (counts.get(ending) ?? 0) + 1);
      break;
    }
  }
  const most = Math.max(0, ...counts.values());
  const endings = [...counts].filter(([, count]) => count === most).map(([ending]) => ending);
  return endings.find((ending) => /label(train)?ids?$/i.test(ending)) ?? endings[0] ?? "";
}
