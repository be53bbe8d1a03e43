import type { LayerSpec } from "./layer-spec.ts";

/** @file Specs of the classes that a program registers: layers that are not Keras's own. */

const registered = new Map<string, LayerSpec>();

/** Adds the spec of a registered class. */
export function addCustomSpec(spec: LayerSpec): void {
  registered.set(spec.className, spec);
}

/**
 * Returns the spec of a registered class by the class's name in a file, undefined if there is none. A name without a
 * package serves the class of that name in any module or package, as a key of Keras's `custom_objects` does.
 */
export function customSpecOf(className: string): LayerSpec | undefined {
  return registered.get(className) ?? registered.get(plainName(className));
}

/** Returns how many classes are registered: a graph that was built with fewer may lack the shapes of some. */
export function registrationCount(): number {
  return registered.size;
}

/** Returns the class name that stands for the Lambda layer of that name, whose function the file does not hold. */
export function lambdaClass(layerName: string): string {
  return `Lambda>${layerName}`;
}

function plainName(className: string): string {
  return className.startsWith(lambdaClass("")) ? "" : className.slice(className.indexOf(">") + 1);
}
