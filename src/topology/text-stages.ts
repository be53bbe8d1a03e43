import { headOf } from "./head-of.ts";
import { type GraphLayer, type LayerGraph, tensorAt } from "./layer-graph.ts";
import { weightSpecsOf } from "./weights-of.ts";

/** The name of a block of a transformer, which is a model in the network: `transformer_layer_3`. */
const blockName = /(?:^|_)(?:layer|block)_\d+$/;

/**
 * Labels the layers of a transformer of texts, which have no resolution: each block by its name, what is before the first block `embeddings`, and behind the last one `top`
 * and `head`. Returns null for a network of images, and for one of which blocks do not hold most layers with weights.
 */
export function textStages(graph: LayerGraph): ReadonlyMap<string, string> | null {
  const inputs = graph.inputs.map(({ ref }) => tensorAt(graph, ref).dtype);
  if (inputs.includes("float32")) return null;
  const weighted = weightSpecsOf(graph);
  const blocks = graph.layers.map(blockOf);
  const inBlocks = graph.layers.filter(({ path }, index) => weighted.has(path) && blocks[index] !== null);
  if (new Set(blocks).size < 2 || inBlocks.length * 2 < weighted.size) return null;
  const [first, last] = [blocks.findIndex(isFound), blocks.findLastIndex(isFound)];
  const head = headOf(graph);
  const headPaths = new Set(head ? [head.path, ...head.tail] : []);
  const labels = new Map<string, string>();
  for (const [index, { path, className }] of graph.layers.entries()) {
    if (className === "InputLayer") continue;
    const between = index < first ? "embeddings" : index > last ? "top" : blocks[last];
    labels.set(path, headPaths.has(path) ? "head" : (blocks[index] ?? between ?? "top"));
  }
  return labels;
}

function isFound(block: string | null): boolean {
  return block !== null;
}

function blockOf({ containers }: GraphLayer): string | null {
  const names = containers.map((path) => path.slice(path.lastIndexOf("/") + 1));
  return names.find((name) => blockName.test(name)) ?? null;
}
