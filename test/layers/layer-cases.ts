/** The battery in fixtures/layers: single layers as real Keras ran them, run here. */
import { readdirSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { JsonObject } from "../../src/checkpoint.ts";
import { tf } from "../../src/engine/tf.ts";
import type { KernelArgument, KernelContext, KernelResult } from "../../src/layers/kernel.ts";
import { kernelOf } from "../../src/layers/registry.ts";
import { modernConfig } from "../../src/topology/dialects/layer-config.ts";

export interface PackedTensor {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly base64: string;
  /** In the place of `base64` where `dtype` is `string`. */
  readonly strings?: readonly string[];
}

export interface Gradients {
  readonly projections: readonly PackedTensor[];
  readonly inputs: readonly (PackedTensor | null)[];
  readonly weights: Readonly<Record<string, PackedTensor>>;
}

/** What Keras answered to one call. */
export interface Answer {
  readonly outputs: readonly PackedTensor[];
  readonly gradients?: Gradients;
}

export interface LayerCase extends Answer {
  /** Of the Keras that wrote the config and gave the answers. */
  readonly major: 2 | 3;
  readonly name: string;
  readonly className: string;
  readonly config: JsonObject;
  readonly inputs: readonly PackedTensor[];
  readonly weights: Readonly<Record<string, PackedTensor>>;
  /** An argument of the call. */
  readonly mask?: PackedTensor;
  /** What came with each input. */
  readonly masks?: readonly (PackedTensor | null)[];
  /** What each output carries; null where it carries no mask. */
  readonly outputMasks?: readonly (PackedTensor | null)[];
  /** Arguments of an op, or of a layer called with more than its input; `{ input: 0 }` stands for the first input. */
  readonly args?: readonly unknown[];
  readonly kwargs?: Readonly<Record<string, unknown>>;
  /** The same call with `training=True`, and the statistics after it. */
  readonly training?: Answer & { readonly state: Readonly<Record<string, PackedTensor>> };
}

export interface Family {
  readonly family: string;
  readonly keras: string;
  readonly cases: readonly LayerCase[];
}

const folder = new URL("../../fixtures/layers/", import.meta.url);

export function families(): Family[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".json.gz"))
    .map((file) => {
      const bytes = gunzipSync(readFileSync(new URL(file, folder)));
      // Python writes infinities by name.
      const text = bytes.toString().replaceAll(/: (-?)Infinity\b/g, ": $11e999");
      const { keras, cases } = JSON.parse(text) as Omit<Family, "family">;
      const major = keras.startsWith("2.") ? 2 : 3;
      return {
        family: file.replace(".json.gz", ""),
        keras,
        cases: cases.map((layerCase) => ({ ...layerCase, major })),
      };
    });
}

/** The numbers of a packed tensor. */
export function valuesOf({ dtype, base64 }: PackedTensor): ArrayLike<number> {
  const bytes = Uint8Array.from(Buffer.from(base64, "base64"));
  if (dtype === "float32") return new Float32Array(bytes.buffer);
  if (dtype === "int32") return new Int32Array(bytes.buffer);
  return bytes;
}

export function upload(packed: PackedTensor): tf.Tensor {
  if (packed.strings) return tf.tensor([...packed.strings], [...packed.shape], "string");
  const dtype = packed.dtype === "uint8" ? "bool" : packed.dtype;
  return tf.tensor(Array.from(valuesOf(packed)), [...packed.shape], dtype as tf.DataType);
}

/** The case's tensors on the engine. */
export interface LiveCase {
  readonly inputs: readonly tf.Tensor[];
  readonly weights: Readonly<Record<string, tf.Tensor>>;
  readonly masks: readonly (tf.Tensor | undefined)[];
}

export function uploadCase(layerCase: LayerCase): LiveCase {
  return {
    inputs: layerCase.inputs.map(upload),
    weights: Object.fromEntries(
      Object.entries(layerCase.weights).map(([name, packed]) => [name, upload(packed)]),
    ),
    masks: layerCase.inputs.map((_, index) => {
      const packed = layerCase.mask ?? layerCase.masks?.[index];
      return packed ? upload(packed) : undefined;
    }),
  };
}

/** Calls the kernel of the case's class. Whoever calls owns the result. */
export function runCase(layerCase: LayerCase, live: LiveCase, context: Partial<KernelContext>): KernelResult {
  const kernel = kernelOf(layerCase.className);
  if (!kernel) throw new Error(`no kernel for ${layerCase.className}`);
  const given = givenInputs(layerCase);
  const argument = layerCase.mask && { mask: live.masks[given[0]!]! };
  const result = kernel({
    inputs: given.map((index) => live.inputs[index]!),
    weights: live.weights,
    config: modernConfig(layerCase.className, layerCase.config, layerCase.major),
    args: (layerCase.args ?? []).map((argument) => argumentOf(argument, live)),
    kwargs: {
      ...Object.fromEntries(
        Object.entries(layerCase.kwargs ?? {}).map(([name, value]) => [name, argumentOf(value, live)]),
      ),
      ...argument,
    },
    masks: given.map((index) => live.masks[index]),
    context: {
      training: false,
      statistics: "stored",
      random: { nextSeed: () => 1 },
      keras: layerCase.major,
      ...context,
    },
  });
  return result instanceof tf.Tensor ? { outputs: [result] } : result;
}

/** Positions of the inputs as a node lists them: in arguments, then in named ones other than masks and states. */
export function givenInputs({ inputs, args, kwargs }: LayerCase): readonly number[] {
  if (!args) return inputs.map((_, index) => index);
  const { mask: _mask, initial_state: _states, ...others } = kwargs ?? {};
  return [...args, ...Object.values(others)].flatMap(inputsIn);
}

function inputsIn(argument: unknown): number[] {
  if (Array.isArray(argument)) return argument.flatMap(inputsIn);
  if (typeof argument === "object" && argument !== null && "input" in argument)
    return [Number(argument.input)];
  return [];
}

function argumentOf(argument: unknown, live: LiveCase): KernelArgument {
  if (Array.isArray(argument)) return argument.map((item) => argumentOf(item, live));
  if (typeof argument === "object" && argument !== null && "input" in argument) {
    return live.inputs[argument.input as number]!;
  }
  return argument as KernelArgument;
}
