/** @file Limits on tfjs's pool of GPU buffers, which keeps every buffer that was ever free. */
import { tooLarge } from "./failures.ts";
import type { BufferManager, GpuDevice } from "./gpu-types.ts";

/** Bytes of free buffers that are kept at least before any are given back. */
const leastKept = 2 ** 28;

/**
 * Makes the pool refuse a buffer that the GPU cannot hold, by name, and give its free buffers back before it makes a new one while
 * they are larger than those in use: batches of another size leave theirs behind.
 */
export function limitBuffers(buffers: BufferManager, { limits }: GpuDevice): void {
  const largest = Math.min(
    limits["maxBufferSize"] ?? Infinity,
    limits["maxStorageBufferBindingSize"] ?? Infinity,
  );
  const acquire = buffers.acquireBuffer.bind(buffers);
  buffers.acquireBuffer = (size, usage, mappedAtCreation, reuse) => {
    if (size > largest) throw tooLarge(size, largest);
    const isThere = reuse !== false && (buffers.freeBuffers.get(`${size}_${usage}`)?.length ?? 0) > 0;
    const free = buffers.numBytesAllocated - buffers.numBytesUsed;
    if (!isThere && free > Math.max(leastKept, buffers.numBytesUsed)) giveBack(buffers);
    return acquire(size, usage, mappedAtCreation, reuse);
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
