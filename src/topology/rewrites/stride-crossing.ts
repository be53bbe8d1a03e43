import type { JsonObject } from "../../checkpoint.ts";
import { integersAt, positiveAxis } from "../config-values.ts";
import type { GraphLayer, GraphNode } from "../layer-graph.ts";
import { specOf } from "../layer-specs.ts";
import { activationName, runsAlongLastAxis } from "../specs/activation.ts";
import { everyRead } from "./graph-edges.ts";
import type { LayerWindow } from "./layer-window.ts";
import { isPointwise, windowOf } from "./layer-window.ts";

/**
 * Effect on a call of computing only every s-th position of its output:
 *
 * - `pass`: it computes the same values from fewer positions of its input with an unchanged config, except on the
 * `fixed` axes.
 * - `window`: its own stride can change.
 * - `whole`: it needs all positions.
 */
export type StrideCrossing =
  | { readonly kind: "pass"; readonly fixed: ReadonlySet<number>; readonly contracts: boolean }
  | { readonly kind: "window"; readonly window: LayerWindow }
  | { readonly kind: "whole" };

const whole: StrideCrossing = { kind: "whole" };

/**
 * Determines how a stride can cross a call.
 * @param rank Rank of the output.
 * @param calledOnce False if the layer is called several times. It then keeps its config, so its stride cannot change.
 */
export function strideCrossing(
  layer: GraphLayer,
  node: GraphNode,
  rank: number,
  calledOnce: boolean,
): StrideCrossing {
  const readsMask = everyRead(node).length > node.inputs.length;
  if (readsMask || node.outputs.length !== 1 || layer.config["activity_regularizer"]) return whole;
  const window = windowOf(layer);
  if (window) {
    if (calledOnce) return { kind: "window", window };
    const isPlain = isPointwise(window) && window.strides.every((stride) => stride === 1);
    if (!isPlain) return whole;
    return pass(otherAxes(window.axes, rank), window.kind !== "pool");
  }
  return passing(layer, node, rank);
}

function passing(layer: GraphLayer, node: GraphNode, rank: number): StrideCrossing {
  const { config } = layer;
  switch (layer.className) {
    case "ActivityRegularization":
      return whole;
    case "Dense":
      return activationName(config) === null ? whole : pass([rank - 1], true);
    case "Activation":
      return activationCrossing(config, rank);
    case "Softmax":
    case "BatchNormalization":
    case "Concatenate":
      return pass(axesIn(config, "axis", rank), false);
    case "LayerScale":
      return pass([rank - 1], false);
    case "Rescaling":
      return pass(
        typeof config["scale"] === "number" && typeof config["offset"] === "number" ? [] : [rank - 1],
        false,
      );
    case "PReLU":
      return pass(otherAxes(config["shared_axes"] ? axesIn(config, "shared_axes", rank) : [], rank), false);
    default:
      return isPlainElementwise(layer, node) ? pass([], false) : whole;
  }
}

function activationCrossing(config: JsonObject, rank: number): StrideCrossing {
  const name = activationName(config);
  if (name === null) return whole;
  return pass(runsAlongLastAxis(name) ? [rank - 1] : [], false);
}

/**
 * Returns whether a layer is elementwise and has no weights. An operation may have only scalar constants, because an
 * array has positions of its own.
 */
function isPlainElementwise(layer: GraphLayer, node: GraphNode): boolean {
  const spec = specOf(layer.className);
  if (!spec?.elementwise || spec.weights) return false;
  if (!layer.className.startsWith("ops.")) return true;
  return [...node.args, ...Object.values(node.kwargs)].every(
    (argument) =>
      argument.kind === "tensor" ||
      (argument.kind === "value" && (argument.value === null || typeof argument.value !== "object")),
  );
}

function pass(fixed: readonly number[], contracts: boolean): StrideCrossing {
  return { kind: "pass", fixed: new Set(fixed), contracts };
}

function axesIn(config: JsonObject, key: string, rank: number): number[] {
  return integersAt(config, key).map((axis) => positiveAxis(axis, rank));
}

function otherAxes(axes: readonly number[], rank: number): number[] {
  return Array.from({ length: rank }, (_, axis) => axis).filter((axis) => !axes.includes(axis));
}

/**
 * Returns the data format in which the strided axes are spatial, null if there is none or no pool of that rank exists.
 */
export function spatialDataFormat(
  strided: readonly number[],
  rank: number,
): "channels_first" | "channels_last" | null {
  if (rank < 3 || rank > 5 || strided.includes(0)) return null;
  if (!strided.includes(rank - 1)) return "channels_last";
  return strided.includes(1) ? null : "channels_first";
}
