import { TopologyError } from "../errors.ts";
import type { CallInputs } from "./call-outputs.ts";
import type { OrderedCall } from "./dialects/call-order.ts";
import { callKey, callOrder } from "./dialects/call-order.ts";
import type { LayerDescription, ModelDescription, NamedArgument } from "./dialects/description.ts";
import { tensorNamesIn } from "./dialects/description.ts";
import type { Argument, GraphLayer, GraphNode, TensorRef, TensorSpec } from "./layer-graph.ts";
import { layersByPath, tensorAt, tensorsIn } from "./layer-graph.ts";

/** Infers the outputs of a call. */
export type OutputsOf = (layer: GraphLayer, call: CallInputs) => readonly TensorSpec[];

/** A model as calls on tensors. `inputs` and `outputs` have the order of its config. */
export interface ModelCalls {
  readonly layers: readonly GraphLayer[];
  readonly nodes: readonly GraphNode[];
  readonly inputs: readonly TensorRef[];
  readonly outputs: readonly TensorRef[];
}

/**
 * Lists the layers and calls of a model and of the models nested in it.
 * @throws {TopologyError} naming the layer whose inputs are invalid.
 */
export function modelCalls(model: ModelDescription, outputsOf: OutputsOf): ModelCalls {
  const layers = declareLayers(model);
  const building: Building = {
    outputsOf,
    nodes: [],
    layers: layersByPath({ layers }),
    orders: new Map(),
  };
  const outermost: Frame = { model, prefix: "", produced: new Map(), training: undefined };
  const outputs = runModel(building, outermost);
  const inputs = tensorNamesIn(model.inputs).map((name) =>
    lookUp(outermost, { ...name, output: 0 }, model.name),
  );
  return { layers, nodes: building.nodes, inputs, outputs };
}

/** Lists the layers in `model.layers` order, with the layers of a nested model in its place. */
function declareLayers(model: ModelDescription): GraphLayer[] {
  const layers: GraphLayer[] = [];
  const paths = new Set<string>();
  const declare = (inner: ModelDescription, containers: readonly string[], trainable: boolean): void => {
    const outer = containers.at(-1);
    for (const layer of inner.layers) {
      const path = outer === undefined ? layer.name : `${outer}/${layer.name}`;
      if (layer.model) {
        declare(layer.model, [...containers, path], trainable && layer.trainable);
        continue;
      }
      if (outer !== undefined && layer.className === "InputLayer") continue;
      if (paths.has(path)) {
        throw new TopologyError(
          `${path}: layer name: expected a unique path, got two layers with it (a name contains a slash). Rename one of them.`,
          "malformed",
        );
      }
      paths.add(path);
      layers.push({
        path,
        name: layer.name,
        className: layer.className,
        config: layer.config,
        keras: layer.keras,
        trainable: trainable && layer.trainable,
        containers,
        index: layers.length,
      });
    }
  };
  declare(model, [], model.trainable);
  return layers;
}

/** The graph that is being built. */
interface Building {
  readonly outputsOf: OutputsOf;
  readonly nodes: GraphNode[];
  readonly layers: ReadonlyMap<string, GraphLayer>;
  /** Order of the calls of each model, computed once even if a nested model is called several times. */
  readonly orders: Map<ModelDescription, readonly OrderedCall[]>;
}

/** One call of a model. */
interface Frame {
  readonly model: ModelDescription;
  /** Prefix of the layers' paths. */
  readonly prefix: string;
  /** Outputs that the model's layers have produced so far, by the key of their call. */
  readonly produced: Map<string, readonly TensorRef[]>;
  /** The `training` argument of the call, which the model's layers inherit. */
  readonly training: Argument | undefined;
}

/** Appends the nodes of one call of a model and returns its outputs as a flat list. */
function runModel(building: Building, frame: Frame): TensorRef[] {
  const { model, prefix, produced } = frame;
  const order = building.orders.get(model) ?? callOrder(model, prefix);
  building.orders.set(model, order);
  for (const call of order) {
    const key = callKey(call.layer.name, call.call);
    if (produced.has(key)) continue;
    const { layer } = call;
    produced.set(
      key,
      layer.model ? callModel(building, frame, layer, layer.model, call) : callLayer(building, frame, call),
    );
  }
  return tensorNamesIn(model.outputs).map((name) => lookUp(frame, name, `${prefix}${model.name}`));
}

