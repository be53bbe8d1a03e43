/** @file Graphs on the native engine: TensorFlow runs all operations of one in a single call. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NativeBackend } from "../native-engine.ts";
import { namingMemory } from "../out-of-memory.ts";
import type { tf } from "../tf.ts";
import type { GraphNode } from "./graph-messages.ts";
import { dataType, graphTag, savedModelBytes } from "./graph-messages.ts";
import { constantNode, runningRecorder } from "./recorded-operations.ts";

/** A graph that is loaded. */
export interface NativeGraph {
  /** Returns the values of the graph's results for tensors that are fed to its inputs. The caller owns both. */
  run(inputs: readonly tf.Tensor[]): tf.Tensor[];
  dispose(): void;
}

/**
 * Loads a graph into TensorFlow, through a file for as long as that takes: the binding takes no other way. Where the graph runs within a
 * computation that is recorded, it becomes part of that.
 * @param inputs Names of the nodes that are fed.
 * @param results Names of the values that a run returns.
 */
export function loadGraph(
  backend: NativeBackend,
  nodes: readonly GraphNode[],
  inputs: readonly string[],
  results: readonly string[],
): NativeGraph {
  const { binding } = backend;
  const place = (name: string): string => (name.includes(":") ? name : `${name}:0`);
  const [fed, fetched] = [inputs, results].map((names) => names.map(place).join()) as [string, string];
  const folder = mkdtempSync(join(tmpdir(), "keras-finetune-graph-"));
  let id: number;
  try {
    writeFileSync(join(folder, "saved_model.pb"), savedModelBytes(nodes));
    id = binding.loadSavedModel(folder, graphTag);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return {
    run: (tensors) => {
      const ids = backend.getInputTensorIds(tensors);
      const found = namingMemory(() => binding.runSavedModel(id, ids, fed, fetched));
      runningRecorder(backend)?.embed({ nodes, inputs, results }, ids, found);
      return found.map((result) => backend.createOutputTensor(result));
    },
    dispose: () => binding.deleteSavedModel(id),
  };
}

const loads = new WeakMap<NativeBackend, boolean>();

/** Returns true if graphs can be loaded: there is a folder for temporary files. It is tried once. */
export function canLoadGraphs(backend: NativeBackend): boolean {
  const known = loads.get(backend);
  if (known !== undefined) return known;
  const one = constantNode("one", dataType.float, [], Float32Array.of(1));
  let can = true;
  try {
    loadGraph(backend, [one], [], ["one"]).dispose();
  } catch {
    can = false;
  }
  loads.set(backend, can);
  return can;
}
