import type { Tensor } from "../../tensor.ts";
import { toFloat32 } from "../../tensor.ts";

/** The description of a tensor in a tfjs weights manifest. */
export interface TfjsTensorSpec {
  readonly name: string;
  readonly shape: number[];
  readonly dtype: "float32" | "int32" | "bool";
}

/** Concatenated tensors in tfjs's form. */
export interface TfjsTensors {
  readonly specs: readonly TfjsTensorSpec[];
  /**
   * The values, little-endian and in the order of `specs`. Those of float32 tensors are views of the tensors' own
   * memory.
   */
  readonly chunks: readonly Uint8Array[];
}

/** Converts tensors to tfjs's three dtypes: every float to float32, every integer to int32. */
export function tfjsTensors(tensors: Iterable<Tensor & { readonly name: string }>): TfjsTensors {
  const specs: TfjsTensorSpec[] = [];
  const chunks: Uint8Array[] = [];
  for (const tensor of tensors) {
    const { name, shape } = tensor;
    const dtype = tfjsDtype(tensor);
    const data = values(tensor, dtype);
    specs.push({ name, shape: [...shape], dtype });
    chunks.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return { specs, chunks };
}

function tfjsDtype({ dtype }: Tensor): TfjsTensorSpec["dtype"] {
  if (dtype === "bool") return "bool";
  return dtype.includes("float") ? "float32" : "int32";
}

function values(tensor: Tensor, dtype: TfjsTensorSpec["dtype"]): Float32Array | Int32Array | Uint8Array {
  if (dtype === "float32") return toFloat32(tensor);
  const numbers = Array.from(tensor.data as ArrayLike<number | bigint>, Number);
  return dtype === "bool" ? Uint8Array.from(numbers) : Int32Array.from(numbers);
}
