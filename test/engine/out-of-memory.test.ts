import { beforeAll, describe, expect, test } from "vitest";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { namedMemoryError } from "../../src/engine/out-of-memory.ts";
import { tf } from "../../src/engine/tf.ts";
import { MachineError } from "../../src/errors.ts";

const room = /memory: expected room for .*, got none\. Lower batchSize, or give memory, which chooses it/;

describe("an engine's or Node's word for no memory is an error that says what to do", () => {
  test.each([
    new Error(
      "Invalid TF_Status: 8\nMessage: OOM when allocating tensor with shape[400,112,112,32] and type float",
    ),
    new Error("std::bad_alloc"),
    new RangeError("Array buffer allocation failed"),
  ])("%s", (error) => {
    const named = namedMemoryError(error);
    expect(named).toBeInstanceOf(MachineError);
    expect(named).toMatchObject({ code: "out-of-memory", message: expect.stringMatching(room) });
  });

  test("of an array that Node cannot make", () => {
    let thrown: unknown;
    try {
      new Float32Array(2 ** 40);
    } catch (error) {
      thrown = error;
    }
    expect(namedMemoryError(thrown)).toMatchObject({ code: "out-of-memory" });
  });

  test("and any other error is left as it is", () => {
    const errors = [
      new Error("no"),
      new RangeError("Invalid count value: -1"),
      new MachineError("no", "other"),
    ];
    for (const error of errors) expect(namedMemoryError(error)).toBe(error);
  });
});

describe.skipIf(process.env["KERAS_FINETUNE_ENGINE"] === "native")("WebAssembly's memory", () => {
  beforeAll(async () => {
    useEngine("wasm");
    await ensureEngine();
  });
  /** A tensor whose memory nobody writes to, so that the system gives none. */
  const untouched = (megabytes: number): tf.Tensor => {
    const backend = tf.backend() as unknown as {
      makeOutput(shape: number[], dtype: "float32"): tf.TensorInfo;
    };
    const { dataId } = backend.makeOutput([megabytes * 2.5e5], "float32");
    return tf.engine().makeTensorFromDataId(dataId, [megabytes * 2.5e5], "float32");
  };

  test("that ends is an error by name, and no tensor's values have changed", () => {
    const kept = tf.tensor1d([1, 2, 3]);
    const held: tf.Tensor[] = [];
    expect(() => {
      for (let count = 0; count < 6; count++) held.push(untouched(900));
    }).toThrow(/^memory: expected room for 900 MB within the 4 GB that WebAssembly can address, got none\./);
    expect(held.length).toBeGreaterThan(2);
    expect([...kept.dataSync()]).toEqual([1, 2, 3]);
    tf.dispose([kept, ...held]);
    // What was given back is there again.
    untouched(900).dispose();
  });

  test("is not taken by a tensor of more than it can address, of which it would hold the remainder", () => {
    expect(() => untouched(4300)).toThrow(/^memory: expected room for 4,300 MB within the 4 GB/);
  });
});
