import type { Checkpoint, Json, JsonObject, Weight } from "../checkpoint.ts";
import { TopologyError, UsageError } from "../errors.ts";
import { glorotUniform, randomGenerator } from "../random.ts";
import type { Shape } from "../tensor.ts";
import { elementCount, float32Tensor, formatShape } from "../tensor.ts";
import { layerGraph } from "../topology/build-graph.ts";
import { isObject } from "../topology/config-values.ts";
import { editLayers, withConfig } from "../topology/edit-config.ts";
import type { OutputHead } from "../topology/head-of.ts";
import { activationName, headOf, outputHead } from "../topology/head-of.ts";
import type { GraphNode, LayerGraph } from "../topology/layer-graph.ts";
import { layerAt, tensorAt } from "../topology/layer-graph.ts";
import { plainForm } from "../topology/specs/quantization.ts";
import { weightSpecsOf } from "../topology/weights-of.ts";
import { appendHead } from "./append-head.ts";

/** Options of {@link replaceHead}. */
export type HeadOptions = (ClassHead | UnitHead) & {
  /** Seed of the new kernel. Defaults to 0. */
  readonly seed?: number;
  /**
   * True to compute scores at every position of the output, as in segmentation or tagging. By default true if the
   * model's head is a Dense or convolution that computes scores at every position.
   */
  readonly perPosition?: boolean;
};

/** A new head for classification. */
export interface ClassHead {
  readonly classes: number;
  /**
   * Activation of the output. Defaults to sigmoid if a head of one sigmoid unit is replaced for two classes, else to
   * softmax.
   */
  readonly activation?: "softmax" | "sigmoid" | "linear";
}

/** A new head with any number of output values: linear for regression, sigmoid for multi-label classification. */
export interface UnitHead {
  readonly units: number;
  /** Activation of the output. Defaults to linear. */
  readonly activation?: "softmax" | "sigmoid" | "linear";
}

/**
 * Returns the checkpoint with a new head for `classes` classes, or with `units` output values. The last layer with
 * weights of a head keeps its name, class and config except for its units; the target shape of a Reshape after it is
 * adapted. If the output has scores at every position, the last convolution or TimeDistributed Dense is replaced. Any
 * other model gets a Dense layer, after a global average if its output has spatial dimensions. Kernels are Glorot
 * uniform, biases zero. `notes.newLayers` lists the new layers; labels and optimizer variables are dropped, and with `units` the compiled loss and metrics.
 * @throws {TopologyError} if the model has several outputs, a shared head, or an output that no head fits.
 * @throws {UsageError} if `classes` is less than two, or `units` less than one.
 * @example
 * ```ts
 * const pets = replaceHead(await readCheckpoint("resnet50.h5"), { classes: 37 });
 * const ages = replaceHead(await readCheckpoint("resnet50.h5"), { units: 1 });
 * ```
 */
export function replaceHead(checkpoint: Checkpoint, options: HeadOptions): Checkpoint {
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
  const own = outputHead(graph, 0);
  const scoresPositions = own !== null && !own.perSample && scoreActivations.includes(own.activation);
  const perPosition = options.perPosition ?? scoresPositions;
  const replaced =
    own && own.perSample === !perPosition && scoreActivations.includes(own.activation) ? own : null;
  const scores = scoresOf(options, replaced);
  const { modelConfig, newLayers } = replaced
    ? {
        modelConfig: withUnits(checkpoint, graph, replaced, scores),
        newLayers: [replaced.head.path],
      }
    : appendHead(checkpoint, graph, { ...scores, perPosition });
  const { labels: _labels, ...notes } = checkpoint.notes;
  const { optimizerWeights: _optimizer, ...kept } = checkpoint;
  return {
    ...("units" in options ? withoutLoss(kept) : kept),
    modelConfig,
    weights: new Map([
      ...checkpoint.weights,
      ...freshWeights({ ...checkpoint, modelConfig }, newLayers, options.seed ?? 0),
    ]),
    notes: { ...notes, newLayers },
  };
}

/** Returns the checkpoint without the loss and metrics that it was compiled with: those of another task than a head of units has. */
function withoutLoss(checkpoint: Checkpoint): Checkpoint {
  const { trainingConfig } = checkpoint;
  if (!trainingConfig) return checkpoint;
  const {
    loss: _loss,
    loss_weights: _weights,
    metrics: _metrics,
    weighted_metrics: _weighted,
    ...rest
  } = trainingConfig;
  return { ...checkpoint, trainingConfig: rest };
}

/** Activations of an output layer. With any other activation a layer's units are features, not scores. */
const scoreActivations: readonly string[] = ["softmax", "sigmoid", "linear"];

/** Returns units and activation of the new head. One sigmoid unit is enough for two classes. */
function scoresOf(options: ClassHead | UnitHead, replaced: OutputHead | null): Scores {
  if ("units" in options) {
    const { units, activation = "linear" } = options;
    if (Number.isSafeInteger(units) && units >= 1) return { units, activation };
    throw new UsageError(`new head: expected at least one unit, got ${units}.`, "units");
  }
  const { classes } = options;
  if (!Number.isSafeInteger(classes) || classes < 2) {
    throw new UsageError(`new head: expected at least two classes, got ${classes}.`, "classes");
  }
  const keepsSigmoid = classes === 2 && replaced?.units === 1 && replaced.activation === "sigmoid";
  const activation = options.activation ?? (keepsSigmoid ? "sigmoid" : "softmax");
  return { units: activation === "sigmoid" && classes === 2 ? 1 : classes, activation };
}

interface Scores {
  readonly units: number;
  readonly activation: string;
}

