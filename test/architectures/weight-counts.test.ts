import { expect, test } from "vitest";
import { publishedFile } from "../../src/architectures/architecture.ts";
import { knownArchitectures } from "../../src/architectures/known.ts";
import { weightCounts } from "../../src/architectures/weight-counts.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import { weightSpecsOf } from "../../src/topology/weights-of.ts";

test.each(knownArchitectures().map((architecture) => [architecture.name, architecture] as const))(
  "%s has as many weights as is noted",
  (name, architecture) => {
    const built = [1000, null].map((classes) => {
      const modelConfig = architecture.build(publishedFile(classes));
      return [...weightSpecsOf(layerGraph({ modelConfig, kerasVersion: "3.15.1" })).values()].flat().length;
    });
    expect({ [name]: weightCounts(name) }).toEqual({ [name]: built });
  },
);

test("no more than four networks have as many weights as one", () => {
  const networks = knownArchitectures().flatMap(({ name }) =>
    weightCounts(name).map((count, index) => `${count} ${index}`),
  );
  const most = Math.max(...networks.map((key) => networks.filter((other) => other === key).length));
  expect(most).toBe(4);
});
