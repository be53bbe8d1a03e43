import { createRequire } from "node:module";
import type { io } from "@tensorflow/tfjs-core";
import { TopologyError } from "../errors.ts";
import { tf } from "./tf.ts";

/** A TensorFlow graph that runs on the engine. */
export interface GraphExecutor {
  /**
   * Computes the tensors of `outputs`, which the caller disposes. The caller keeps constants and inputs, given by node
   * name.
   */
  run(
    constants: Readonly<Record<string, tf.Tensor>>,
    inputs: Readonly<Record<string, tf.Tensor>>,
    outputs: readonly string[],
  ): tf.Tensor[];
}

/** The part of tfjs-converter's model that takes tensors that are on the engine already. */
interface OpenModel {
  readonly executor: { weightMap: Record<string, tf.Tensor[]> };
}

const require = createRequire(import.meta.url);

/** Loads a graph. @throws {TopologyError} for a graph that tfjs-converter cannot load. */
export function graphExecutor(modelTopology: io.ModelArtifacts["modelTopology"]): GraphExecutor {
  const converter = require("@tensorflow/tfjs-converter") as typeof import("@tensorflow/tfjs-converter");
  const artifacts = { modelTopology, weightSpecs: [], weightData: new ArrayBuffer(0) };
  const model = naming(() =>
    converter.loadGraphModelSync(tf.io.fromMemorySync(artifacts as io.ModelArtifacts)),
  );
  const open = model as unknown as OpenModel;
  return {
    run: (constants, inputs, outputs) => {
      const weightMap = Object.fromEntries(
        Object.entries(constants).map(([name, tensor]) => [name, [tensor]]),
      );
      open.executor.weightMap = weightMap;
      const result = naming(() => model.execute({ ...inputs }, [...outputs]));
      open.executor.weightMap = {};
      return [result].flat();
    },
  };
}

function naming<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new TopologyError(`graph: tfjs-converter cannot run it: ${error.message}.`, "graph");
  }
}
