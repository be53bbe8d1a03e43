/** @file Reading of values: in a later turn, with what went wrong meanwhile, and at once in repeatable computations. */
import type { GpuFailures } from "./failures.ts";
import type { TensorData, WebgpuBackend } from "./gpu-types.ts";
import type { HeldValues } from "./repeatable.ts";
import { readWithin } from "./repeatable.ts";

/** Replaces both ways of reading of tfjs's backend, whose own reading at once needs a browser's canvas. */
export function replaceReading(backend: WebgpuBackend, failures: GpuFailures): void {
  const original = { read: backend.read.bind(backend), readSync: backend.readSync.bind(backend) };
  const fetch = async ({ resource, dtype }: TensorData): Promise<HeldValues> => {
    if (!resource) throw new Error("webgpu: a tensor without values and without a buffer");
    const bytes = await backend.getBufferData(resource).catch((error: unknown) => {
      failures.raise();
      throw error;
    });
    failures.raise();
    return typedValues(bytes, dtype);
  };
  backend.read = async (dataId: object): Promise<Float32Array> => {
    const data = dataOf(backend, dataId);
    if (data.dtype === "complex64") return original.read(dataId) as Promise<Float32Array>;
    const values = data.values ?? (await fetch(data));
    if (data.resource) (data as { values: HeldValues | null }).values = values;
    return values as Float32Array;
  };
  backend.readSync = (dataId: object): Float32Array => {
    const data = dataOf(backend, dataId);
    if (data.dtype === "complex64") return original.readSync(dataId) as Float32Array;
    return readWithin(data.values, () => fetch(data)) as Float32Array;
  };
}

function dataOf(backend: WebgpuBackend, dataId: object): TensorData {
  const data = backend.tensorMap.get(dataId);
  if (!data) throw new Error("webgpu: a tensor that is disposed is read");
  return data;
}

/** Returns what a buffer holds: four bytes a value, also of booleans. */
function typedValues(bytes: ArrayBuffer, dtype: TensorData["dtype"]): HeldValues {
  if (dtype === "int32") return new Int32Array(bytes);
  if (dtype === "bool") return Uint8Array.from(new Int32Array(bytes));
  return new Float32Array(bytes);
}
