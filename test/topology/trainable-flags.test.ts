import { describe, expect, test } from "vitest";
import type { Checkpoint, Json, JsonObject } from "../../src/checkpoint.ts";
import { freezeUntil } from "../../src/freeze/policy.ts";
import { resolveFreeze } from "../../src/freeze/resolve.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import type { LayerGraph } from "../../src/topology/layer-graph.ts";
import { withTrainableFlags } from "../../src/topology/trainable-flags.ts";
import { weightSpecsOf } from "../../src/topology/weights-of.ts";
import { conv, dense, imageInput, layer, network, norm, pool } from "../freeze/networks.ts";
import { graphFixtureFiles, readGraphFixtures } from "./graph-fixtures.ts";

type Source = { readonly modelConfig: JsonObject; readonly kerasVersion: string };

function checkpointOf(source: Source, graph: LayerGraph): Checkpoint {
  const weights = new Map([...weightSpecsOf(graph).keys()].map((path) => [path, []] as const));
  return { format: "keras", ...source, weights, notes: {} };
}

/** Lists the layers with weights that are frozen in a graph. */
function frozenIn(graph: LayerGraph): string[] {
  const weighted = weightSpecsOf(graph);
  return graph.layers
    .filter(({ path, trainable }) => weighted.has(path) && !trainable)
    .map(({ path }) => path);
}

const files = graphFixtureFiles().filter((file) => /-(nets|ResNet50|MobileNetV3Small)\.json/.test(file));

describe.each(files)("writing trainable flags into the models of %s", (file) => {
  for (const fixture of readGraphFixtures(file)) {
    const graph = layerGraph(fixture);
    const weighted = [...weightSpecsOf(graph).keys()];
    if (weighted.length === 0) continue;
    const cases: [string, string[]][] = [
      ["none", []],
      ["the first half", weighted.slice(0, Math.ceil(weighted.length / 2))],
      ["the last half", weighted.slice(Math.floor(weighted.length / 2))],
      ["every other", weighted.filter((_, index) => index % 2 === 0)],
    ];
    test.each(cases)(`${fixture.name}: the same layers are frozen after reading (%s)`, (_, frozen) => {
      const flagged = withTrainableFlags(checkpointOf(fixture, graph), new Set(frozen));
      expect(frozenIn(layerGraph(flagged))).toEqual(frozen);
    });

    test(`${fixture.name}: nothing but existing flags changes`, () => {
      const flagged = withTrainableFlags(checkpointOf(fixture, graph), new Set(weighted));
      expect(
        changes(fixture.modelConfig, flagged.modelConfig).filter((key) => !key.endsWith(".trainable")),
      ).toEqual([]);
      const inputs =
        JSON.stringify(flagged.modelConfig).match(/"class_name":"InputLayer","config":\{[^}]*\}/g) ?? [];
      expect(inputs.filter((input) => input.includes("trainable"))).toEqual([]);
    });
  }
});

/** Lists the dotted keys whose values differ. */
function changes(a: Json, b: Json, key = ""): string[] {
  if (a === b) return [];
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return [key];
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].flatMap((name) =>
    changes((a as JsonObject)[name] ?? null, (b as JsonObject)[name] ?? null, `${key}.${name}`),
  );
}

