import type { Json, JsonObject } from "../../checkpoint.ts";
import { isObject } from "../config-values.ts";
import { type DimOrdering, keras2Layer, liesInSpace } from "./keras1-layer.ts";
import { dataFormat } from "./keras1-objects.ts";

/**
 * Translates a model config of Keras 1 to Keras 2. A Sequential gets a name. A Sequential that begins with a Merge of
 * branches becomes a functional model with the layers of the branches, which is how their weights are stored. Parts in
 * Keras 2's vocabulary are unchanged.
 * @param names Names of the outermost model's layers in order, if a file has them: Keras 1 wrote no name for a
 * Sequential.
 * @throws {TopologyError} naming a layer that has a feature that Keras 2 dropped.
 */
export function keras1ToKeras2(modelConfig: JsonObject, names: readonly string[] = []): JsonObject {
  const ordering = orderingOf(modelConfig);
  const counter: Counter = { taken: new Set(namesIn(modelConfig)), next: 1 };
  return translate(modelConfig, { ordering, counter, names });
}

/** Names in use, and the next number for a Sequential. */
interface Counter {
  readonly taken: Set<string>;
  next: number;
}

/** Context of the entry that is translated. */
interface Place {
  readonly ordering: DimOrdering;
  readonly counter: Counter;
  /** Names of the model's layers if they are known from elsewhere. */
  readonly names: readonly string[];
}

/** Returns the ordering by those layers that have one; not all do. */
function orderingOf(json: Json): DimOrdering {
  return find(json, (object) => object["dim_ordering"] === "th" || object["data_format"] === "channels_first")
    ? "th"
    : "tf";
}

function find(json: Json, wanted: (object: JsonObject) => boolean): boolean {
  if (Array.isArray(json)) return (json as readonly Json[]).some((item) => find(item, wanted));
  return isObject(json) && (wanted(json) || Object.values(json).some((item) => find(item, wanted)));
}

function namesIn(json: Json): string[] {
  if (Array.isArray(json)) return (json as readonly Json[]).flatMap(namesIn);
  if (!isObject(json)) return [];
  const own = typeof json["name"] === "string" ? [json["name"]] : [];
  return [...own, ...Object.values(json).flatMap(namesIn)];
}

/** Translates the entry of a model or layer. @param known Its name from elsewhere. */
function translate(entry: JsonObject, place: Place, known?: string): JsonObject {
  const { config } = entry;
  const isSequential = entry["class_name"] === "Sequential";
  const listed = isSequential && isObject(config) ? (config["layers"] ?? null) : (config ?? null);
  if (isSequential && Array.isArray(listed)) {
    return sequential(entry, (listed as readonly Json[]).filter(isObject), place, known);
  }
  if (!isObject(config)) return entry;
  const inside = { ...place, names: [] };
  if (Array.isArray(config["layers"]) && "output_layers" in config) {
    const layers = (config["layers"] as readonly Json[]).flatMap((layer): readonly Json[] =>
      isObject(layer) ? withCosine(layer, translate(layer, inside), inside) : [layer],
    );
    return { ...entry, config: { ...config, layers } };
  }
  const path = String(entry["name"] ?? config["name"] ?? entry["class_name"]);
  const translated = keras2Layer(String(entry["class_name"]), config, path);
  return { ...entry, ...inSpace(translated, place.ordering) };
}

/** Adds the data format to a layer for which Keras 1 left it out and Keras 2 needs it. */
function inSpace(
  layer: { readonly class_name: string; readonly config: JsonObject },
  ordering: DimOrdering,
): { readonly class_name: string; readonly config: JsonObject } {
  const { config } = layer;
  const format = dataFormat(ordering);
  if (config["data_format"] === undefined && liesInSpace(layer.class_name)) {
    return { ...layer, config: { ...config, data_format: format } };
  }
  const inner = config["layer"];
  if (!isObject(inner) || !isObject(inner["config"])) return layer;
  const inside = inSpace({ class_name: String(inner["class_name"]), config: inner["config"] }, ordering);
  return { ...layer, config: { ...config, layer: { ...inner, ...inside } } };
}

function sequential(
  entry: JsonObject,
  layers: readonly JsonObject[],
  place: Place,
  known: string | undefined,
): JsonObject {
  const own = isObject(entry["config"]) ? entry["config"] : {};
  const name = String(entry["name"] ?? own["name"] ?? known ?? sequentialName(place.counter));
  const inside = { ...place, names: [] };
  if (branchesOf(layers[0])) return functional(entry, name, layers, inside);
  const translated = layers.map((layer, index) => translate(layer, inside, place.names[index]));
  return { ...entry, config: { ...own, name, layers: translated } };
}

function withCosine(written: JsonObject, translated: JsonObject, { counter }: Place): readonly JsonObject[] {
  return withCosineShape(written, translated, (base) => {
    let name = base;
    while (counter.taken.has(name)) name = `${name}_1`;
    counter.taken.add(name);
    return name;
  });
}

