/** @file Our own WebAssembly, of which `assembly/kernels.ts` is the source, on the memory of the backend or another. */
import { sharedBinary, singleMemory } from "./simd-binary.ts";

/** A place in the memory, in bytes. */
type Address = number;

/** The functions of `assembly/kernels.ts`, where each is described. */
export interface SimdKernels {
  holdsNaN(x: Address, count: number): number;
  clip(x: Address, y: Address, count: number, low: number, high: number): void;
  gateGradient(dy: Address, y: Address, dx: Address, count: number, low: number, high: number): void;
  adam(
    variable: Address,
    gradient: Address,
    momentum: Address,
    velocity: Address,
    moved: Address,
    count: number,
    first: number,
    second: number,
    rate: number,
    epsilon: number,
  ): void;
  rmsprop(
    variable: Address,
    gradient: Address,
    velocity: Address,
    moved: Address,
    count: number,
    rho: number,
    rest: number,
    rate: number,
    epsilon: number,
  ): void;
  transpose(x: Address, y: Address, rows: number, columns: number, step: number, turnedStep: number): void;
  columnSums(x: Address, y: Address, rows: number, columns: number, divisor: number): void;
  rowSums(x: Address, y: Address, rows: number, columns: number, divisor: number): void;
  columnMaxima(x: Address, y: Address, rows: number, columns: number): void;
  addProducts(
    x: Address,
    other: Address,
    sums: Address,
    count: number,
    channels: number,
    step: number,
    otherStep: number,
  ): void;
  resizeRow(
    top: Address,
    bottom: Address,
    columns: Address,
    y: Address,
    count: number,
    channels: number,
    down: number,
  ): void;
}

interface Memory {
  readonly buffer: ArrayBufferLike;
}

/** A memory of one thread, in pages of 64 KB. */
interface GrowingMemory extends Memory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

/** A backend with Emscripten's module, which shows its memory in one of two places. */
export interface MemoryHolder {
  readonly wasm: { readonly wasmMemory?: Memory; readonly asm: { readonly memory: Memory } };
}

/** Node's WebAssembly, whose types come with a browser's alone. */
const { WebAssembly: assembly } = globalThis as unknown as {
  readonly WebAssembly: {
    readonly Module: new (binary: Uint8Array) => object;
    readonly Instance: new (
      module: object,
      imports: { readonly env: { readonly memory: Memory } },
    ) => { readonly exports: unknown };
    readonly Memory: new (size: { readonly initial: number; readonly maximum: number }) => GrowingMemory;
  };
};

const instances = new WeakMap<MemoryHolder, SimdKernels>();

/** Returns the functions on the memory of `backend`. */
export function simdOn(backend: MemoryHolder): SimdKernels {
  const known = instances.get(backend);
  if (known) return known;
  const { wasmMemory, asm } = backend.wasm;
  const kernels = instanceOn(wasmMemory ?? asm.memory);
  instances.set(backend, kernels);
  return kernels;
}

/** Returns the functions on a memory of their own, which is one page large. */
export function simdApart(): { readonly kernels: SimdKernels; readonly memory: GrowingMemory } {
  const memory = new assembly.Memory({ initial: 1, maximum: 65536 });
  return { kernels: instanceOn(memory), memory };
}

function instanceOn(memory: Memory): SimdKernels {
  const binary = Buffer.from(sharedBinary, "base64");
  if (!(memory.buffer instanceof SharedArrayBuffer)) binary[singleMemory.at] = singleMemory.value;
  const instance = new assembly.Instance(new assembly.Module(binary), { env: { memory } });
  return instance.exports as SimdKernels;
}
