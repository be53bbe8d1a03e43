import { beforeAll, describe, expect, test } from "vitest";
import type { Checkpoint, Json, JsonObject, Weight } from "../src/checkpoint.ts";
import { ensureEngine, useEngine } from "../src/engine/backend.ts";
import type { tf } from "../src/engine/tf.ts";
import { TopologyError } from "../src/errors.ts";
import type { DType, TensorData } from "../src/tensor.ts";
import { toLayersModel } from "../src/tfjs.ts";
import { distance } from "./formats/distance.ts";
import { families, type LayerCase, type PackedTensor, upload, valuesOf } from "./layers/layer-cases.ts";

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

/** Without those that need a mask from another layer, and calls of Keras 2 with arguments of their own. */
const whole = families().map(({ family, cases }) => ({
  family,
  cases: cases.filter(
    ({ mask, masks, major, args }) => !mask && !masks?.some(Boolean) && !(major === 2 && args),
  ),
}));

/** The layer of a case between inputs and outputs, as the Keras of the case writes it. */
function modelOf(layerCase: LayerCase): Checkpoint {
  const { className, config, inputs, outputs, weights, major } = layerCase;
  const name = String(config["name"] ?? "layer");
  const isOp = className.startsWith("ops.");
  const inputLayers = inputs.map((input, index): JsonObject => {
    const shape: Json = [null, ...input.shape.slice(1)];
    const dtype = input.dtype === "uint8" ? "bool" : input.dtype;
    return {
      class_name: "InputLayer",
      config: { name: `input_${index}`, [major === 3 ? "batch_shape" : "batch_input_shape"]: shape, dtype },
      name: `input_${index}`,
      inbound_nodes: [],
    };
  });
  const layer: JsonObject = {
    class_name: className.replace("ops.", ""),
    ...(major === 3 && { module: isOp ? "keras.src.ops.numpy" : "keras.layers" }),
    config: { ...config, name },
    name,
    inbound_nodes: [
      major === 3 ? keras3Call(layerCase) : inputs.map((_, index) => [`input_${index}`, 0, 0, {}]),
    ],
  };
  return {
    format: "h5",
    kerasVersion: major === 3 ? "3.15.1" : "2.15.0",
    modelConfig: {
      class_name: "Functional",
      config: {
        name: "model",
        layers: [...inputLayers, layer],
        input_layers: inputs.map((_, index) => [`input_${index}`, 0, 0]),
        output_layers: outputs.map((_, index) => [name, 0, index]),
      },
    },
    weights: new Map([[name, Object.entries(weights).map(([own, packed]) => weightOf(own, packed))]]),
    notes: {},
  };
}

function keras3Call({ inputs, args, kwargs }: LayerCase): JsonObject {
  const tensor = (index: number): Json => ({
    class_name: "__keras_tensor__",
    config: { shape: [...inputs[index]!.shape], dtype: "float32", keras_history: [`input_${index}`, 0, 0] },
  });
  const named = (value: unknown): Json => {
    if (Array.isArray(value)) return value.map(named);
    if (typeof value !== "object" || value === null) return value as Json;
    return "input" in value
      ? tensor(Number(value.input))
      : Object.fromEntries(Object.entries(value).map(([key, item]) => [key, named(item)]));
  };
  const all = inputs.map((_, index) => tensor(index));
  return {
    args: args ? args.map(named) : all.length === 1 ? all : [all],
    kwargs: named(kwargs ?? {}),
  };
}

function weightOf(name: string, packed: PackedTensor): Weight {
  return { name, shape: packed.shape, dtype: packed.dtype as DType, data: valuesOf(packed) as TensorData };
}

async function predicted(layerCase: LayerCase): Promise<readonly tf.Tensor[] | TopologyError> {
  try {
    const model = await toLayersModel(modelOf(layerCase));
    const outputs = [model.predict(layerCase.inputs.map(upload))].flat();
    model.dispose();
    return outputs;
  } catch (error) {
    if (error instanceof TopologyError) return error;
    throw error;
  }
}

describe.each(whole)("$family", ({ cases }) => {
  test.each(cases)(
    "$className: $name predicts what Keras does in tfjs-layers, or is refused by name",
    async (layerCase) => {
      const outputs = await predicted(layerCase);
      if (outputs instanceof TopologyError) {
        expect(outputs.message).toMatch(/^[\w-]+: [\w.]+: tfjs-layers /);
        return;
      }
      layerCase.outputs.forEach((expected, index) => {
        expect(outputs[index]!.shape).toEqual(expected.shape);
        expect(distance(outputs[index]!.dataSync(), valuesOf(expected))).toBeLessThan(2e-5);
      });
    },
  );
});
