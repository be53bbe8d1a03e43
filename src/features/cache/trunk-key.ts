import { createHash } from "node:crypto";
import type { Json, JsonObject, Weights } from "../../checkpoint.ts";
import type { Program } from "../../model/program.ts";
import type { Argument, TensorRef } from "../../topology/layer-graph.ts";
import { layerAt, refKey } from "../../topology/layer-graph.ts";
import { specOf } from "../../topology/layer-specs.ts";

/** A program with the weights that it runs on. */
export interface WeightedProgram {
  readonly program: Program;
  /** Weights of the program's layers; others are not looked at. */
  readonly weights: Weights;
}

/** Everything but the program that a sample's features depend on besides its bytes. */
export interface ExtractionIdentity {
  /** Identity of the reader that makes a file the model's input: preprocessing, size, resize method, EXIF, decoder. */
  readonly input: JsonObject;
  /** Precision that values are rounded to. */
  readonly storage: "float32" | "float16";
  /** The number of rows that every batch is padded to. */
  readonly batchSize: number;
  readonly engine: { readonly name: string; readonly version: string };
}

/** Everything that a sample's features depend on besides its bytes; the program leads from the model's inputs to the frontier. */
export interface TrunkIdentity extends WeightedProgram, ExtractionIdentity {}

/** Rises with every change to reading, decoding, resizing, rewriting or running that may change a feature. */
const codeVersion = 1;

/**
 * Returns the key of a trunk, 64 hexadecimal digits: the same for the same computation, whatever its layers are called, wherever the
 * model was read from, and whether or not a layer is marked trainable.
 */
export function trunkKeyOf(identity: TrunkIdentity): string {
  const { program, weights, input, engine, ...scalars } = identity;
  const hash = createHash("sha256");
  hash.update(
    canonicalJson({
      ...scalars,
      ...input,
      codeVersion,
      engine: { ...engine },
      program: describeProgram(program),
    }),
  );
  hashWeights(hash, program, weights);
  return hash.digest("hex");
}

/** A later cut's features, which are computed from those of an earlier one. */
export interface LaterTrunk extends ExtractionIdentity {
  /** The key of the earlier features. */
  readonly earlierKey: string;
  /** Leads from the model's inputs to the later frontier, as a direct extraction runs it. */
  readonly direct: WeightedProgram;
  /** The direct program with the earlier frontier kept, up to that and up to the later one. */
  readonly toEarlier: WeightedProgram;
  readonly toLater: WeightedProgram;
  /** Leads from the earlier frontier to the later one. */
  readonly between: WeightedProgram;
}

/**
 * Returns the key of features that are computed from those of an earlier cut: the one of a direct extraction if both are equal to the
 * bit, which is where the same calls run on the same values in the same order and nothing is rounded between them, else one of their
 * own.
 */
export function laterTrunkKeyOf({
  earlierKey,
  direct,
  toEarlier,
  toLater,
  between,
  ...identity
}: LaterTrunk): string {
  const directKey = trunkKeyOf({ ...direct, ...identity });
  const isSame =
    identity.storage === "float32" &&
    trunkKeyOf({ ...toLater, ...identity }) === directKey &&
    trunkKeyOf({ ...toEarlier, ...identity }) === earlierKey;
  if (isSame) return directKey;
  return createHash("sha256")
    .update(canonicalJson(["later", earlierKey, trunkKeyOf({ ...between, ...identity })]))
    .digest("hex");
}

/** Returns the program with layers and tensors numbered in running order. */
function describeProgram({ graph, nodes, inputs, outputs }: Program): Json {
  const numbers = new Map(inputs.map((ref, index) => [refKey(ref), `input ${index}`]));
  nodes.forEach((node, position) => {
    node.outputs.forEach((_, output) => {
      const key = refKey({ node: node.index, output });
      if (!numbers.has(key)) numbers.set(key, `${position}:${output}`);
    });
  });
  const number = (ref: TensorRef): Json => numbers.get(refKey(ref)) ?? null;
  const layers = layerNumbers(nodes);
  return {
    nodes: nodes.map((node) => {
      const { className, keras, config } = layerAt(graph, node.layer);
      const { name: _name, trainable: _trainable, ...rest } = config;
      const code = specOf(className)?.codeIdentity;
      return {
        layer: layers.get(node.layer)!,
        className,
        keras,
        config: rest,
        ...(code !== undefined && { code }),
        args: node.args.map((argument) => describeArgument(argument, number)),
        kwargs: describeArgument({ kind: "record", entries: node.kwargs }, number),
      };
    }),
    outputs: outputs.map(number),
  };
}

function describeArgument(argument: Argument, number: (ref: TensorRef) => Json): Json {
  if (argument.kind === "tensor") return { tensor: number(argument.ref) };
  if (argument.kind === "value") return { value: argument.value };
  if (argument.kind === "list") return argument.items.map((item) => describeArgument(item, number));
  return Object.fromEntries(
    Object.entries(argument.entries).map(([name, entry]) => [name, describeArgument(entry, number)]),
  );
}

function layerNumbers(nodes: Program["nodes"]): ReadonlyMap<string, number> {
  const paths = [...new Set(nodes.map((node) => node.layer))];
  return new Map(paths.map((path, index) => [path, index]));
}

function hashWeights(hash: ReturnType<typeof createHash>, program: Program, weights: Weights): void {
  for (const [path, number] of layerNumbers(program.nodes)) {
    for (const { name, dtype, shape, data } of weights.get(path) ?? []) {
      hash.update(canonicalJson({ layer: number, name, dtype, shape: [...shape] }));
      hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    }
  }
}

/** Returns JSON with keys in order and every number told apart: equal values give equal text and no others do. */
export function canonicalJson(value: Json): string {
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, entry]) => `${JSON.stringify(key)}:${canonicalJson(entry)}`).join(",")}}`;
}
