import type { Checkpoint, Json, JsonObject, Weight } from "../checkpoint.ts";
import { TopologyError, UsageError } from "../errors.ts";
import { glorotUniform, randomGenerator } from "../random.ts";
import type { Shape } from "../tensor.ts";
import { elementCount, float32Tensor, formatShape } from "../tensor.ts";
import { layerGraph } from "../topology/build-graph.ts";
import { isObject } from "../topology/config-values.ts";
import { editLayers, withConfig } from "../topology/edit-config.ts";
import type { Classifier } from "../topology/head-of.ts";
import { activationName, classifierOf, headOf } from "../topology/head-of.ts";
import type { GraphNode, LayerGraph } from "../topology/layer-graph.ts";
import { layerAt } from "../topology/layer-graph.ts";
import { plainForm } from "../topology/specs/quantization.ts";
import { weightSpecsOf } from "../topology/weights-of.ts";
import { appendHead } from "./append-head.ts";

export interface HeadOptions {
  readonly classes: number;
  /** 0 */
  readonly seed?: number;
  /** What turns scores into the output; the head's own sigmoid where it is one unit for two classes, else softmax. */
  readonly activation?: "softmax" | "sigmoid" | "linear";
}

/**
 * The checkpoint with a fresh head for `classes` classes. A classifier's last weighted layer keeps its name, class and config
 * and gets as many units; a Reshape behind it follows. Behind an output that is no classifier a Dense is put, after a global
 * average where the output has positions. Kernels are Glorot uniform from `seed`, biases zero. `notes.newLayers` names what is
 * new; labels and optimizer variables are gone.
 * @throws {TopologyError} for several outputs, a shared head, an output that no head fits.
 * @throws {UsageError} for fewer than two classes.
 */
export function replaceHead(checkpoint: Checkpoint, options: HeadOptions): Checkpoint {
  if (!Number.isSafeInteger(options.classes) || options.classes < 2) {
    throw new UsageError(`new head: expected two classes or more, got ${options.classes}.`, "classes");
  }
  const graph = layerGraph(checkpoint);
  if (graph.outputs.length !== 1) {
    const names = graph.outputs.map((output) => output.name).join(", ");
    throw new TopologyError(
      `${graph.name}: new head: expected one output, got ${graph.outputs.length} (${names}). Keep the head, or save a model with one output.`,
      "several-outputs",
    );
  }
  const head = headOf(graph);
  if (head?.shared) {
    throw new TopologyError(
      `${head.path}: new head: expected a layer that is called once, got a shared one. Keep the head, or save a model that ends in a layer of its own.`,
      "shared-head",
    );
  }
  const classifier = classifierOf(graph);
  const activation =
    options.activation ?? (keepsSigmoid(classifier, options.classes) ? "sigmoid" : "softmax");
  const units = activation === "sigmoid" && options.classes === 2 ? 1 : options.classes;
  const { modelConfig, newLayers } = classifier
    ? {
        modelConfig: withUnits(checkpoint, graph, classifier, { units, activation }),
        newLayers: [classifier.head.path],
      }
    : appendHead(checkpoint, graph, { units, activation });
  const { labels: _labels, ...notes } = checkpoint.notes;
  const { optimizerWeights: _optimizer, ...kept } = checkpoint;
  return {
    ...kept,
    modelConfig,
    weights: new Map([
      ...checkpoint.weights,
      ...freshWeights({ ...checkpoint, modelConfig }, newLayers, options.seed ?? 0),
    ]),
    notes: { ...notes, newLayers },
  };
}

/** One sigmoid unit serves two classes. */
function keepsSigmoid(classifier: Classifier | null, classes: number): boolean {
  return classes === 2 && classifier?.units === 1 && classifier.activation === "sigmoid";
}

interface Scores {
  readonly units: number;
  readonly activation: string;
}

function withUnits(
  checkpoint: Checkpoint,
  graph: LayerGraph,
  classifier: Classifier,
  { units, activation }: Scores,
): JsonObject {
  const { head } = classifier;
  const activationAt = [...head.tail].reverse().find((path) => givesActivation(graph, path));
  const changesActivation = classifier.activation !== activation;
  const edited = editLayers(checkpoint.modelConfig, ({ path, json }) => {
    if (path === head.path) {
      const own = changesActivation && activationAt !== undefined ? "linear" : activation;
      const keepsOwn = activationAt !== undefined && !changesActivation;
      return withConfig(json, {
        ...plainForm(layerAt(graph, path).config),
        [unitsKey(json)]: units,
        ...(keepsOwn ? {} : { activation: own }),
      });
    }
    if (path === activationAt && changesActivation) return withActivation(path, json, activation);
    return head.tail.includes(path) ? withReshape(json, classifier.units, units) : json;
  });
  const changed = layerGraph({ ...checkpoint, modelConfig: edited });
  requireOutput(changed, units);
  return withInputShapes(edited, changed, head.tail);
}

