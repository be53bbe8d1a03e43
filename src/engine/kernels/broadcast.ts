/** @file The repetition of a tensor along its axes of size 1. */
import { tf } from "../tf.ts";
import type { OwnKernel, Tensors } from "./own-kernel.ts";
import { attribute } from "./own-kernel.ts";

interface Attributes {
  readonly shape: readonly number[];
}

export const broadcastKernels: readonly OwnKernel[] = [
  {
    name: "Broadcast",
    native: (backend, { x }: Tensors<"x">, { shape }: Attributes) =>
      backend.executeSingleOutput(
        "BroadcastTo",
        [attribute.float(backend, "T"), attribute.int32(backend, "Tidx")],
        [x, tf.tensor1d([...shape], "int32")],
      ),
    portable: ({ x }: Tensors<"x">, { shape }: Attributes) => tf.mul(x, tf.ones([...shape])),
  },
];
