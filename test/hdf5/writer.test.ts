import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Dataset, File, type Group } from "jsfive";
import { describe, expect, test } from "vitest";
import { windowFile } from "../../src/hdf5/file-system.ts";
import { openHdf5 } from "../../src/hdf5/reader.ts";
import { createHdf5 } from "../../src/hdf5/writer.ts";
import type { Tensor } from "../../src/tensor.ts";
import { scratch, writtenHdf5 } from "./temporary.ts";

function jsfive(path: string): File {
  const bytes = readFileSync(path);
  return new File(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer);
}

const tensors: Record<string, Tensor> = {
  float32: { dtype: "float32", shape: [2, 2], data: Float32Array.of(1.5, -2, Number.NaN, Infinity) },
  float64: { dtype: "float64", shape: [2], data: Float64Array.of(0.1, 1e300) },
  int8: { dtype: "int8", shape: [2], data: Int8Array.of(-128, 127) },
  uint16: { dtype: "uint16", shape: [2], data: Uint16Array.of(0, 65535) },
  int32: { dtype: "int32", shape: [1, 2], data: Int32Array.of(-1, 2 ** 31 - 1) },
  int64: { dtype: "int64", shape: [], data: BigInt64Array.of(-(2n ** 62n)) },
  uint64: { dtype: "uint64", shape: [1], data: BigUint64Array.of(2n ** 64n - 1n) },
  bool: { dtype: "bool", shape: [3], data: Uint8Array.of(1, 0, 1) },
  empty: { dtype: "float32", shape: [0, 3], data: new Float32Array(0) },
  // 1, the smallest subnormal, the largest finite value, minus zero, infinity
  float16: { dtype: "float16", shape: [5], data: Uint16Array.of(0x3c00, 1, 0x7bff, 0x8000, 0x7c00) },
  bfloat16: { dtype: "bfloat16", shape: [4], data: Uint16Array.of(0x3f80, 1, 0x7f7f, 0xff80) },
};

describe("a tensor of every dtype is read back bit for bit", () => {
  test.each(Object.entries(tensors))("%s", async (name, tensor) => {
    const path = await writtenHdf5((writer) => writer.dataset(`/group/${name}`, tensor));
    const file = await openHdf5(path);
    expect(file.root.dataset(`group/${name}`)!.read()).toEqual(tensor);
    file.close();
  });

  test("all 65536 float16 values are read back, except for the payload of NaN", async () => {
    const data = Uint16Array.from({ length: 0x10000 }, (_, bits) => bits);
    const path = await writtenHdf5((writer) =>
      writer.dataset("/all", { dtype: "float16", shape: [data.length], data }),
    );
    const file = await openHdf5(path);
    const read = file.root.dataset("all")!.read().data as Uint16Array;
    file.close();
    const isNumberless = (bits: number) => (bits & 0x7c00) === 0x7c00 && (bits & 0x3ff) !== 0;
    const wrong = [...data].filter((bits) =>
      isNumberless(bits) ? !isNumberless(read[bits]!) : read[bits] !== bits,
    );
    expect(wrong).toEqual([]);
  });
});

test("a dataset that is larger than one slab is read back whole", async () => {
  const data = Float32Array.from({ length: 20_000_000 }, (_, index) => index % 1000);
  const path = await writtenHdf5((writer) =>
    writer.dataset("/large", { dtype: "float32", shape: [2000, 10_000], data }),
  );
  const file = await openHdf5(path);
  expect(
    Buffer.compare(Buffer.from(file.root.dataset("large")!.read().data.buffer), Buffer.from(data.buffer)),
  ).toBe(0);
  file.close();
});

test("jsfive reads the groups, values and attributes of a written file", async () => {
  const path = await writtenHdf5((writer) => {
    writer.text("/", "model_config", `{"name": "${"x".repeat(100_000)}"}`);
    writer.dataset("/model_weights/a/b/kernel:0", tensors["float32"]!);
    writer.textList("/model_weights", "layer_names", ["a", "longer"]);
    writer.textList("/model_weights/a", "weight_names", []);
  });
  const file = jsfive(path);
  expect(file.attrs["model_config"]).toHaveLength(100_012);
  const group = file.get("model_weights") as Group;
  const names = group.attrs["layer_names"] as string[];
  expect(names.map((name) => name.replace(/\0+$/, ""))).toEqual(["a", "longer"]);
  const dataset = group.get("a/b/kernel:0") as Dataset;
  expect(dataset.shape).toEqual([2, 2]);
  expect([...dataset.value]).toEqual([1.5, -2, Number.NaN, Infinity]);
});

test("a list too long for one attribute is split as Keras splits it and is read back as one", async () => {
  const names = Array.from({ length: 9000 }, (_, index) => `layer_${index}`);
  const path = await writtenHdf5((writer) => writer.textList("/", "layer_names", names));
  const attributes = jsfive(path).attrs;
  expect(Object.keys(attributes).sort()).toEqual(["layer_names0", "layer_names1"]);
  const file = await openHdf5(path);
  expect(file.root.textList("layer_names")).toEqual(names);
  expect(file.root.textList("missing")).toBeUndefined();
  file.close();
});

test("text outside of ASCII is read back unchanged", async () => {
  const path = await writtenHdf5((writer) => {
    writer.text("/", "text", "größe 大");
    writer.textList("/", "list", ["größe", "大"]);
  });
  const file = await openHdf5(path);
  expect(file.root.text("text")).toBe("größe 大");
  expect(file.root.textList("list")).toEqual(["größe", "大"]);
  file.close();
});

test("an HDF5 file can be written inside another file at an offset", async () => {
  const path = join(scratch(), "container");
  const descriptor = openSync(path, "w+");
  const window = windowFile(descriptor, 1000, 0);
  const writer = await createHdf5(window, path);
  writer.dataset("/x", tensors["int32"]!);
  writer.close();
  closeSync(descriptor);
  const bytes = readFileSync(path);
  expect(bytes.length).toBe(1000 + window.size());
  expect(bytes.toString("latin1", 1001, 1004)).toBe("HDF");
});

test("writing to a full disk throws an error that says so", async () => {
  const full = openSync("/dev/full", "w");
  const write = async () => {
    const writer = await createHdf5(windowFile(full, 0, 0), "model.h5");
    writer.dataset("/x", { dtype: "float32", shape: [500_000], data: new Float32Array(500_000) });
    writer.close();
  };
  await expect(write()).rejects.toThrow(/^model\.h5: no space left on the device\. /);
  closeSync(full);
});

test("the writer rethrows an error of its file, even one without a C error number", async () => {
  const failing = (error: Error) => ({
    ...windowFile(0, 0, 0),
    write: () => {
      throw error;
    },
  });
  const strange = Object.assign(new Error("the tape is torn"), { code: "ETAPE" });
  await expect(createHdf5(failing(strange), "model.h5")).rejects.toBe(strange);
});