function givesActivation(graph: LayerGraph, path: string): boolean {
  const layer = layerAt(graph, path);
  return layer.className === "Activation" || activationName(layer) !== "linear";
}

function withActivation(path: string, json: JsonObject, activation: string): JsonObject {
  if (json["class_name"] === "Activation") return withConfig(json, { activation });
  throw new TopologyError(
    `${path}: new head: expected an Activation that can become ${activation}, got ${String(json["class_name"])}.`,
    "head-activation",
  );
}

/** Keras 1 calls the units of a Dense `output_dim`, the filters of a convolution `nb_filter`. */
function unitsKey(json: JsonObject): string {
  const config = json["config"] as JsonObject;
  return ["units", "filters", "output_dim", "nb_filter"].find((key) => key in config) ?? "units";
}

/** A Reshape's target with the new units where the old ones stood. */
function withReshape(json: JsonObject, oldUnits: number, units: number): JsonObject {
  const target = isObject(json["config"]) ? json["config"]["target_shape"] : undefined;
  if (json["class_name"] !== "Reshape" || !Array.isArray(target)) return json;
  const at = (target as readonly Json[]).lastIndexOf(oldUnits);
  if (at === -1) return json;
  return withConfig(json, { target_shape: target.with(at, units) as readonly Json[] });
}

function requireOutput(graph: LayerGraph, units: number): void {
  const output = graph.outputs[0]!;
  const shape = graph.nodes[output.ref.node]!.outputs[output.ref.output]!.shape;
  if (shape?.length === 2 && shape[1] === units) return;
  throw new TopologyError(
    `${output.name}: new head: expected an output of ${formatShape([null, units])}, got ${shape ? formatShape(shape) : "one of unknown shape"}.`,
    "head-output",
  );
}

/** The shapes that Keras 3 writes beside a layer's inputs, of the layers behind a changed one. */
function withInputShapes(modelConfig: JsonObject, graph: LayerGraph, paths: readonly string[]): JsonObject {
  const shapes = new Map<string, Shape>();
  for (const node of graph.nodes) {
    const shape = paths.includes(node.layer) ? inputShape(graph, node) : null;
    if (shape) shapes.set(node.layer, shape);
  }
  return editLayers(modelConfig, ({ path, json }) => {
    const shape = shapes.get(path);
    if (!shape) return json;
    const build = json["build_config"];
    return {
      ...json,
      ...("inbound_nodes" in json && { inbound_nodes: withTensorShape(json["inbound_nodes"]!, shape) }),
      ...(isObject(build) && "input_shape" in build && { build_config: { ...build, input_shape: shape } }),
    };
  });
}

function inputShape(graph: LayerGraph, node: GraphNode): Shape | null {
  const [ref] = node.inputs;
  return ref ? graph.nodes[ref.node]!.outputs[ref.output]!.shape : null;
}

function withTensorShape(json: Json, shape: Shape): Json {
  if (Array.isArray(json)) {
    const items: readonly Json[] = json;
    const edited = items.map((item) => withTensorShape(item, shape));
    return edited.every((item, index) => item === items[index]) ? json : edited;
  }
  if (!isObject(json)) return json;
  const config = json["config"];
  if (json["class_name"] === "__keras_tensor__" && isObject(config)) {
    return { ...json, config: { ...config, shape } };
  }
  const entries = Object.entries(json).map(([key, value]) => [key, withTensorShape(value, shape)] as const);
  return entries.every(([key, value]) => value === json[key])
    ? json
    : { ...json, ...Object.fromEntries(entries) };
}

function freshWeights(
  checkpoint: Pick<Checkpoint, "modelConfig" | "kerasVersion">,
  paths: readonly string[],
  seed: number,
): [string, readonly Weight[]][] {
  const generator = randomGenerator(seed);
  const specs = weightSpecsOf(layerGraph(checkpoint));
  return paths.flatMap((path) => {
    const own = specs.get(path);
    if (!own) return [];
    const weights = own.map(({ name, shape }): Weight => {
      if (name !== "kernel" && name !== "bias") {
        throw new TopologyError(
          `${path}: new head: expected a kernel and a bias, got a weight ${name}.`,
          "head-weights",
        );
      }
      const data =
        name === "kernel" ? glorotUniform(shape, generator) : new Float32Array(elementCount(shape));
      return { name, ...float32Tensor(data, shape) };
    });
    return [[path, weights]];
  });
}
