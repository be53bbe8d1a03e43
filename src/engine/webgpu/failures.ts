/**
 * @file Failures of a GPU. WebGPU tells of them in a later turn, prints it and goes on with zeros, so they are kept until values
 * are read.
 */
import { MachineError } from "../../errors.ts";
import { optionName } from "../../options.ts";
import { megabytes, outOfMemory } from "../out-of-memory.ts";
import type { BufferManager, GpuDevice } from "./gpu-types.ts";

/** The failures of one device. */
export interface GpuFailures {
  /** @throws {MachineError} for what has gone wrong since the last call. A device that is lost stays lost. */
  raise(): void;
}

/** Watches a device from now on. */
export function watchFailures(device: GpuDevice, buffers: BufferManager): GpuFailures {
  let failure: MachineError | undefined;
  let loss: MachineError | undefined;
  device.addEventListener("uncapturederror", (event) => {
    event.preventDefault();
    failure ??= namedFailure(event.error, buffers);
  });
  void device.lost.then(({ reason, message }) => {
    loss = new MachineError(
      `webgpu engine: device: expected it to stay, got it lost (${reason}: ${message}). Run again, with ${optionName("resume")} where states were saved, or use another engine.`,
      "gpu-lost",
    );
  });
  return {
    raise: () => {
      const raised = loss ?? failure;
      failure = undefined;
      if (raised) throw raised;
    },
  };
}

/** Returns the error that tells by name what a device reports. */
function namedFailure(error: Error, buffers: BufferManager): MachineError {
  const message = error.message.trim().split("\n")[0] ?? "";
  if (error.constructor.name === "GPUOutOfMemoryError" || /out of memory/i.test(message)) {
    return outOfMemory(`the next tensor beside ${megabytes(buffers.numBytesUsed)} in the GPU's memory`);
  }
  return new MachineError(
    `webgpu engine: expected an operation that the GPU can run, got "${message}". Use another engine, and please report this.`,
    "gpu-operation",
  );
}

/** Returns the error for a tensor that no buffer of this GPU can hold. */
export function tooLarge(bytes: number, limit: number): MachineError {
  return new MachineError(
    `memory: expected a tensor of at most ${megabytes(limit)}, which one buffer of this GPU holds, got one of ${megabytes(bytes)}. Lower ${optionName("batchSize")} if it is of a batch; a weight of that size needs another engine.`,
    "out-of-memory",
    "memory",
  );
}
