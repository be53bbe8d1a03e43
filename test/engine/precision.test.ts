import { afterEach, describe, expect, it } from "vitest";
import { ensureEngine } from "../../src/engine/backend.ts";
import { computeInBfloat16 } from "../../src/engine/bfloat16-operations.ts";
import { engineVersion } from "../../src/engine/engine-info.ts";
import { nativeBackend } from "../../src/engine/native-engine.ts";
import type { Processor } from "../../src/engine/precision.ts";
import { precisionText, precisionWarnings, processorIn, setMathMode } from "../../src/engine/precision.ts";
import { tf } from "../../src/engine/tf.ts";

const asked = process.env["KERAS_FINETUNE_ENGINE"] ?? "wasm";
const cpuinfo = (...flags: readonly string[]): string =>
  ["processor\t: 0", "model name\t: A Processor", `flags\t\t: fpu ${flags.join(" ")}`, ""].join("\n");
const withoutIt: Processor = { name: "A Processor", bfloat16: "none" };

describe("bfloat16 of a processor", () => {
  it("is multiplied by AMX, by AVX512_BF16, by Arm's instructions, or not at all", () => {
    expect(processorIn(cpuinfo("avx512_bf16", "amx_bf16"))).toEqual({
      name: "A Processor",
      bfloat16: "matrix",
    });
    expect(processorIn(cpuinfo("avx512f", "avx512_bf16")).bfloat16).toBe("vector");
    expect(processorIn("processor\t: 0\nFeatures\t: fp asimd i8mm bf16\n")).toEqual({
      name: "",
      bfloat16: "matrix",
    });
    expect(processorIn(cpuinfo("avx2"))).toEqual(withoutIt);
    expect(processorIn("")).toEqual({ name: "", bfloat16: "none" });
  });

  it("is asked of oneDNN only where it has a mode for it, whatever the environment says", () => {
    const mode = (precision: "float32" | "bf16", bfloat16: Processor["bfloat16"]): string | undefined => {
      process.env["ONEDNN_DEFAULT_FPMATH_MODE"] = "ANY";
      setMathMode(precision, { name: "", bfloat16 });
      return process.env["ONEDNN_DEFAULT_FPMATH_MODE"];
    };
    expect(mode("bf16", "matrix")).toBe("BF16");
    expect(mode("bf16", "vector")).toBe("STRICT");
    expect(mode("float32", "matrix")).toBe("STRICT");
  });

  it("is missed by name where the processor has none, and told in the plan where it has it", () => {
    expect(precisionWarnings("bf16", withoutIt)).toEqual([
      expect.stringMatching(/precision: "bf16": changes nothing on this processor \(A Processor\)/),
    ]);
    expect(precisionWarnings("bf16", { name: "", bfloat16: "vector" })).toEqual([]);
    expect(precisionWarnings("float32", withoutIt)).toEqual([]);
    expect(precisionText("bf16", withoutIt)).toMatch(/nothing/);
    expect(precisionText("bf16", { name: "", bfloat16: "matrix" })).toMatch(/round their factors/);
    expect(precisionText("float32", withoutIt)).toBeUndefined();
  });
});

describe("the precision of this process", () => {
  afterEach(() => {
    process.env["KERAS_FINETUNE_ENGINE"] = asked;
  });

  it("is float32 on wasm and webgpu, which refuse bf16 by name", async () => {
    for (const name of ["wasm", "webgpu"]) {
      process.env["KERAS_FINETUNE_ENGINE"] = name;
      await expect(ensureEngine("bf16")).rejects.toThrow(
        new RegExp(`precision: "bf16": expected the native engine, .* got ${name}`),
      );
    }
  });

  it("stays as it started, and is a part of what features are cached by", async () => {
    const engine = await ensureEngine("float32");
    expect(engine.precision).toBe("float32");
    expect(await ensureEngine("auto")).toBe(engine);
    await expect(ensureEngine("bf16")).rejects.toThrow(/precision: expected float32, in which/);
    const native = { ...engine, tensorflow: "2.21.0" };
    expect(engineVersion({ ...native, precision: "bf16" })).not.toBe(engineVersion(native));
  });
});

describe.runIf(asked === "native")("operations in bfloat16", () => {
  const computed = async (operation: () => tf.Tensor): Promise<{ exact: tf.Tensor; rounded: tf.Tensor }> => {
    await ensureEngine();
    const backend = nativeBackend();
    if (!backend) throw new Error("no native backend");
    const exact = operation();
    const { executeSingleOutput } = backend;
    computeInBfloat16(backend);
    const rounded = operation();
    backend.executeSingleOutput = executeSingleOutput;
    return { exact, rounded };
  };
  const distance = ({ exact, rounded }: { exact: tf.Tensor; rounded: tf.Tensor }): number => {
    expect(rounded.shape).toEqual(exact.shape);
    expect(rounded.dtype).toBe("float32");
    return tf.tidy(() => {
      const largest = tf.max(tf.abs(tf.sub(exact, rounded)));
      return tf.div(largest, tf.max(tf.abs(exact))).dataSync()[0] ?? Number.NaN;
    });
  };
  const images = (): tf.Tensor4D => tf.randomUniform([2, 16, 16, 64], -1, 1, "float32", 1);
  const filter = (): tf.Tensor4D => tf.randomUniform([3, 3, 64, 64], -1, 1, "float32", 2);
  const matrix = (seed: number): tf.Tensor2D => tf.randomUniform([256, 256], -1, 1, "float32", seed);

  it.each<[string, () => tf.Tensor]>([
    ["a convolution", () => tf.conv2d(images(), filter(), 1, "same")],
    ["its input's gradient", () => tf.conv2dTranspose(images(), filter(), [2, 16, 16, 64], 1, "same")],
    [
      "its filter's gradient",
      () => tf.grad((w: tf.Tensor) => tf.sum(tf.conv2d(images(), w as tf.Tensor4D, 1, "same")))(filter()),
    ],
    ["a matrix product", () => tf.matMul(matrix(1), matrix(2), true, false)],
  ])("keep about eight bits of %s", async (_name, operation) => {
    const found = distance(await computed(operation));
    expect(found).toBeGreaterThan(1e-5);
    expect(found).toBeLessThan(2 ** -7);
  });

  it("leave small work as it is", async () => {
    const found = distance(await computed(() => tf.matMul(tf.ones([4, 4]), tf.fill([4, 4], 1.001))));
    expect(found).toBe(0);
  });

  it("leave no tensors behind", async () => {
    await ensureEngine();
    const before = tf.memory().numTensors;
    tf.dispose(Object.values(await computed(() => tf.tidy(() => tf.matMul(matrix(1), matrix(2))))));
    expect(tf.memory().numTensors).toBe(before);
  });
});
