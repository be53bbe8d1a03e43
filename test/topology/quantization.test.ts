import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/checkpoint.ts";
import { quantizationOf, quantizationRefusal } from "../../src/topology/specs/quantization.ts";

describe("reading the quantization of a layer", () => {
  test.each([
    ["int8_from_float32", { mode: "int8", bits: 8, blockSize: undefined, historyLength: 1024 }],
    ["int4/128_from_float32", { mode: "int4", bits: 4, blockSize: 128, historyLength: 1024 }],
    ["int4/-1_from_float32", { mode: "int4", bits: 4, blockSize: undefined, historyLength: 1024 }],
    ["gptq/3/64_from_bfloat16", { mode: "gptq", bits: 3, blockSize: 64, historyLength: 1024 }],
    ["awq/4/-1_from_float32", { mode: "awq", bits: 4, blockSize: undefined, historyLength: 1024 }],
    ["float8/16_from_float32", { mode: "float8", bits: 4, blockSize: undefined, historyLength: 16 }],
    ["mixed_float16", undefined],
  ])("the dtype policy %s is parsed", (dtype, expected) => {
    expect(quantizationOf({ dtype })).toEqual(expected);
  });
});

describe("unsupported quantization", () => {
  const refused = (className: string, config: JsonObject): string | undefined =>
    quantizationRefusal(className, config)?.reason;

  test.each([
    ["Conv2D", { dtype: "int8_from_float32" }, "it is quantized to int8, which is not supported"],
    ["Dense", { dtype: "int2_from_float32" }, "it is quantized to int2, which is not supported"],
    ["Embedding", { dtype: "float8/1024_from_float32" }, "it is quantized to float8, which is not supported"],
    ["Dense", { dtype: "int4/128_from_float32", lora_rank: 2 }, "it is quantized to int4 and has LoRA"],
    ["EinsumDense", { dtype: "int8_from_float32", lora_rank: 2 }, "it is quantized to int8 and has LoRA"],
  ])("%s with %o is refused", (className, config, reason) => {
    expect(refused(className, config)).toBe(reason);
  });

  test("supported quantization is not refused", () => {
    expect(refused("Dense", { dtype: "int8_from_float32", lora_rank: 2 })).toBeUndefined();
    expect(refused("ReversibleEmbedding", { dtype: "int4/128_from_float32" })).toBeUndefined();
  });
});
