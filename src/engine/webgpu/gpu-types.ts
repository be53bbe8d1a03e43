/** @file The part of WebGPU, and of tfjs's backend on it, that is used here. */
import type { tf } from "../tf.ts";
import type { HeldValues } from "./repeatable.ts";

export interface GpuBuffer {
  readonly size: number;
  destroy(): void;
}

export interface GpuDevice {
  readonly limits: Readonly<Record<string, number>>;
  readonly lost: Promise<{ readonly reason: string; readonly message: string }>;
  createBuffer(description: { size: number; usage: number }): GpuBuffer;
  addEventListener(
    type: "uncapturederror",
    listener: (event: { readonly error: Error; preventDefault(): void }) => void,
  ): void;
  destroy(): void;
}

export interface GpuAdapterInfo {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  readonly isFallbackAdapter?: boolean;
}

export interface GpuAdapter {
  readonly info: GpuAdapterInfo;
  readonly limits: Readonly<Record<string, number>>;
  requestDevice(description: {
    readonly requiredLimits: Readonly<Record<string, number>>;
  }): Promise<GpuDevice>;
}

export interface Gpu {
  requestAdapter(options: { readonly powerPreference: "high-performance" }): Promise<GpuAdapter | null>;
}

/** tfjs's pool of buffers, by size and usage. */
export interface BufferManager {
  numBytesUsed: number;
  numBytesAllocated: number;
  numFreeBuffers: number;
  readonly freeBuffers: Map<string, GpuBuffer[]>;
  acquireBuffer(size: number, usage: number, mappedAtCreation?: boolean, reuse?: boolean): GpuBuffer;
}

/** A tensor as tfjs's backend keeps it: its values, its buffer, or both. */
export interface TensorData {
  readonly dtype: tf.DataType;
  readonly values: HeldValues | null;
  readonly resource?: GpuBuffer | null;
}

/** A shader with the sizes that it runs for. */
export interface ShaderProgram {
  shaderKey: string;
  /** The activation that a fused program ends with. */
  readonly activation?: string | null;
  outputShape: readonly number[];
  readonly variableNames?: readonly string[];
  /** Declarations of the values that a call passes besides shapes. */
  readonly uniforms?: string;
  readonly workgroupSize?: readonly [number, number, number];
  /** The axes of the output that each axis of the grid of threads runs over. */
  dispatchLayout?: Readonly<Record<string, readonly number[]>>;
  /** The number of workgroups along each axis of the grid. */
  dispatch?: readonly [number, number, number];
  /** True if the shader reads the number of its values, `uniforms.size`. */
  readonly size?: boolean;
  /** True if results are added up by atomic additions. */
  atomic?: boolean;
  /** The part of the inner axis that one workgroup of a split product multiplies. */
  splitedDimInner?: number;
  /** Returns the source without its declarations. */
  getUserCode(): string;
}

export interface WebgpuBackend extends tf.KernelBackend {
  readonly device: GpuDevice;
  readonly bufferManager: BufferManager;
  readonly tensorMap: { get(dataId: object): TensorData | undefined };
  runWebGPUProgram(
    program: ShaderProgram,
    inputs: readonly tf.TensorInfo[],
    dtype: tf.DataType,
    uniforms?: unknown,
    output?: tf.TensorInfo,
  ): tf.TensorInfo;
  getBufferData(buffer: GpuBuffer): Promise<ArrayBuffer>;
  disposeData(dataId: object): boolean;
  /** Registers values as a tensor's; they are uploaded when a program first reads them. */
  makeTensorInfo(shape: readonly number[], dtype: tf.DataType, values?: HeldValues): tf.TensorInfo;
}
