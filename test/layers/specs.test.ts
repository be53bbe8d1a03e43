import { describe, expect, test } from "vitest";
import { kernelClasses } from "../../src/layers/registry.ts";
import { modernConfig } from "../../src/topology/dialects/layer-config.ts";
import { packageClasses } from "../../src/topology/dialects/package-layers.ts";
import type { Argument } from "../../src/topology/layer-graph.ts";
import { type CallShapes, inputShapes } from "../../src/topology/layer-spec.ts";
import { knownLayerClasses, specOf } from "../../src/topology/layer-specs.ts";
import type { LayerCase } from "./layer-cases.ts";
import { families, givenInputs } from "./layer-cases.ts";

const cases = families().flatMap((family) => family.cases);
const described = cases.filter(({ className }) => specOf(className));

/**
 * Keras itself predicts another shape than it gives where an activation halves the last axis, none of a random size, a crop that it
 * makes in training only, and no size where only the values tell it.
 */
const foretold = described.filter(
  ({ config, className }) =>
    config["activation"] !== "glu" &&
    className !== "RandomHeight" &&
    className !== "RandomWidth" &&
    className !== "RandomCrop" &&
    className !== "ops.Bincount",
);

/** A text is as long as its tokens are many, unless the layer says how long; so it is with what is distinct. */
const ofKnownSize = foretold.filter(({ config, className }) => {
  if (className === "ops.Unique") return config["size"] !== null;
  if (className !== "TextVectorization") return className !== "ops.Nonzero";
  return config["output_mode"] !== "int" || config["output_sequence_length"] !== null;
});

test("every known layer class has a kernel", () => {
  const computed = new Set(kernelClasses());
  expect(knownLayerClasses().filter((className) => !computed.has(className))).toEqual([]);
});

/** Layers of packages, which whole models are compared of. */
const ofPackages: ReadonlySet<string> = new Set(
  packageClasses.map(({ className }) => className).filter((className) => className.includes(">")),
);

/** Layers of KerasHub's text classifiers, which test/formats/hub/texts.test.ts has. */
const ofTexts = ["TextTokens", "RelativeEmbedding", "DisentangledSelfAttention"];

test("every kernel is in the battery of layer cases", () => {
  const covered = new Set([...cases.map(({ className }) => className), ...ofPackages, ...ofTexts]);
  expect(kernelClasses().filter((className) => !covered.has(className))).toEqual([
    "InputLayer",
    "tfjs>GraphModel",
    "Functional",
    "training>ActivityPenalty",
  ]);
});

test("every known layer class is in the battery of layer cases", () => {
  const covered = new Set([...cases.map(({ className }) => className), ...ofPackages, ...ofTexts]);
  const missing = knownLayerClasses().filter((className) => !covered.has(className));
  expect(missing).toEqual(["InputLayer", "training>ActivityPenalty", "tfjs>GraphModel", "Functional"]);
});

describe("a layer's spec predicts Keras's result", () => {
  test.each(ofKnownSize)("$name: the shapes of the outputs", (layerCase) => {
    const spec = specOf(layerCase.className)!;
    expect(spec.outputShapes(callOf(layerCase))).toEqual(layerCase.outputs.map(({ shape }) => shape));
  });

  test.each(foretold)("$name: the shapes of the outputs for an unknown batch size", (layerCase) => {
    const spec = specOf(layerCase.className)!;
    const call = callOf(layerCase);
    const open = { ...call, inputs: inputShapes(call.inputs.map(([, ...rest]) => [null, ...rest])) };
    spec.outputShapes(open).forEach((shape, index) => {
      const actual = layerCase.outputs[index]!.shape;
      expect(shape.map((size, axis) => (size === null ? actual[axis] : size))).toEqual(actual);
    });
  });

  test.each(described)("$name: the names and shapes of the weights", (layerCase) => {
    const specs = specOf(layerCase.className)!.weights?.(callOf(layerCase)) ?? [];
    const predicted = specs.map(({ name, shape }) => [name, shape]);
    const actual = Object.entries(layerCase.weights).map(([name, { shape }]) => [name, shape]);
    expect(predicted).toEqual(actual);
  });

  test.each(described.filter(({ gradients }) => gradients))(
    "$name: the weights that have gradients are trainable",
    (layerCase) => {
      const specs = specOf(layerCase.className)!.weights?.(callOf(layerCase)) ?? [];
      const trainable = specs.filter((spec) => spec.trainable).map(({ name }) => name);
      const moved = Object.keys(layerCase.gradients!.weights);
      expect(moved.filter((name) => !trainable.includes(name))).toEqual([]);
    },
  );
});

function callOf(layerCase: LayerCase): CallShapes {
  return {
    config: modernConfig(layerCase.className, layerCase.config, layerCase.major),
    keras: layerCase.major,
    inputs: inputShapes(givenInputs(layerCase).map((index) => layerCase.inputs[index]!.shape)),
    args: (layerCase.args ?? []).map(argumentOf),
    kwargs: Object.fromEntries(
      Object.entries(layerCase.kwargs ?? {}).map(([name, argument]) => [name, argumentOf(argument)]),
    ),
  };
}

function argumentOf(argument: unknown): Argument {
  if (typeof argument === "object" && argument !== null && "input" in argument) {
    return { kind: "tensor", ref: { node: argument.input as number, output: 0 } };
  }
  if (Array.isArray(argument) && argument.some((item) => argumentOf(item).kind === "tensor")) {
    return { kind: "list", items: argument.map(argumentOf) };
  }
  return { kind: "value", value: argument as never };
}
