import { afterEach, describe, expect, it } from "vitest";
import { engineInfo, ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import { UsageError } from "../../src/errors.ts";

const asked = process.env["KERAS_FINETUNE_ENGINE"] ?? "wasm";

describe("the engine of this process", () => {
  afterEach(() => {
    process.env["KERAS_FINETUNE_ENGINE"] = asked;
  });

  it("refuses an unknown name, whether it is set in the environment or by useEngine", async () => {
    expect(() => useEngine("gpu" as "wasm")).toThrow(UsageError);
    process.env["KERAS_FINETUNE_ENGINE"] = "gpu";
    await expect(ensureEngine()).rejects.toThrow(
      /KERAS_FINETUNE_ENGINE: unknown engine: expected auto, native, webgpu, wasm, got "gpu"/,
    );
  });

  it("starts once and reports its name and versions", async () => {
    process.env["KERAS_FINETUNE_ENGINE"] = asked;
    const [first, second] = await Promise.all([ensureEngine(), ensureEngine()]);
    expect(second).toBe(first);
    expect(engineInfo()).toBe(first);
    expect(first.name).toBe(asked);
    expect(first.tfjs).toBe(tf.version_core);
    expect(first.threads).toBeGreaterThan(0);
  });

  it("computes an operation", async () => {
    await ensureEngine();
    const product = tf.tidy(() => tf.matMul(tf.tensor2d([[1, 2]]), tf.tensor2d([[3], [4]])).dataSync());
    expect([...product]).toEqual([11]);
  });

  it("cannot be switched while it holds tensors", async () => {
    const { name } = await ensureEngine();
    const other = name === "wasm" ? "native" : "wasm";
    const held = tf.scalar(1);
    expect(() => useEngine(other)).toThrow(/already holds tensors/);
    expect(() => useEngine(name)).not.toThrow();
    held.dispose();
  });
});