function withUnits(
  checkpoint: Checkpoint,
  graph: LayerGraph,
  classifier: OutputHead,
  { units, activation }: Scores,
): JsonObject {
  const { head } = classifier;
  const activationAt = [...head.tail].reverse().find((path) => givesActivation(graph, path));
  const changesActivation = classifier.activation !== activation;
  const edited = editLayers(checkpoint.modelConfig, ({ path, json }) => {
    if (path === head.path) {
      const own = changesActivation && activationAt !== undefined ? "linear" : activation;
      const keepsOwn = activationAt !== undefined && !changesActivation;
      const changes = keepsOwn ? {} : { activation: own };
      return json["class_name"] === "TimeDistributed"
        ? withInnerUnits(json, units, changes)
        : withConfig(json, {
            ...plainForm(layerAt(graph, path).config),
            [unitsKey(json)]: units,
            ...changes,
          });
    }
    if (path === activationAt && changesActivation) return withActivation(path, json, activation);
    return head.tail.includes(path) ? withReshape(json, classifier.units, units) : json;
  });
  const changed = layerGraph({ ...checkpoint, modelConfig: edited });
  requireOutput(changed, units, classifier.perSample);
  return withInputShapes(edited, changed, head.tail);
}

function givesActivation(graph: LayerGraph, path: string): boolean {
  const layer = layerAt(graph, path);
  return layer.className === "Activation" || activationName(layer) !== "linear";
}

/** Changes the units of the Dense inside a TimeDistributed. */
function withInnerUnits(json: JsonObject, units: number, changes: JsonObject): JsonObject {
  const config = json["config"];
  const inner = isObject(config) ? config["layer"] : undefined;
  if (!isObject(inner)) return json;
  return withConfig(json, { layer: withConfig(inner, { [unitsKey(inner)]: units, ...changes }) });
}

function withActivation(path: string, json: JsonObject, activation: string): JsonObject {
  if (json["class_name"] === "Activation") return withConfig(json, { activation });
  if (json["class_name"] === "Softmax" && isObject(json["config"])) {
    const { axis: _axis, ...config } = json["config"];
    return { ...json, class_name: "Activation", config: { ...config, activation } };
  }
  throw new TopologyError(
    `${path}: new head: expected an Activation that can become ${activation}, got ${String(json["class_name"])}.`,
    "head-activation",
  );
}

/**
 * Returns the argument that holds the number of outputs. Keras 1 names it `output_dim` in Dense and `nb_filter` in
 * convolutions.
 */
function unitsKey(json: JsonObject): string {
  const config = json["config"] as JsonObject;
  return ["units", "filters", "output_dim", "nb_filter"].find((key) => key in config) ?? "units";
}

/** Replaces the old number of units in the target shape of a Reshape. */
function withReshape(json: JsonObject, oldUnits: number, units: number): JsonObject {
  const target = isObject(json["config"]) ? json["config"]["target_shape"] : undefined;
  if (json["class_name"] !== "Reshape" || !Array.isArray(target)) return json;
  const at = (target as readonly Json[]).lastIndexOf(oldUnits);
  if (at === -1) return json;
  return withConfig(json, { target_shape: target.with(at, units) as readonly Json[] });
}

/**
 * @throws {TopologyError} if the model's output does not end in an axis of `units`, or has another rank than
 * `perSample` requires.
 */
function requireOutput(graph: LayerGraph, units: number, perSample: boolean): void {
  const [output] = graph.outputs;
  const shape = output ? tensorAt(graph, output.ref).shape : null;
  if (shape?.at(-1) === units && (shape.length === 2) === perSample) return;
  const expected = perSample ? formatShape([null, units]) : `positions of ${units} values`;
  throw new TopologyError(
    `${output?.name}: new head: expected an output of ${expected}, got ${shape ? formatShape(shape) : "an output of unknown shape"}.`,
    "head-output",
  );
}

/** Updates the input shapes that Keras 3 stores in the entries of the layers after a changed one. */
function withInputShapes(modelConfig: JsonObject, graph: LayerGraph, paths: readonly string[]): JsonObject {
  const shapes = new Map<string, Shape>();
  for (const node of graph.nodes) {
    const shape = paths.includes(node.layer) ? inputShape(graph, node) : null;
    if (shape) shapes.set(node.layer, shape);
  }
  return editLayers(modelConfig, ({ path, json }) => {
    const shape = shapes.get(path);
    if (!shape) return json;
    const { build_config: build, inbound_nodes: inbound } = json;
    return {
      ...json,
      ...(inbound !== undefined && { inbound_nodes: withTensorShape(inbound, shape) }),
      ...(isObject(build) && "input_shape" in build && { build_config: { ...build, input_shape: shape } }),
    };
  });
}

function inputShape(graph: LayerGraph, node: GraphNode): Shape | null {
  const [ref] = node.inputs;
  return ref ? tensorAt(graph, ref).shape : null;
}

/** Sets the shape of every Keras tensor in the inbound nodes of a layer. */
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

/**
 * Initializes the weights of the layers at `paths`. @throws {TopologyError} if one has more than a kernel and a bias.
 */
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
      // A wrapper names the weights of the layer inside it: `layer/kernel`.
      const role = name.split("/").at(-1);
      if (role !== "kernel" && role !== "bias") {
        throw new TopologyError(
          `${path}: new head: expected a kernel and a bias, got a weight ${name}.`,
          "head-weights",
        );
      }
      const data =
        role === "kernel" ? glorotUniform(shape, generator) : new Float32Array(elementCount(shape));
      return { name, ...float32Tensor(data, shape) };
    });
    return [[path, weights]];
  });
}
