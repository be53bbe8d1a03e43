import { describe, expect, test } from "vitest";
import type { Checkpoint, JsonObject, Notes } from "../../src/checkpoint.ts";
import { arrayDataset } from "../../src/data/arrays.ts";
import type { FileDataset } from "../../src/data/dataset.ts";
import type { AskedTask, TaskOutput } from "../../src/task/task.ts";
import { taskOf } from "../../src/task/task-of.ts";
import { float32Tensor } from "../../src/tensor.ts";
import { conv, dense, imageInput, network, pool } from "../freeze/networks.ts";

function checkpointOf(
  layers: Parameters<typeof network>[0],
  notes: Notes = {},
  trainingConfig?: JsonObject,
): Checkpoint {
  return {
    format: "keras",
    ...network(layers),
    weights: new Map(),
    notes,
    ...(trainingConfig && { trainingConfig }),
  };
}

/** A model that ends in a Dense behind a pooling. */
function model(units: number, activation: string, notes: Notes = {}, compiled?: JsonObject): Checkpoint {
  return checkpointOf(
    [imageInput(), pool(), dense("out", units, { config: { activation } })],
    notes,
    compiled,
  );
}

function folder(...classNames: string[]): FileDataset {
  const samples = classNames.map((name, label) => ({
    path: `${name}/1.png`,
    label,
    split: "train" as const,
  }));
  return { kind: "images", classNames, samples };
}

const inputs = (samples: number) => float32Tensor(new Float32Array(samples * 12), [samples, 2, 2, 3]);
const targets = (values: readonly number[], ...shape: number[]) =>
  arrayDataset(inputs(shape[0] ?? 0), float32Tensor(Float32Array.from(values), shape));

function only(checkpoint: Checkpoint, dataset?: Parameters<typeof taskOf>[1], asked?: AskedTask): TaskOutput {
  const { outputs } = taskOf(checkpoint, dataset, asked);
  expect(outputs).toHaveLength(1);
  return outputs[0]!;
}

describe("the head", () => {
  const classNames = ["ants", "bees", "wasps"];

  test("with the labels of the data is kept in the order of the file", () => {
    const labels = ["wasps", "ants", "bees"];
    expect(only(model(3, "softmax", { labels }), folder(...classNames))).toMatchObject({
      head: "kept",
      labels,
    });
  });

  test("with other, more or fewer labels is replaced", () => {
    const others = model(3, "softmax", { labels: ["ants", "bees", "flies"] });
    expect(only(others, folder(...classNames))).toMatchObject({ head: "new", units: 3, labels: classNames });
    expect(only(model(3, "softmax"), folder("a", "b"))).toMatchObject({ head: "new", units: 2 });
    const four = folder(...classNames, "flies");
    expect(only(model(3, "softmax", { labels: classNames }), four)).toMatchObject({ head: "new", units: 4 });
  });

  test("without labels and with the right number of classes is kept with a warning", () => {
    const task = taskOf(model(3, "softmax"), folder(...classNames));
    expect(task.outputs[0]).toMatchObject({ head: "kept", labels: classNames });
    expect(task.warnings).toEqual([
      "The head has 3 classes and the file has no labels: it is kept, and its outputs are taken to be ants, bees, wasps in this order.",
    ]);
    expect(only(model(1, "sigmoid"), folder("a", "b"))).toMatchObject({ head: "kept", units: 1 });
    expect(only(model(1, "sigmoid"), folder(...classNames))).toMatchObject({ head: "new", units: 3 });
  });

  test("is kept where that is asked and its units fit, whatever its labels", () => {
    const task = taskOf(model(3, "softmax", { labels: ["x", "y", "z"] }), folder(...classNames), {
      keepHead: true,
    });
    expect(task.outputs[0]).toMatchObject({ head: "kept", labels: classNames });
    expect(task.warnings).toEqual([
      "The head is kept as requested, although its labels are x, y, z and those of the data are ants, bees, wasps.",
    ]);
  });

  test("of a model that is not a classifier is new", () => {
    expect(only(checkpointOf([imageInput(), conv("a"), pool()]), folder(...classNames))).toMatchObject({
      head: "new",
    });
    const embedding = model(3, "relu");
    expect(only(embedding, folder(...classNames))).toMatchObject({ head: "new", activation: "softmax" });
  });

  test("of logits is kept where the file was compiled for them, and a regression's is not", () => {
    const logits = { loss: { class_name: "BinaryCrossentropy", config: { from_logits: true } } };
    expect(only(model(1, "linear", {}, logits), folder("cat", "dog"))).toMatchObject({
      head: "kept",
      kind: "classes",
      activation: "linear",
      loss: logits.loss,
      reason: "as compiled in the file",
    });
    expect(only(model(1, "linear", {}, { loss: "mse" }), folder("cat", "dog"))).toMatchObject({
      head: "new",
      units: 2,
      activation: "softmax",
    });
    const sparse = { loss: { class_name: "SparseCategoricalCrossentropy", config: { from_logits: true } } };
    expect(only(model(5, "linear", {}, sparse), folder("a", "b", "c"))).toMatchObject({
      head: "new",
      units: 3,
      activation: "linear",
      loss: sparse.loss,
    });
  });
});

