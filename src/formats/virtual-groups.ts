import type { Hdf5Dataset } from "../hdf5/dataset.ts";
import type { Hdf5Group } from "../hdf5/reader.ts";
import type { StoredWeight } from "./stored-weights.ts";

/** @file HDF5 groups that do not exist in one file: spread over several files, or listed by path elsewhere. */

/** Returns a group with everything that is in any of `groups`. Of datasets with the same name, the first is used. */
export function mergedGroup(groups: readonly Hdf5Group[]): Hdf5Group {
  const first = <T>(find: (group: Hdf5Group) => T | undefined): T | undefined =>
    groups.map(find).find((found) => found !== undefined);
  return {
    path: groups[0]?.path ?? "/",
    keys: () => [...new Set(groups.flatMap((group) => group.keys()))],
    group: (name) => {
      const inner = groups.flatMap((group) => group.group(name) ?? []);
      return inner.length === 0 ? undefined : mergedGroup(inner);
    },
    dataset: (name) => first((group) => group.dataset(name)),
    text: (name) => first((group) => group.text(name)),
    textList: (name) => first((group) => group.textList(name)),
  };
}

/** Returns the weights as datasets in the groups that their names imply: `layers/dense/vars/0`. */
export function groupOfNames(stored: readonly StoredWeight[], path = ""): Hdf5Group {
  const below = (name: string): StoredWeight[] =>
    stored.flatMap((weight) =>
      weight.name.startsWith(`${name}/`) ? [{ ...weight, name: weight.name.slice(name.length + 1) }] : [],
    );
  return {
    path: path || "/",
    keys: () => [...new Set(stored.map(({ name }) => name.split("/", 1)[0]!))],
    group: (name) => {
      const inner = below(name);
      return inner.length === 0 ? undefined : groupOfNames(inner, `${path}/${name}`);
    },
    dataset: (name) => {
      const weight = stored.find((candidate) => candidate.name === name);
      return weight && datasetOf(weight, `${path}/${name}`);
    },
    text: () => undefined,
    textList: () => undefined,
  };
}

function datasetOf({ dtype, shape, read }: StoredWeight, path: string): Hdf5Dataset {
  return { path, dtype, shape, read };
}
