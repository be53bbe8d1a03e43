import type { Json, JsonObject, Weight } from "../../../checkpoint.ts";
import { TopologyError } from "../../../errors.ts";
import { optionSetTo } from "../../../options.ts";
import type { Shape } from "../../../tensor.ts";
import type { KerasMajor } from "../../layer-graph.ts";

/** The Keras layer to translate, with the inputs and outputs of its first call. */
export interface SourceLayer {
  readonly path: string;
  readonly className: string;
  /** Arguments with Keras 3's names and defaults. */
  readonly config: JsonObject;
  readonly keras: KerasMajor;
  /** Input shapes of the first call, empty if not known. */
  readonly inputs: readonly Shape[];
  /** Output shapes of the first call, empty if not known. */
  readonly outputs: readonly Shape[];
  readonly weights: readonly Weight[];
  /** Constants among the arguments of the first call, with their positions. */
  readonly constants: readonly { readonly position: number; readonly value: Json }[];
}

/** An input of a step: one of the layer's inputs, or the output of an earlier step, by index. */
export type StepInput = { readonly input: number } | { readonly step: number };

/** A layer of tfjs-layers that replaces a Keras layer, or a part of it. */
export interface TfjsStep {
  readonly className: string;
  /** Arguments of tfjs-layers, without `name` and `trainable`. */
  readonly config: JsonObject;
  /**
   * Inputs of the step. By default all inputs of the layer for the first step, and the previous step for the others.
   */
  readonly reads?: readonly StepInput[];
  /** The step gets the layer's weights. */
  readonly weighted?: boolean;
  /** New name and shape of weights, by Keras's name, if they differ. The values stay in the same order. */
  readonly weightsAs?: Readonly<Record<string, { readonly name: string; readonly shape: readonly number[] }>>;
}

/** @throws {TopologyError} naming a layer that tfjs-layers has no equivalent of, and the formats that can hold it. */
export function refuse(layer: Pick<SourceLayer, "path" | "className">, reason: string): never {
  throw new TopologyError(
    `${layer.path}: ${layer.className}: tfjs-layers ${reason}. Write .keras or .h5 (${optionSetTo("outputFormat", "keras")}), which can hold it.`,
    "not-in-tfjs",
  );
}

/** @throws {TopologyError} for a channels-first layer whose class is channels-last only in tfjs-layers. */
export function refuseChannelsFirst(layer: SourceLayer): void {
  if (layer.config["data_format"] === "channels_first") {
    refuse(layer, 'does not support data_format "channels_first"');
  }
}

/**
 * Applies a step that works along the last axis to another axis, by swapping the two axes before and after the step.
 */
export function alongLastAxis(layer: SourceLayer, step: TfjsStep, axis: number): readonly TfjsStep[] {
  const last = (layer.inputs[0]?.length ?? 0) - 1;
  if (axis === -1 || axis === last) return [step];
  const at = axis < 0 ? axis + last + 1 : axis;
  if (at < 1 || at > last) refuse(layer, `supports no axis ${axis} of an input with ${last + 1} dimensions`);
  const dims = Array.from({ length: last }, (_, index) => index + 1);
  [dims[at - 1], dims[last - 1]] = [last, at];
  const swapped: TfjsStep = { className: "Permute", config: { dims } };
  return [swapped, step, swapped];
}

/**
 * Translates a Keras layer to layers of tfjs-layers.
 * @throws {TopologyError} if tfjs-layers has no equivalent.
 */
export type StepRule = (layer: SourceLayer) => readonly TfjsStep[];

/** Returns the arguments with these names that the config has. */
export function picked(config: JsonObject, keys: readonly string[]): Record<string, Json> {
  return Object.fromEntries(
    keys.flatMap((key): [string, Json][] => {
      const value = config[key];
      return value === undefined ? [] : [[key, value]];
    }),
  );
}
