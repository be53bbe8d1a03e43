import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { missing } from "./missing.ts";

/** Leaves a thread or the process while the GPU computes and a read is on its way. */
const leaving = `(async () => {
const { isMainThread, Worker } = await import("node:worker_threads");
const { ensureEngine } = await import("./dist/engine/backend.js");
const { tf } = await import("./dist/engine/tf.js");
if (isMainThread && process.argv[1] === "thread") {
  new Worker(process.argv[2], { eval: true }).on("exit", (code) => { process.exitCode = code; });
} else {
  await ensureEngine();
  let x = tf.ones([128, 128]);
  for (let step = 0; step < 10; step++) x = tf.tanh(tf.matMul(x, x));
  void x.data();
  process.exit(3);
}
})()`;

describe.skipIf(missing !== undefined)("process.exit() in the midst of the GPU's work", () => {
  it.each(["thread", "process"])("ends a %s with its exit code", (what) => {
    const parameters = ["-e", leaving, what, leaving];
    const { status, signal, stderr } = spawnSync(process.execPath, parameters, { encoding: "utf8" });
    expect({ status, signal, stderr }).toEqual({ status: 3, signal: null, stderr: "" });
  });
});
