import { customSpecOf } from "../topology/custom-layers.ts";
import type { Kernel } from "./kernel.ts";

const registered = new Map<string, Kernel>();

/** Adds the kernel of a registered class. */
export function addCustomKernel(className: string, kernel: Kernel): void {
  registered.set(className, kernel);
}

/** Returns the kernel of a registered class by the class's name in a file, undefined if there is none. */
export function customKernelOf(className: string): Kernel | undefined {
  const spec = customSpecOf(className);
  return spec && registered.get(spec.className);
}

/** Returns true if this process has registered classes, whose code may do anything. */
export function hasCustomKernels(): boolean {
  return registered.size > 0;
}