describe("arrays without a word", () => {
  test.each([
    ["softmax", 3, targets([0, 2, 1], 3), "classes", "sparse_categorical_crossentropy"],
    ["softmax", 3, targets([0, 0, 1, 1, 0, 0], 2, 3), "classes", "categorical_crossentropy"],
    ["sigmoid", 1, targets([0, 1], 2), "classes", "binary_crossentropy"],
    ["sigmoid", 3, targets([0, 1, 1, 1, 0, 0], 2, 3), "labels", "binary_crossentropy"],
    ["sigmoid", 3, targets([0.5, 1, 0, 1, 0, 0.1], 2, 3), "values", "binary_crossentropy"],
    ["linear", 1, targets([0, 1], 2), "values", "mean_squared_error"],
    ["linear", 2, targets([0.3, -1, 2, 5], 2, 2), "values", "mean_squared_error"],
    ["tanh", 2, targets([0.3, -1, 2, 5], 2, 2), "values", "mean_squared_error"],
  ] as const)("%s with %i units", (activation, units, dataset, kind, loss) => {
    expect(only(model(units, activation), dataset)).toMatchObject({ head: "kept", kind, loss, units });
  });

  test("class indices for linear units are told from logits", () => {
    expect(only(model(3, "linear"), targets([0, 2], 2))).toMatchObject({
      kind: "classes",
      loss: { class_name: "SparseCategoricalCrossentropy", config: { from_logits: true } },
    });
  });

  test("indices that the output does not have leave the head alone: they are an error of the targets", () => {
    expect(only(model(3, "softmax"), targets([0, 7], 2))).toMatchObject({ head: "kept", units: 3 });
  });

  test("numbers for a softmax are another task: its head is new and linear", () => {
    expect(only(model(3, "softmax"), targets([0.2, 7.5], 2))).toMatchObject({
      head: "new",
      kind: "values",
      units: 1,
      activation: "linear",
      loss: "mean_squared_error",
    });
  });

  test("a softmax of one unit, which is always 1, is replaced", () => {
    expect(only(model(1, "softmax"), targets([0, 1], 2))).toMatchObject({
      ...{ head: "new", units: 2, activation: "softmax" },
      loss: "sparse_categorical_crossentropy",
    });
    const compiled = { loss: "binary_crossentropy" };
    expect(only(model(1, "softmax", {}, compiled), folder("cat", "dog"))).toMatchObject({
      head: "new",
      units: 1,
      activation: "sigmoid",
    });
  });

  test("a lone sigmoid that is given more than two classes gets a head for them", () => {
    const compiled = { loss: "binary_crossentropy" };
    expect(only(model(1, "sigmoid", {}, compiled), targets([0, 2, 1], 3))).toMatchObject({
      ...{ head: "new", kind: "classes", units: 3, activation: "softmax" },
      loss: "sparse_categorical_crossentropy",
    });
    expect(only(model(1, "sigmoid"), targets([0, 30, 17], 3))).toMatchObject({ kind: "values", head: "new" });
  });

  test("masks of 0 and 255 for a sigmoid are refused", () => {
    const maps = checkpointOf([
      imageInput(),
      conv("map", { config: { filters: 1, activation: "sigmoid", padding: "same" } }),
    ]);
    const masks = targets(
      Array.from({ length: 2 * 32 * 32 }, (_, index) => (index % 3 === 0 ? 255 : 0)),
      ...[2, 32, 32],
    );
    expect(() => only(maps, masks)).toThrow(
      /^targets of map: expected 0 and 1 .* got 0 and 255\. Divide the masks by 255\.$/,
    );
  });

  test("indices that do not reach the last class are the model's own where the head is to be kept", () => {
    expect(only(model(5, "softmax"), targets([0, 2, 1], 3))).toMatchObject({ head: "new", units: 3 });
    expect(only(model(5, "softmax"), targets([0, 2, 1], 3), { keepHead: true })).toMatchObject({
      head: "kept",
      units: 5,
    });
  });

  test("targets of samples give a map a head of its own", () => {
    const maps = checkpointOf([imageInput(), conv("map")]);
    expect(only(maps, targets([0, 1, 2], 3))).toMatchObject({ head: "new", kind: "classes", units: 3 });
    expect(only(maps, targets([0.5, 1, 2], 3))).toMatchObject({ head: "new", kind: "values", units: 1 });
  });
});

