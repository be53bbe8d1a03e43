import { withoutHub } from "../../architectures/hub/hub-models.ts";
import { withPreprocessorNoted } from "../../architectures/hub/text-preprocessor.ts";
import type { Checkpoint, Weight } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { VirtualFile } from "../../hdf5/file-system.ts";
import { createHdf5, type Hdf5Writer } from "../../hdf5/writer.ts";
import type { Tensor } from "../../tensor.ts";
import { dialectOf } from "../../topology/dialects/dialect.ts";
import { dialectInH5, inDialect } from "../dialect-writing.ts";
import { type LayerSlots, layerSlots } from "../layer-slots.ts";
import { leavesOf, modelTree, type TreeNode } from "../model-tree.ts";
import { notesKey, writeNotes } from "../notes.ts";
import { stringifyPythonJson } from "../python-json.ts";
import { idfNameInH5, storedIdfWeights } from "../vocabularies.ts";
import { legacyOrder } from "./group-weights.ts";

/**
 * Writes a checkpoint as a whole model in `.h5`, in the dialect it came in. Keras 1 becomes Keras 2, and `.keras`
 * becomes the `.h5` dialect of Keras 3. Keras reads the weights by position: layers in the order of `model.layers`, and
 * within a nested model trainable weights first.
 * @throws {TopologyError} naming the layer that Keras could not read back.
 */
export async function writeKerasH5(file: VirtualFile, label: string, original: Checkpoint): Promise<void> {
  const plain = { ...withPreprocessorNoted(original), modelConfig: withoutHub(original.modelConfig) };
  const checkpoint = inDialect(plain, dialectInH5(plain));
  const notes = writeNotes(checkpoint.notes);
  const writer = await createHdf5(file, label);
  try {
    writer.text("/", "keras_version", checkpoint.kerasVersion);
    writer.text("/", "backend", "tensorflow");
    writer.text("/", "model_config", stringifyPythonJson(checkpoint.modelConfig));
    if (checkpoint.trainingConfig) {
      writer.text("/", "training_config", stringifyPythonJson(checkpoint.trainingConfig));
    }
    if (notes) writer.text("/", notesKey, stringifyPythonJson(notes));
    writeH5Weights(writer, "/model_weights", checkpoint);
    writeOptimizer(writer, checkpoint);
  } finally {
    writer.close();
  }
}

/** Writes the weights of every layer below `group`, as in whole models and weights-only files. */
function writeH5Weights(writer: Hdf5Writer, group: string, checkpoint: Checkpoint): void {
  const tree = modelTree(checkpoint.modelConfig);
  const slots = layerSlots(checkpoint);
  const children = (tree.children ?? []).filter(
    (child) => !child.isOp && !(child.className === "InputLayer" && tree.className === "Sequential"),
  );
  writer.group(group);
  writer.textList(
    group,
    "layer_names",
    children.map((child) => child.name),
  );
  writer.text(group, "backend", "tensorflow");
  writer.text(group, "keras_version", checkpoint.kerasVersion);
  const suffix = isKeras3(checkpoint) ? "" : ":0";
  const idfWeights = isKeras3(checkpoint) ? new Map<string, Tensor>() : idfWeightsInH5(checkpoint);
  for (const child of children) {
    const layerGroup = `${group}/${child.name}`;
    writer.group(layerGroup);
    const named = weightsOf(child, slots, checkpoint, idfWeights).map(
      ({ name, weight }) => [`${name}${suffix}`, weight] as const,
    );
    writer.textList(
      layerGroup,
      "weight_names",
      named.map(([name]) => name),
    );
    for (const [name, weight] of named) writer.dataset(`${layerGroup}/${name}`, weight);
  }
}

/** Returns the idf weights that Keras 2 stores in layers which weight token counts, by layer path. */
function idfWeightsInH5(checkpoint: Checkpoint): ReadonlyMap<string, Tensor> {
  return new Map(
    [...storedIdfWeights(checkpoint)].map(([path, stored]) => [path, stored.values().next().value!]),
  );
}

/** Returns the weights of a layer or a nested model in Keras's order, named `dense/kernel`, `inner/dense/kernel`. */
function weightsOf(
  child: TreeNode,
  slots: ReadonlyMap<string, LayerSlots>,
  checkpoint: Checkpoint,
  idfWeights: ReadonlyMap<string, Tensor>,
): readonly { readonly name: string; readonly weight: Tensor }[] {
  const leaves = leavesOf(child);
  const layers = leaves.flatMap((leaf) => slots.get(leaf.path) ?? []).map(withIdfWeights(idfWeights));
  const weighing = layers.map(({ path }) => path).filter((path) => idfWeights.has(path));
  const classes = new Map(leaves.map((leaf) => [leaf.path, leaf.className]));
  const scope = (path: string): string =>
    path === child.path ? child.name : path.slice(child.path.length + 1);
  const named = (path: string, weight: Weight) => ({
    name: `${scope(path)}/${fileName(classes.get(path), weight.name, checkpoint)}`,
    weight,
  });
  const order = legacyOrder(layers);
  if (!order) {
    return layers.flatMap(({ path }) =>
      (checkpoint.weights.get(path) ?? []).map((weight) => named(path, weight)),
    );
  }
  return order.flatMap(({ path, spec }) => {
    const idf = spec.name === idfNameInH5 ? idfWeights.get(path) : undefined;
    if (idf) {
      const place = weighing.indexOf(path);
      return [{ name: place === 0 ? idfNameInH5 : `${idfNameInH5}_${place}`, weight: idf }];
    }
    const stored = checkpoint.weights.get(path) ?? [];
    const weight = stored.find((candidate) => candidate.name === spec.name);
    if (!weight && stored.some(({ name }) => /(^|\/)vars\/\d+$/.test(name))) {
      throw new TopologyError(
        `${path}: weight ${spec.name}: expected one of that name, got numbered ones. A layer's class is registered before its file is read: read the file again.`,
        "custom-layer",
      );
    }
    return weight ? [named(path, weight)] : [];
  });
}

/** Adds a slot for the idf weights of a layer, which are not among the checkpoint's weights. */
function withIdfWeights(idfWeights: ReadonlyMap<string, Tensor>): (layer: LayerSlots) => LayerSlots {
  return (layer) => {
    const idf = idfWeights.get(layer.path);
    if (!idf) return layer;
    const spec = { name: idfNameInH5, shape: idf.shape, trainable: false, initializer: "zeros" } as const;
    return { ...layer, weights: [...(layer.weights ?? []), spec] };
  };
}

/** Returns the name of a weight in files of Keras 1 and 2. */
function fileName(className: string | undefined, name: string, checkpoint: Checkpoint): string {
  if (isKeras3(checkpoint) || !className?.startsWith("DepthwiseConv")) return name;
  return name === "kernel" ? "depthwise_kernel" : name;
}

function isKeras3(checkpoint: Checkpoint): boolean {
  return dialectOf(checkpoint).startsWith("keras3");
}

function writeOptimizer(writer: Hdf5Writer, { optimizerWeights }: Checkpoint): void {
  if (!optimizerWeights || optimizerWeights.length === 0) return;
  const group = "/optimizer_weights";
  writer.group(group);
  // Variables from a .keras archive have numbers for names.
  const names = optimizerWeights.map(({ name }) => (/^\d+$/.test(name) ? `variable_${name}` : name));
  writer.textList(group, "weight_names", names);
  optimizerWeights.forEach((weight, index) => {
    writer.dataset(`${group}/${names[index]}`, weight);
  });
}
