import { readdirSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";

const isNative = process.env["KERAS_FINETUNE_ENGINE"] === "native" && process.platform === "linux";

/** Returns the number of threads of this process that Linux knows by a name. */
function threadsNamed(name: string): number {
  const names = readdirSync("/proc/self/task").map((task) =>
    readFileSync(`/proc/self/task/${task}/comm`, "utf8").trim(),
  );
  return names.filter((own) => own === name).length;
}

it.runIf(isNative)("one thread is asked of both of TensorFlow's pools, and both have no more", async () => {
  useEngine("native", { threads: 1 });
  expect((await ensureEngine()).threads).toBe(1);
  const matrix = tf.ones([64, 64]) as tf.Tensor2D;
  tf.dispose([matrix, tf.matMul(matrix, matrix)]);
  expect(threadsNamed("tf_Compute")).toBe(1);
});
