import { attribute } from "./kernels/own-kernel.ts";
import type { NativeBackend } from "./native-engine.ts";
import { tf } from "./tf.ts";

/** A TensorFlow variable, whose value is updated in place if nothing else holds it. */
export interface ResourceVariable {
  readonly handle: tf.Tensor;
  assign(value: tf.Tensor): void;
  /** Returns a tensor that shares the value. The caller owns it. */
  read(): tf.Tensor;
  dispose(): void;
}

let variables = 0;

/** Creates a variable that shares `value`, which the caller keeps. */
export function resourceVariable(backend: NativeBackend, value: tf.Tensor): ResourceVariable {
  const { binding } = backend;
  const dtype = attribute.float(backend, "dtype");
  const shape = { name: "shape", type: binding.TF_ATTR_SHAPE, value: value.shape };
  const name = attribute.text(backend, "shared_name", `keras-finetune-${variables++}`);
  const container = attribute.text(backend, "container", "");
  const handle = tf.keep(backend.executeSingleOutput("VarHandleOp", [dtype, shape, name, container], []));
  const assign = (replacement: tf.Tensor): void => {
    backend.executeMultipleOutputs("AssignVariableOp", [dtype], [handle, replacement], 0);
  };
  assign(value);
  return {
    handle,
    assign,
    read: () => tf.keep(backend.executeSingleOutput("ReadVariableOp", [dtype], [handle])),
    dispose: () => {
      const forgiving = attribute.flag(backend, "ignore_lookup_error", true);
      backend.executeMultipleOutputs("DestroyResourceOp", [forgiving], [handle], 0);
      handle.dispose();
    },
  };
}
