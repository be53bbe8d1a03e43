import type { JsonObject } from "../checkpoint.ts";

/** A loss or metric as callers give it: a Keras name in any spelling, or `{ class_name, config }`. */
export type LossArgument = string | JsonObject;
