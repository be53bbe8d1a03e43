import { existsSync, readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { releaseUnusedMemory } from "../../src/engine/native-loader.ts";
import { tf } from "../../src/engine/tf.ts";

const isOnLinux = existsSync("/proc/self/status");
const onNative = test.runIf(process.env["KERAS_FINETUNE_ENGINE"] === "native" && isOnLinux);

/** Returns the resident megabytes of this process that are mapped from files. */
function residentOfFiles(): number {
  return Number(/RssFile:\s+(\d+)/u.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) / 1024;
}

beforeAll(async () => {
  if (process.env["KERAS_FINETUNE_ENGINE"] === "native") useEngine("native");
  await ensureEngine();
});

onNative("pages that only the loading of TensorFlow reads are not resident", () => {
  // The library is 850 MB large; its loader alone touches more than 200 MB of it.
  expect(residentOfFiles()).toBeLessThan(200);
});

test("the engine computes on after its unused memory is released", () => {
  releaseUnusedMemory();
  const image = tf.ones([1, 8, 8, 3]) as tf.Tensor4D;
  const filter = tf.ones([3, 3, 3, 2]) as tf.Tensor4D;
  const convolved = tf.conv2d(image, filter, 1, "valid");
  expect(convolved.dataSync().every((value) => value === 27)).toBe(true);
  tf.dispose([image, filter, convolved]);
});