describe("trainable flags", () => {
  const flagOf = (checkpoint: Checkpoint, path: string): Json | undefined => {
    const [first, ...rest] = path.split("/");
    let layers = (checkpoint.modelConfig["config"] as JsonObject)["layers"] as readonly JsonObject[];
    let entry = layers.find((candidate) => candidate["name"] === first)!;
    for (const name of rest) {
      layers = (entry["config"] as JsonObject)["layers"] as readonly JsonObject[];
      entry = layers.find((candidate) => (candidate["config"] as JsonObject)["name"] === name)!;
    }
    return (entry["config"] as JsonObject)["trainable"];
  };
  const nested = readGraphFixtures("keras-3.15.1-nets.json.gz").find(
    ({ name }) => name === "frozen nested models",
  )!;
  const graph = layerGraph(nested);
  const checkpoint = checkpointOf(nested, graph);

  test("the flag of a nested model is false only if nothing inside trains", () => {
    const inside = graph.layers
      .filter(({ containers }) => containers.includes("open"))
      .map(({ path }) => path);
    const all = withTrainableFlags(checkpoint, new Set(inside));
    expect([flagOf(all, "open"), flagOf(all, "frozen"), flagOf(all, "open/norm")]).toEqual([
      false,
      true,
      false,
    ]);
    const some = withTrainableFlags(checkpoint, new Set(["open/norm"]));
    expect([flagOf(some, "open"), flagOf(some, "open/norm"), flagOf(some, "open/shared")]).toEqual([
      true,
      false,
      true,
    ]);
    expect((some.modelConfig["config"] as JsonObject)["trainable"]).toBe(true);
  });

  test("an entry whose flag is right already stays the same object", () => {
    const frozen = new Set(graph.layers.filter(({ trainable }) => !trainable).map(({ path }) => path));
    const again = withTrainableFlags(checkpoint, frozen);
    const twice = withTrainableFlags(again, frozen);
    expect(twice.modelConfig).toBe(again.modelConfig);
  });

  test("a resolution's flags are written for layers without weights too", () => {
    const source = network([
      imageInput(),
      conv("a"),
      norm("a_bn"),
      layer("ReLU", "relu"),
      conv("b"),
      pool(),
      dense("out"),
    ]);
    const whole = layerGraph(source);
    const { frozen } = resolveFreeze(whole, freezeUntil("b"));
    const flagged = withTrainableFlags(checkpointOf(source, whole), frozen);
    const flags = layerGraph(flagged).layers.map(({ path, trainable }) => [path, trainable]);
    expect(flags.filter(([, trainable]) => trainable).map(([path]) => path)).toEqual(["b", "pool", "out"]);
  });

  test("the flag of a wrapped layer equals that of its wrapper", () => {
    const inner = { class_name: "Dense", config: { name: "inner", trainable: true, units: 2 } };
    const source = network([
      layer("InputLayer", "x", { config: { batch_input_shape: [null, 4, 3] } }),
      layer("TimeDistributed", "each", { config: { layer: inner } }),
      layer("Dense", "out", { config: { units: 2 } }),
    ]);
    const weights = new Map([
      ["each", []],
      ["out", []],
    ]);
    const frozen = withTrainableFlags({ format: "h5", ...source, weights, notes: {} }, new Set(["each"]));
    const wrapper = ((frozen.modelConfig["config"] as JsonObject)["layers"] as JsonObject[])[1]![
      "config"
    ] as JsonObject;
    expect(wrapper["trainable"]).toBe(false);
    expect(wrapper["layer"]).toEqual({ ...inner, config: { ...inner.config, trainable: false } });
  });

  test("a layer with weights and without a flag gets one", () => {
    const source = network([imageInput(), pool(), dense("out")]);
    const layers = (source.modelConfig["config"] as JsonObject)["layers"] as JsonObject[];
    const bare = layers.map((entry) => {
      const { trainable: _flag, ...config } = entry["config"] as JsonObject;
      return { ...entry, config };
    });
    const config = { ...(source.modelConfig["config"] as JsonObject), layers: bare };
    const modelConfig = { ...source.modelConfig, config };
    const flagged = withTrainableFlags(
      { format: "h5", kerasVersion: "2.15.0", modelConfig, weights: new Map([["out", []]]), notes: {} },
      new Set(["out", "pool"]),
    );
    expect([flagOf(flagged, "image"), flagOf(flagged, "pool"), flagOf(flagged, "out")]).toEqual([
      undefined,
      undefined,
      false,
    ]);
  });
});
