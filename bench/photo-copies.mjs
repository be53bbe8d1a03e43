/** As many photos as a bench asks for, of the few that there are. */
import { copyFileSync, linkSync, mkdirSync, mkdtempSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";

/**
 * Makes a folder of `count` photos to train on and half as many to validate on, as many of each class, from `photos` with `train` and
 * `val`, and returns its path. Where there are fewer, they are there several times: under another name the same file, which is linked.
 */
export function photoCopies(photos, count) {
  const folder = mkdtempSync(join(tmpdir(), "bench-photos-"));
  for (const [split, wanted] of [
    ["train", count],
    ["val", Math.ceil(count / 2)],
  ]) {
    const classes = readdirSync(join(photos, split)).sort();
    for (const [index, label] of classes.entries()) {
      const names = readdirSync(join(photos, split, label)).sort();
      const own = Math.floor(wanted / classes.length) + (index < wanted % classes.length ? 1 : 0);
      mkdirSync(join(folder, split, label), { recursive: true });
      for (let copy = 0; copy < own; copy++) {
        const name = names[copy % names.length];
        const target = `${String(copy).padStart(6, "0")}${extname(name)}`;
        linkOrCopy(join(photos, split, label, name), join(folder, split, label, target));
      }
    }
  }
  return folder;
}

function linkOrCopy(from, to) {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}