function callLayer(building: Building, frame: Frame, call: OrderedCall): TensorRef[] {
  const { layer, description } = call;
  const path = frame.prefix + layer.name;
  const args = description.args.map((argument) => resolve(frame, argument, path));
  const kwargs = inheritTraining(resolveAll(frame, description.kwargs, path), frame.training, layer);
  const inputs = [
    ...args.flatMap(tensorsIn),
    ...Object.entries(kwargs).flatMap(([name, argument]) =>
      name === "mask" || name === "initial_state" ? [] : tensorsIn(argument),
    ),
  ];
  const graphLayer = building.layers.get(path);
  if (!graphLayer) {
    throw new TopologyError(
      `${path}: an InputLayer inside a nested model: expected to be one of its inputs, got none of them.`,
      "dangling-reference",
    );
  }
  const specs = building.outputsOf(graphLayer, {
    inputs: inputs.map((ref) => tensorAt(building, ref)),
    args,
    kwargs,
    outputsRead: call.outputsRead,
  });
  const node: GraphNode = { index: building.nodes.length, layer: path, args, kwargs, inputs, outputs: specs };
  building.nodes.push(node);
  return specs.map((_, output) => ({ node: node.index, output }));
}

function callModel(
  building: Building,
  frame: Frame,
  layer: LayerDescription,
  model: ModelDescription,
  call: OrderedCall,
): TensorRef[] {
  const path = frame.prefix + layer.name;
  const kwargs = resolveAll(frame, call.description.kwargs, path);
  const args = call.description.args.map((argument) => resolve(frame, argument, path));
  const inner: Frame = {
    model,
    prefix: `${path}/`,
    produced: bindInputs(model, args, kwargs, path),
    training: isGiven(kwargs["training"]) ? kwargs["training"] : frame.training,
  };
  return runModel(building, inner);
}

/**
 * Binds the InputLayers of a nested model to the tensors of one call: those of a record by key, others by position.
 */
function bindInputs(
  model: ModelDescription,
  args: readonly Argument[],
  kwargs: Readonly<Record<string, Argument>>,
  path: string,
): Map<string, readonly TensorRef[]> {
  const given = args[0] ?? kwargs["inputs"];
  const names = tensorNamesIn(model.inputs);
  const byName =
    given?.kind === "record" && model.inputs.kind !== "record"
      ? names.map((name) => given.entries[name.layer])
      : undefined;
  const tensors = byName?.every((entry) => entry !== undefined)
    ? byName.flatMap(tensorsIn)
    : args.length > 1
      ? args.flatMap(tensorsIn)
      : given
        ? tensorsIn(given)
        : [];
  if (tensors.length !== names.length) {
    throw new TopologyError(
      `${path}: inputs: expected ${names.length}, got ${tensors.length}.`,
      "dangling-reference",
    );
  }
  return new Map(
    names.map((name, index) => [callKey(name.layer, name.call), tensors.slice(index, index + 1)]),
  );
}

/** Passes the `training` argument of a model on to a layer that has none of its own. */
function inheritTraining(
  kwargs: Readonly<Record<string, Argument>>,
  training: Argument | undefined,
  layer: LayerDescription,
): Readonly<Record<string, Argument>> {
  if (!training || isGiven(kwargs["training"]) || layer.className.startsWith("ops.")) return kwargs;
  return layer.className === "InputLayer" ? kwargs : { ...kwargs, training };
}

function isGiven(argument: Argument | undefined): argument is Argument {
  return argument !== undefined && !(argument.kind === "value" && argument.value === null);
}

function resolveAll(
  frame: Frame,
  kwargs: Readonly<Record<string, NamedArgument>>,
  reader: string,
): Record<string, Argument> {
  return Object.fromEntries(
    Object.entries(kwargs).map(([name, argument]) => [name, resolve(frame, argument, reader)]),
  );
}

function resolve(frame: Frame, argument: NamedArgument, reader: string): Argument {
  switch (argument.kind) {
    case "tensor":
      return { kind: "tensor", ref: lookUp(frame, argument.tensor, reader) };
    case "value":
      return argument;
    case "list":
      return { kind: "list", items: argument.items.map((item) => resolve(frame, item, reader)) };
    case "record":
      return { kind: "record", entries: resolveAll(frame, argument.entries, reader) };
  }
}

function lookUp(
  frame: Frame,
  name: { layer: string; call: number; output: number },
  reader: string,
): TensorRef {
  const refs = frame.produced.get(callKey(name.layer, name.call));
  const ref = refs?.[name.output];
  if (ref) return ref;
  throw new TopologyError(
    `${reader}: input: expected one of the ${refs?.length ?? 0} outputs of ${frame.prefix}${name.layer}, got output ${name.output}.`,
    "dangling-reference",
  );
}
