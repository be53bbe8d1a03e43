import type { Json, JsonObject, Weight } from "../../../checkpoint.ts";
import { TopologyError } from "../../../errors.ts";
import { optionSetTo } from "../../../options.ts";
import type { Shape } from "../../../tensor.ts";
import type { KerasMajor } from "../../layer-graph.ts";

/** A layer as it is translated, with what its calls take and give. */
export interface SourceLayer {
  readonly path: string;
  readonly className: string;
  /** In Keras 3's vocabulary, with defaults. */
  readonly config: JsonObject;
  readonly keras: KerasMajor;
  /** Of its first call; empty where they are not known. */
  readonly inputs: readonly Shape[];
  readonly outputs: readonly Shape[];
  readonly weights: readonly Weight[];
  /** Constants among the arguments of its first call, with the position of each. */
  readonly constants: readonly { readonly position: number; readonly value: Json }[];
}

/** What a step reads: one of the layer's inputs, or the output of an earlier step. */
export type StepInput = { readonly input: number } | { readonly step: number };

/** One layer of tfjs-layers that stands for a Keras layer, or for part of it. */
export interface TfjsStep {
  readonly className: string;
  /** In tfjs-layers's words, without name and flags. */
  readonly config: JsonObject;
  /** What it reads: all inputs of the layer for the first, the step before for the others, where absent. */
  readonly reads?: readonly StepInput[];
  /** The layer's weights are its own. */
  readonly weighted?: boolean;
  /** Weights that the class of the step calls and shapes otherwise, their values in the same order; by Keras's name. */
  readonly weightsAs?: Readonly<Record<string, { readonly name: string; readonly shape: readonly number[] }>>;
}

/** @throws {TopologyError} naming the layer that tfjs-layers has no equal of, and what holds the model. */
export function refuse(layer: Pick<SourceLayer, "path" | "className">, reason: string): never {
  throw new TopologyError(
    `${layer.path}: ${layer.className}: tfjs-layers ${reason}. Write .keras or .h5 (${optionSetTo("outputFormat", "keras")}), which hold it.`,
    "not-in-tfjs",
  );
}

/** @throws {TopologyError} for a layer that has its channels first where tfjs-layers has not. */
export function refuseChannelsFirst(layer: SourceLayer): void {
  if (layer.config["data_format"] === "channels_first") refuse(layer, "has no channels_first here");
}

/** A step that acts along the last axis, made to act along another: that one and the last change places before it and after. */
export function alongLastAxis(layer: SourceLayer, step: TfjsStep, axis: number): readonly TfjsStep[] {
  const last = (layer.inputs[0]?.length ?? 0) - 1;
  if (axis === -1 || axis === last) return [step];
  const at = axis < 0 ? axis + last + 1 : axis;
  if (at < 1 || at > last) refuse(layer, `has no axis ${axis} here`);
  const dims = Array.from({ length: last }, (_, index) => index + 1);
  [dims[at - 1], dims[last - 1]] = [last, at];
  const swapped: TfjsStep = { className: "Permute", config: { dims } };
  return [swapped, step, swapped];
}

/** What a Keras layer becomes. @throws {TopologyError} where tfjs-layers has no equal of it. */
export type StepRule = (layer: SourceLayer) => readonly TfjsStep[];

/** The arguments of these names, where they are given. */
export function picked(config: JsonObject, keys: readonly string[]): Record<string, Json> {
  return Object.fromEntries(
    keys.flatMap((key): [string, Json][] => {
      const value = config[key];
      return value === undefined ? [] : [[key, value]];
    }),
  );
}
