import type { Json, JsonObject } from "../checkpoint.ts";
import { type GraphExecutor, graphExecutor } from "../engine/graph-executor.ts";
import { tf } from "../engine/tf.ts";
import type { Kernel } from "./kernel.ts";

/** Kernel of a tfjs graph model, which is one layer. */
export const graphModelKernels: Readonly<Record<string, Kernel>> = {
  "tfjs>GraphModel": ({ inputs, weights, config }) => {
    const { inputs: inputNames = [], outputs: outputNames = [] } = config;
    const byName = Object.fromEntries(
      (inputNames as readonly string[]).map((name, index) => [name, inputs[index]!]),
    );
    return {
      outputs: executorOf(config).run(asDeclared(weights, config), byName, outputNames as readonly string[]),
    };
  },
};

const executors = new WeakMap<JsonObject, GraphExecutor>();

function executorOf(config: JsonObject): GraphExecutor {
  const known = executors.get(config);
  if (known) return known;
  const made = graphExecutor({ node: config["nodes"] ?? [], versions: {} });
  executors.set(config, made);
  return made;
}

/**
 * Casts weights to their declared dtypes: they are uploaded as float32, but axes, paddings and shapes of a graph are
 * int32.
 */
function asDeclared(
  weights: Readonly<Record<string, tf.Tensor>>,
  config: JsonObject,
): Record<string, tf.Tensor> {
  const constants = (config["constants"] ?? []) as readonly JsonObject[];
  return Object.fromEntries(
    constants.map(({ name, dtype }: Record<string, Json>) => {
      const weight = weights[String(name)]!;
      return [String(name), dtype === "float32" ? weight : tf.cast(weight, dtype as tf.DataType)];
    }),
  );
}
