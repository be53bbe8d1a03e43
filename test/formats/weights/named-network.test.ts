import { readdirSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { architectureOf, knownArchitectures } from "../../../src/architectures/known.ts";
import { weightCounts } from "../../../src/architectures/weight-counts.ts";
import type { Placement } from "../../../src/formats/stored-weights.ts";
import { buildNamed, type StoredLayers } from "../../../src/formats/weights/named-network.ts";
import { isWhole } from "../../sample.ts";

/** Layers of a weights-only .h5 in its order, each with its weights (fixtures/make/weights_only.py). */
type FileLayers = readonly (readonly [
  layer: string,
  weights: readonly (readonly [string, readonly number[]])[],
])[];

const folder = new URL("../../../fixtures/architectures/", import.meta.url);
const networks = readdirSync(folder)
  .filter((file) => file.startsWith("weights-"))
  .flatMap((file) => {
    const text = gunzipSync(readFileSync(new URL(file, folder))).toString();
    const keras = file.replace(/^weights-|\.json\.gz$/g, "");
    return Object.entries(JSON.parse(text) as Record<string, FileLayers>).map(([name, layers]) => ({
      name,
      keras,
      layers,
    }));
  });

/** The number of each weight in the file stands for its values. */
function storedLayers(file: FileLayers): StoredLayers {
  let count = 0;
  return new Map(
    file.map(([layer, weights]) => [
      layer,
      weights.map(([name, shape]) => {
        const index = count++;
        const data = Float32Array.of(index);
        const read = () => ({ dtype: "float32", shape: [1], data }) as const;
        return { name: name.replace(/:0$/, ""), dtype: "float32", shape, read } as const;
      }),
    ]),
  );
}

/** The file's numbers of the weights, in the order of the model's layers. */
function placedNumbers(placement: Placement): number[] {
  return [...placement.weights.values()].flatMap((layer) =>
    layer.map(({ stored }) => Number(stored.read().data[0])),
  );
}

it("there are recorded names of every network family", () => {
  expect(new Set(networks.map(({ name }) => name)).size).toBe(14);
});

describe.each(networks)("$name's weights as Keras $keras wrote them", ({ name, layers }) => {
  const stored = storedLayers(layers);
  const built = buildNamed(architectureOf(name)!, stored);

  it("each have a slot of the same shape in the network", () => {
    expect(built.placement.problems).toEqual([]);
    const numbers = placedNumbers(built.placement);
    const all = [...stored.values()].flat().map((_, index) => index);
    expect(numbers.toSorted((a, b) => a - b)).toEqual(all);
  });

  it("are as many as the network has", () => {
    expect(weightCounts(name.toLowerCase())).toContain([...stored.values()].flat().length);
  });

  it("fit no other network", () => {
    const compared = knownArchitectures().filter(
      (architecture, index) => isWhole || architecture.name === name.toLowerCase() || index % 8 === 0,
    );
    const others = compared.filter((architecture) => {
      try {
        return buildNamed(architecture, stored).placement.problems.length === 0;
      } catch {
        return false;
      }
    });
    expect(others.map((architecture) => architecture.name)).toEqual([name.toLowerCase()]);
  });
});

describe("layers whose name is a class name with a number", () => {
  it.each(networks.filter(({ name, keras }) => /^Inception|^Xception/.test(name) && keras === "2.15.0"))(
    "of $name are where the order of the file puts them, as Keras reads it",
    ({ name, layers }) => {
      const numbers = placedNumbers(buildNamed(architectureOf(name)!, storedLayers(layers)).placement);
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    },
  );
});

describe("layers with names that no release used", () => {
  it.each([
    ["VGG16", 3],
    ["ResNet50", 1],
    ["DenseNet121", 1],
  ])("of a %s without its top are matched in the order of the file", (name, inTop) => {
    const { layers } = networks.find((network) => network.name === name && network.keras === "2.15.0")!;
    const trunk = layers.slice(0, -inTop);
    const renamed = trunk.map(([, weights], index) => [`layer${index}`, weights] as const);
    const { placement } = buildNamed(architectureOf(name)!, storedLayers(renamed));
    expect(placement.problems).toEqual([]);
    const numbers = placedNumbers(placement);
    expect(numbers).toEqual(numbers.map((_, index) => index));
  });
});
