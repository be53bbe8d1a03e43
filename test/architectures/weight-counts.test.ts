import { expect, test } from "vitest";
import { publishedFile } from "../../src/architectures/architecture.ts";
import { knownArchitectures } from "../../src/architectures/known.ts";
import { weightCounts } from "../../src/architectures/weight-counts.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import { weightSpecsOf } from "../../src/topology/weights-of.ts";

test.each(knownArchitectures().map((architecture) => [architecture.name, architecture] as const))(
  "%s has the listed number of weights with and without its top",
  (name, architecture) => {
    const built = [1000, null].map((classes) => {
      const modelConfig = architecture.build(publishedFile(classes));
      return [...weightSpecsOf(layerGraph({ modelConfig, kerasVersion: "3.15.1" })).values()].flat().length;
    });
    expect({ [name]: weightCounts(name) }).toEqual({ [name]: built });
  },
);

test("at most four networks share a number of weights", () => {
  const networks = knownArchitectures().flatMap(({ name }) =>
    weightCounts(name).map((count, index) => `${count} ${index}`),
  );
  const most = Math.max(...networks.map((key) => networks.filter((other) => other === key).length));
  expect(most).toBe(4);
});