function sequentialName(counter: Counter): string {
  for (; ; counter.next += 1) {
    const name = `sequential_${counter.next}`;
    if (counter.taken.has(name)) continue;
    counter.taken.add(name);
    return name;
  }
}

/** Returns the models that a Merge at the beginning of a Sequential merges. */
function branchesOf(layer: JsonObject | undefined): readonly JsonObject[] | undefined {
  const config = layer?.["config"];
  if (layer?.["class_name"] !== "Merge" || !isObject(config) || !Array.isArray(config["layers"]))
    return undefined;
  return (config["layers"] as readonly Json[]).filter(isObject);
}

/** Layers of a functional model as a flat list, with its inputs and output. */
interface Flat {
  readonly layers: JsonObject[];
  readonly inputs: Json[];
  readonly output: Json;
}

function functional(
  entry: JsonObject,
  name: string,
  layers: readonly JsonObject[],
  place: Place,
): JsonObject {
  const flat = flatten(layers, place, new Map());
  const config = { name, layers: flat.layers, input_layers: flat.inputs, output_layers: [flat.output] };
  return { ...entry, class_name: "Model", config };
}

/** Outputs of the branches that were added already. Keras 1 writes a branch twice if two Merges read it. */
type Placed = Map<string, Json>;

/** Flattens a chain of layers, preceded by the branches of a Merge at its beginning. */
function flatten(chain: readonly JsonObject[], place: Place, placed: Placed): Flat {
  const [first] = chain;
  const branches = branchesOf(first)?.map((branch) => flattenOnce(branch, place, placed));
  const inputs = branches ? branches.flatMap((branch) => branch.inputs) : [];
  const layers = branches ? branches.flatMap((branch) => branch.layers) : [];
  let output: Json = null;
  if (!branches && first) {
    const input = inputEntry(first);
    layers.push(input);
    output = [input.name, 0, 0];
    inputs.push(output);
  }
  for (const layer of chain) {
    const translated = translate(layer, place);
    const own = translated["config"];
    const name = String(translated["name"] ?? (isObject(own) ? own["name"] : "") ?? "");
    const sources: Json = layer === first && branches ? branches.map((branch) => branch.output) : [output];
    layers.push(...withCosine(layer, { ...translated, name, inbound_nodes: [sources] }, place));
    output = [name, 0, 0];
  }
  return { layers, inputs, output };
}

function flattenOnce(branch: JsonObject, place: Place, placed: Placed): Flat {
  const key = JSON.stringify(branch);
  const known = placed.get(key);
  if (known !== undefined) return { layers: [], inputs: [], output: known };
  const flat = flattenBranch(branch, place, placed);
  placed.set(key, flat.output);
  return flat;
}

function flattenBranch(branch: JsonObject, place: Place, placed: Placed): Flat {
  const { config } = branch;
  if (Array.isArray(config)) return flatten((config as readonly Json[]).filter(isObject), place, placed);
  if (isObject(config) && "output_layers" in config) {
    const model = translate(branch, place)["config"] as JsonObject;
    const [output]: readonly Json[] = model["output_layers"] as readonly Json[];
    return {
      layers: [...(model["layers"] as readonly JsonObject[])],
      inputs: [...(model["input_layers"] as readonly Json[])],
      output: output ?? null,
    };
  }
  return flatten([branch], place, placed);
}

/** Creates the entry of an InputLayer before a layer that has an input shape. */
function inputEntry(layer: JsonObject): JsonObject & { readonly name: string } {
  const config = isObject(layer["config"]) ? layer["config"] : {};
  const name = `${String(config["name"])}_input`;
  const shape = config["batch_input_shape"] ?? null;
  const input = { batch_input_shape: shape, dtype: config["input_dtype"] ?? "float32", sparse: false, name };
  return { class_name: "InputLayer", name, config: input, inbound_nodes: [] };
}

/**
 * Returns a translated layer of a functional model, as two layers if it computes a cosine: the cosine of two vectors
 * has shape `[N, 1, 1]` in Keras 1 (Merge of `keras/engine/topology.py`) and `[N, 1]` in Dot, so a Reshape follows and
 * takes the layer's name.
 * @param written The layer as Keras 1 wrote it.
 * @param freshName Returns a new name based on the given one.
 */
function withCosineShape(
  written: JsonObject,
  translated: JsonObject,
  freshName: (base: string) => string,
): readonly JsonObject[] {
  const { config } = written;
  const own = translated["config"];
  const isCosine = written["class_name"] === "Merge" && isObject(config) && config["mode"] === "cos";
  if (!isCosine || !isObject(own)) return [translated];
  const name = String(translated["name"] ?? own["name"]);
  const inner = freshName(`${name}_cosine`);
  const calls = translated["inbound_nodes"];
  const count = Array.isArray(calls) ? calls.length : 0;
  const inbound = Array.from({ length: count }, (_, call): Json => [[inner, call, 0]]);
  const reshape = { name, trainable: true, target_shape: [1, 1] };
  return [
    { ...translated, name: inner, config: { ...own, name: inner } },
    { class_name: "Reshape", name, config: reshape, inbound_nodes: inbound },
  ];
}
