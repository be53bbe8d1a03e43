import type { Architecture } from "../../architectures/architecture.ts";
import { snakeCase } from "../../topology/naming.ts";

/**
 * @file Matches the layers of a file with those of a published network: names changed from release to release, numbers
 * from run to run.
 */

export interface NamedLayer {
  readonly name: string;
  readonly className: string;
}

/**
 * Returns the file's name of each layer, by the network's own name. Missing layers are left out. Layers are matched by
 * name first, former names and names with slashes included; the n-th Conv2D without a name of its own is the n-th in
 * the file, whatever its number there.
 */
export function namesInFile(
  architecture: Architecture,
  layers: readonly NamedLayer[],
  fileLayers: readonly string[],
): ReadonlyMap<string, string> {
  const nameOf = nameFinder(architecture, fileLayers);
  const found = new Map<string, string>();
  const numbered = new Map<string, string[]>();
  for (const { name, className } of layers) {
    if (!isNumbered(name, className)) {
      const own = nameOf(name);
      if (own !== undefined) found.set(name, own);
    } else numbered.set(className, [...(numbered.get(className) ?? []), name]);
  }
  for (const [className, names] of numbered) {
    const theirs = inNumberOrder(fileLayers, className);
    if (theirs.length !== names.length) continue;
    inNumberOrder(names, className).forEach((name, index) => {
      found.set(name, theirs[index]!);
    });
  }
  return found;
}

/** Returns a function that finds the file's name of a layer of the network, undefined if the file has none. */
export function nameFinder(
  architecture: Architecture,
  fileLayers: readonly string[],
): (layer: string) => string | undefined {
  const byName = new Map(fileLayers.map((name) => [withoutSlashes(name), name]));
  return (layer) => {
    const names = [layer, ...(architecture.formerNames?.(layer) ?? [])];
    const own = names.find((name) => byName.has(withoutSlashes(name)));
    return own === undefined ? undefined : byName.get(withoutSlashes(own));
  };
}

function withoutSlashes(name: string): string {
  return name.replaceAll("/", "_");
}

/**
 * Matches the names that Keras gives to layers of a class. Keras 1 called a Conv2D `convolution2d_1` and a
 * BatchNormalization `batchnormalization_1`.
 */
function numberedName(className: string): RegExp {
  const keras1 = className.replace(/Conv(?=\dD)/, "Convolution").toLowerCase();
  return new RegExp(`^(?:${snakeCase(className)}|${keras1})(?:_(\\d+))?$`);
}

function isNumbered(name: string, className: string): boolean {
  return numberedName(className).test(name);
}

function inNumberOrder(names: readonly string[], className: string): readonly string[] {
  const pattern = numberedName(className);
  return names
    .flatMap((name) => {
      const match = pattern.exec(name);
      return match ? [{ name, number: Number(match[1] ?? 0) }] : [];
    })
    .sort((a, b) => a.number - b.number)
    .map(({ name }) => name);
}
