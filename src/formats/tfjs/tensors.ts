import type { Tensor } from "../../tensor.ts";
import { toFloat32 } from "../../tensor.ts";

/** A tensor in a weights manifest of tfjs, as it is described there. */
export interface TfjsTensorSpec {
  readonly name: string;
  readonly shape: number[];
  readonly dtype: "float32" | "int32" | "bool";
}

/** Tensors one behind the other, as tfjs keeps them. */
export interface TfjsTensors {
  readonly specs: readonly TfjsTensorSpec[];
  /** Little-endian, in the order of `specs`; views of the tensors' own memory where they are float32. */
  readonly chunks: readonly Uint8Array[];
}

/** The tensors in tfjs's three dtypes: every float as float32, every integer as int32. */
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
