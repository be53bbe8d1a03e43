/** @file Tensors whose values stay where they are, on an engine or in a file, until they are asked for. */
import type { Tensor, TensorData } from "./tensor.ts";
import { elementCount } from "./tensor.ts";

/**
 * Returns a tensor with these facts that reads its values anew each time that `data` is asked for, and keeps none. A copy of it made by
 * spreading holds the values as they are read then.
 */
export function lazyTensor<Facts extends Omit<Tensor, "data">>(
  facts: Facts,
  read: () => TensorData,
): Facts & Pick<Tensor, "data"> {
  return {
    ...facts,
    get data() {
      return read();
    },
  };
}

/** Returns a tensor with other facts, such as a name, whose values are those of `tensor`, read when they are asked for. */
export function restated<Facts extends object>(tensor: Tensor, facts: Facts): Facts & Tensor {
  const { dtype, shape } = tensor;
  return lazyTensor({ dtype, shape, ...facts }, () => tensor.data);
}

/** Returns whether a tensor has values, not only a shape; those of a lazy one are not read for it. */
export function isLoaded(tensor: Tensor): boolean {
  const isLazy = Object.getOwnPropertyDescriptor(tensor, "data")?.get !== undefined;
  return isLazy || tensor.data.length === elementCount(tensor.shape);
}

/** Returns whether a value is a tensor, without reading the values of a lazy one. */
export function isTensor(value: unknown): value is Tensor {
  return (
    typeof value === "object" && value !== null && "data" in value && "dtype" in value && "shape" in value
  );
}

/** Returns a copy of lists, maps and records, each tensor in it replaced by what `replace` returns. */
export function withTensors<T>(value: T, replace: (tensor: Tensor) => Tensor): T {
  const copied = (part: unknown): unknown => {
    if (isTensor(part)) return replace(part);
    if (Array.isArray(part)) return part.map(copied);
    if (part instanceof Map) return new Map([...part].map(([key, own]) => [key, copied(own)] as const));
    if (typeof part !== "object" || part === null) return part;
    return Object.fromEntries(Object.entries(part).map(([name, own]) => [name, copied(own)]));
  };
  return copied(value) as T;
}

/** Returns a copy of lists, maps and records in which every tensor holds its values. */
export function withValues<T>(value: T): T {
  return withTensors(value, (tensor) => ({ ...tensor }));
}
