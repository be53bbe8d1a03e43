/** @file Limits on tfjs's pool of GPU buffers, which keeps every buffer that was ever free. */
import { tooLarge } from "./failures.ts";
import type { BufferManager, GpuDevice } from "./gpu-types.ts";

/** Bytes of free buffers that are kept at least before any are given back. */
const leastKept = 2 ** 28;

/** The bytes that a run may take on the GPU before buffers that are free are given back. */
let bound = Infinity;
let peak = 0;

/** Keeps free buffers within so many bytes, together with those in use; null for no bound. */
export function boundGpuMemory(bytes: number | null): void {
  bound = bytes ?? Infinity;
}

/** Returns the bytes of buffers at their peak, used and free; 0 where no GPU is in use. */
export function gpuPeakBytes(): number {
  return peak;
}

/** Returns the bytes that one buffer of a device holds. */
export function largestBuffer({ limits }: GpuDevice): number {
  return Math.min(limits["maxBufferSize"] ?? Infinity, limits["maxStorageBufferBindingSize"] ?? Infinity);
}

/**
 * Makes the pool refuse a buffer that the GPU cannot hold, by name, and give its free buffers back before it makes a new one while
 * they are larger than those in use (batches of another size leave theirs behind) or pass the bound.
 */
export function limitBuffers(buffers: BufferManager, device: GpuDevice): void {
  const largest = largestBuffer(device);
  const acquire = buffers.acquireBuffer.bind(buffers);
  buffers.acquireBuffer = (size, usage, mappedAtCreation, reuse) => {
    if (size > largest) throw tooLarge(size, largest);
    const isThere = reuse !== false && (buffers.freeBuffers.get(`${size}_${usage}`)?.length ?? 0) > 0;
    const free = buffers.numBytesAllocated - buffers.numBytesUsed;
    const isBeyond = free > Math.max(leastKept, buffers.numBytesUsed);
    if (!isThere && (isBeyond || buffers.numBytesAllocated + size > bound)) giveBack(buffers);
    const buffer = acquire(size, usage, mappedAtCreation, reuse);
    peak = Math.max(peak, buffers.numBytesAllocated);
    return buffer;
  };
}

function giveBack(buffers: BufferManager): void {
  for (const free of buffers.freeBuffers.values()) {
    for (const buffer of free.splice(0)) {
      buffer.destroy();
      buffers.numBytesAllocated -= buffer.size;
      buffers.numFreeBuffers--;
    }
  }
}
