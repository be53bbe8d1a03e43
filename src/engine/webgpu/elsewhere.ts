/** @file Operations that run on WebAssembly while a GPU is the current engine. */
import { tf } from "../tf.ts";
import { wasmBackendName } from "../wasm-name.ts";
import { readsLater } from "./repeatable.ts";

/** The part of tfjs's engine that says where operations run. */
interface BackendChoice {
  backendName: string;
  backendInstance: tf.KernelBackend;
  readonly registry: Readonly<Record<string, tf.KernelBackend>>;
}

/** Runs operations on WebAssembly, which is started beside a GPU. Tensors that they make stay there until the GPU reads them. */
export function onWasm<T>(run: () => T): T {
  const choice = tf.engine() as unknown as BackendChoice;
  const { backendName, backendInstance } = choice;
  choice.backendName = wasmBackendName;
  choice.backendInstance = choice.registry[wasmBackendName] as tf.KernelBackend;
  try {
    return run();
  } finally {
    choice.backendName = backendName;
    choice.backendInstance = backendInstance;
  }
}

/** Runs a computation that reads many values of its tensors where they are there at once: not on a GPU. */
export function whereReadAtOnce<T>(run: () => T): T {
  return readsLater() ? onWasm(run) : run();
}
