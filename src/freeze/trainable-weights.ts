import type { GraphLayer, LayerGraph } from "../topology/layer-graph.ts";
import type { WeightSpec } from "../topology/layer-spec.ts";
import { specOf } from "../topology/layer-specs.ts";
import { weightSpecsOf } from "../topology/weights-of.ts";
import type { FrozenSet } from "./policy.ts";

/** Returns the names of the weights that receive gradients, by layer path. Layers without any are absent. */
export function trainableWeights(
  graph: LayerGraph,
  { frozen, bnMode, newLayers }: FrozenSet,
): ReadonlyMap<string, readonly string[]> {
  const trainable = new Map<string, readonly string[]>();
  for (const [path, specs] of weightSpecsOf(graph)) {
    const pretrainedNorm = hasMovingStatistics(specs) && !newLayers.has(path);
    const trains =
      pretrainedNorm && bnMode !== "inference" && bnMode !== "follow"
        ? bnMode === "train"
        : !frozen.has(path);
    const names = specs.filter((spec) => spec.trainable).map((spec) => spec.name);
    if (trains && names.length > 0) trainable.set(path, names);
  }
  return trainable;
}

/**
 * Returns the paths of the layers that use the statistics of the batch in a training step and update their moving
 * statistics, and of the trained layers that renew weights in a step (SpectralNormalization). A new layer uses batch
 * statistics if it trains; for pretrained ones the mode decides. `follow` is Keras's own rule: a layer does so if it
 * trains, unless Keras 2 wrote the file and every call has `training=False` (Keras 3's `fit` overrides that argument).
 */
export function batchStatistics(
  graph: LayerGraph,
  { frozen, bnMode, newLayers }: FrozenSet,
): ReadonlySet<string> {
  const specs = weightSpecsOf(graph);
  const held = calledInInference(graph);
  const uses = ({ path, keras }: GraphLayer): boolean => {
    if (newLayers.has(path)) return !frozen.has(path);
    if (bnMode === "follow") return !frozen.has(path) && !(keras === 2 && held.has(path));
    return bnMode === "train";
  };
  const renews = ({ path, className }: GraphLayer): boolean =>
    specOf(className)?.renewsWeights === true &&
    !frozen.has(path) &&
    specs.get(path)?.some((spec) => spec.trainable) === true;
  const layers = graph.layers.filter(
    (layer) => renews(layer) || (hasMovingStatistics(specs.get(layer.path) ?? []) && uses(layer)),
  );
  return new Set(layers.map((layer) => layer.path));
}

/** Returns whether a layer keeps moving statistics, as BatchNormalization does. */
export function hasMovingStatistics(specs: readonly WeightSpec[]): boolean {
  return specs.some((spec) => !spec.trainable && /(^|\/)moving_/.test(spec.name));
}

/** Returns the paths of the layers whose every call has the constant argument `training=False`. */
function calledInInference(graph: LayerGraph): ReadonlySet<string> {
  const free = new Set<string>();
  const held = new Set<string>();
  for (const node of graph.nodes) {
    const training = node.kwargs["training"];
    const off = training?.kind === "value" && (training.value === false || training.value === 0);
    (off ? held : free).add(node.layer);
  }
  return new Set([...held].filter((path) => !free.has(path)));
}