describe("a file's compile config", () => {
  test("is heeded with its settings, metrics and weights", () => {
    const loss = { class_name: "CategoricalCrossentropy", config: { label_smoothing: 0.1 } };
    const compiled = { loss, metrics: ["acc"], weighted_metrics: ["mse"], loss_weights: 0.5 };
    expect(only(model(3, "softmax", {}, compiled), targets([0, 0, 1, 1, 0, 0], 2, 3))).toMatchObject({
      loss,
      metrics: ["acc"],
      weightedMetrics: ["mse"],
      lossWeight: 0.5,
    });
  });

  test("names one cross-entropy where the targets ask for its like", () => {
    const sparse = { loss: "sparse_categorical_crossentropy" };
    expect(only(model(3, "softmax", {}, sparse), targets([0, 0, 1, 1, 0, 0], 2, 3)).loss).toBe(
      "categorical_crossentropy",
    );
    const oneHot = { loss: { class_name: "CategoricalCrossentropy", config: { from_logits: true } } };
    expect(only(model(3, "linear", {}, oneHot), targets([0, 2], 2)).loss).toEqual({
      class_name: "SparseCategoricalCrossentropy",
      config: { from_logits: true },
    });
  });

  test("that names code in Python is passed over by name", () => {
    const own = {
      module: "builtins",
      class_name: "function",
      config: "my_loss",
      registered_name: "function",
    };
    const task = taskOf(
      model(3, "softmax", {}, { loss: own, metrics: ["my_metric", "accuracy"] }),
      targets([0, 2], 2),
    );
    expect(task.outputs[0]).toMatchObject({ loss: "sparse_categorical_crossentropy", metrics: ["accuracy"] });
    expect(task.warnings.join(" ")).toMatch(/loss my_loss.*passed over.*metric my_metric/);
  });
});

describe("label smoothing", () => {
  const smoothed = { labelSmoothing: 0.1 };

  test("smooths the targets of the cross-entropy that the head and the data say", () => {
    expect(only(model(3, "softmax"), folder("a", "b", "c"), smoothed).loss).toEqual({
      class_name: "CategoricalCrossentropy",
      config: expect.objectContaining({ label_smoothing: 0.1 }),
    });
    const sparse = { loss: { class_name: "SparseCategoricalCrossentropy", config: { from_logits: true } } };
    expect(only(model(3, "linear", {}, sparse), folder("a", "b", "c"), smoothed).loss).toEqual({
      class_name: "CategoricalCrossentropy",
      config: expect.objectContaining({ label_smoothing: 0.1, from_logits: true }),
    });
    expect(only(model(1, "sigmoid"), folder("a", "b"), smoothed).loss).toEqual({
      class_name: "BinaryCrossentropy",
      config: expect.objectContaining({ label_smoothing: 0.1 }),
    });
  });

  test("takes the place of the file's own", () => {
    const compiled = { loss: { class_name: "CategoricalCrossentropy", config: { label_smoothing: 0.3 } } };
    expect(only(model(3, "softmax", {}, compiled), folder("a", "b", "c"), smoothed).loss).toEqual({
      class_name: "CategoricalCrossentropy",
      config: expect.objectContaining({ label_smoothing: 0.1 }),
    });
  });

  test("is refused for losses that have none, and for arrays of indices", () => {
    expect(() => only(model(3, "softmax"), targets([0, 2, 1], 3), smoothed)).toThrow(
      /^labelSmoothing: expected a cross-entropy of one-hot or binary targets, got sparse_categorical_crossentropy/,
    );
    expect(() => only(model(1, "linear"), targets([0.5, 2, 1], 3), smoothed)).toThrow(/^labelSmoothing: /);
  });
});
