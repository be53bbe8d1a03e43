/** Adam's update where the engine can do it in one pass over the variable, its averages staying in place. */
import { attribute } from "./kernels/own-kernel.ts";
import type { NativeBackend } from "./native-engine.ts";
import { nativeBackend } from "./native-engine.ts";
import { tf } from "./tf.ts";

export interface AdamSettings {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** The number of this update, from 1. */
  readonly step: number;
}

/** One variable's averages of its gradient and of its square. */
export interface AdamAverages {
  /**
   * The variable moved against `gradient` (`keras/src/optimizers/adam.py`, without amsgrad). Takes `variable` over: it is released, and
   * what is returned is the caller's. `gradient` stays the caller's.
   */
  apply(variable: tf.Tensor, gradient: tf.Tensor, settings: AdamSettings): tf.Tensor;
  /** The averages as they are now; they belong to this object and change with the next update. */
  read(): { readonly momentum: tf.Tensor; readonly velocity: tf.Tensor };
  dispose(): void;
}

/** Averages that begin at zero, or at `initial`, which stays the caller's. */
export function adamAverages(
  shape: readonly number[],
  initial?: { readonly momentum: tf.Tensor; readonly velocity: tf.Tensor },
): AdamAverages {
  const start = {
    momentum: initial ? initial.momentum.clone() : tf.zeros([...shape]),
    velocity: initial ? initial.velocity.clone() : tf.zeros([...shape]),
  };
  const backend = nativeBackend();
  return backend ? nativeAverages(backend, start) : heapAverages(start);
}

type Averages = ReturnType<AdamAverages["read"]>;

/** On WebAssembly the averages are overwritten; the variable is not, since the backend remembers filters by their tensor. */
function heapAverages(start: Averages): AdamAverages {
  const averages = {
    momentum: tf.keep(tf.add(start.momentum, 0)),
    velocity: tf.keep(tf.add(start.velocity, 0)),
  };
  tf.dispose([start.momentum, start.velocity]);
  return {
    apply: (variable, gradient, settings) => {
      const inputs = { variable, gradient, ...averages };
      const moved = tf.engine().runKernel("AdamStep", inputs, { ...settings }) as tf.Tensor;
      variable.dispose();
      return moved;
    },
    read: () => averages,
    dispose: () => tf.dispose([averages.momentum, averages.velocity]),
  };
}

/** A variable of TensorFlow's own, whose value is updated in place when nobody else holds it. */
interface ResourceVariable {
  readonly handle: tf.Tensor;
  assign(value: tf.Tensor): void;
  /** A tensor that shares the value. */
  read(): tf.Tensor;
  dispose(): void;
}

let variables = 0;

function resourceVariable(backend: NativeBackend, value: tf.Tensor): ResourceVariable {
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

function nativeAverages(backend: NativeBackend, start: Averages): AdamAverages {
  const [momentum, velocity] = [start.momentum, start.velocity].map((value) =>
    resourceVariable(backend, value),
  );
  tf.dispose([start.momentum, start.velocity]);
  let moving: { readonly variable: ResourceVariable; value: tf.Tensor } | undefined;
  let reading: Averages | undefined;
  const forget = (): void => {
    tf.dispose([reading?.momentum ?? [], reading?.velocity ?? []]);
    reading = undefined;
  };
  return {
    apply: (variable, gradient, settings) => {
      forget();
      if (!moving) moving = { variable: resourceVariable(backend, variable), value: variable };
      else if (moving.value !== variable) moving.variable.assign(variable);
      variable.dispose();
      const resources = [moving.variable, momentum!, velocity!].map(({ handle }) => handle);
      tf.tidy(() => {
        const numbers = adamNumbers(settings).map((number) => tf.scalar(number));
        const attributes = [attribute.float(backend, "T"), attribute.flag(backend, "use_locking", false)];
        backend.executeMultipleOutputs(
          "ResourceApplyAdam",
          attributes,
          [...resources, ...numbers, gradient],
          0,
        );
      });
      moving.value = moving.variable.read();
      return moving.value;
    },
    read: () => {
      reading ??= { momentum: momentum!.read(), velocity: velocity!.read() };
      return reading;
    },
    dispose: () => {
      forget();
      for (const variable of [moving?.variable, momentum, velocity]) variable?.dispose();
    },
  };
}

/** beta1^t, beta2^t, the rate, beta1, beta2 and epsilon, as the operation takes them. */
function adamNumbers({ learningRate, beta1, beta2, epsilon, step }: AdamSettings): number[] {
  return [Math.fround(beta1) ** step, Math.fround(beta2) ** step, learningRate, beta1, beta2, epsilon];
}
