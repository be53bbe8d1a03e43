import type { JsonObject } from "../../checkpoint.ts";
import { UsageError } from "../../errors.ts";
import { nearestNames } from "../../freeze/suggestions.ts";
import { randomImageLayers } from "../../layers/random-images/kernels.ts";
import { optionName } from "../../options.ts";
import { modernConfig } from "../../topology/dialects/layer-config.ts";
import type { AugmentationLayer, ImageShape, Mixture, TransformationDefinition } from "./transformations.ts";
import { mixtures, movingLayers, strengths, transformations } from "./transformations.ts";

/** A recipe as a caller gives it: `flip,rotate=10`, `light`, Keras layers as `{ class_name, config }`, or a list of these. */
export type AugmentArgument = string | JsonObject | readonly (string | JsonObject)[];

/** One transformation of a recipe. */
type Step =
  | {
      readonly kind: "named";
      readonly name: string;
      readonly value: number | string;
      readonly from: string | null;
    }
  | { readonly kind: "layer"; readonly layer: AugmentationLayer };

/** Transformations that make views of an image, in their order, and what mixes samples. */
export interface Recipe {
  readonly steps: readonly Step[];
  /** Alpha of the Beta distribution that two samples are averaged by; null where none are. */
  readonly mixup: number | null;
  /** Alpha of the Beta distribution of the box that comes from another image; null where none does. */
  readonly cutmix: number | null;
}

/**
 * Returns the recipe that `argument` means. A later item of a strength's name replaces it: `light,rotate=30`.
 * @throws {UsageError} for an unknown name, with the nearest one, and for a value out of its range.
 */
export function augmentationRecipe(argument: AugmentArgument): Recipe {
  const items: readonly (string | JsonObject)[] = isList(argument) ? argument : [argument];
  const steps: Step[] = [];
  const alphas = new Map<Mixture, number>();
  for (const item of items) {
    if (typeof item !== "string") steps.push({ kind: "layer", layer: kerasLayer(item) });
    else for (const named of namesIn(item)) addNamed(steps, alphas, named);
  }
  const recipe = { steps, mixup: alphas.get("mixup") ?? null, cutmix: alphas.get("cutmix") ?? null };
  if (steps.length > 0 || recipe.mixup !== null || recipe.cutmix !== null) return recipe;
  throw new UsageError(
    `${augment()}: expected ${names().join(", ")}, or Keras layers, got none.`,
    "augment",
    "augment",
  );
}

/** Returns the recipe as it may be given again: `flip=horizontal,rotate=10`. */
export function formatRecipe({ steps, mixup, cutmix }: Recipe): string {
  return [
    ...steps.map((step) => (step.kind === "named" ? `${step.name}=${step.value}` : step.layer.className)),
    ...(mixup === null ? [] : [`mixup=${mixup}`]),
    ...(cutmix === null ? [] : [`cutmix=${cutmix}`]),
  ].join(",");
}

/**
 * Returns the recipe's layers for images of a shape, in the order in which they run. On images without colors, what a strength has
 * for colors alone is left out.
 * @throws {UsageError} for a transformation of colors that is asked for by name where images have none, and for other channels
 * than 1 and 3.
 */
export function recipeLayers({ steps }: Recipe, image: ImageShape): readonly AugmentationLayer[] {
  const channels = image[2];
  if (steps.length > 0 && channels !== 1 && channels !== 3) {
    throw new UsageError(
      `${augment()}: expected a model that takes images of 1 or 3 channels, got ${channels}. Leave it out.`,
      "augment-channels",
      "augment",
    );
  }
  return steps.flatMap((step) => {
    if (step.kind === "layer") return [withDefaults(step.layer)];
    const { layers, ofColors } = definitionOf(step.name);
    if (ofColors && channels === 1) {
      if (step.from !== null) return [];
      throw new UsageError(
        `${augment()} ${step.name}: expected images with colors, got a model that takes grayscale images. Leave it out.`,
        "augment-channels",
        "augment",
      );
    }
    return layers(Number(step.value), image, String(step.value)).map(withDefaults);
  });
}

/** Returns whether layers move pixels, so that targets with positions would have to move with them. */
export function movesPixels(layers: readonly AugmentationLayer[]): boolean {
  return layers.some(({ className }) => movingLayers.has(className));
}

function withDefaults({ className, config }: AugmentationLayer): AugmentationLayer {
  return { className, config: modernConfig(className, config, 3) };
}

function addNamed(steps: Step[], alphas: Map<Mixture, number>, item: string): void {
  const name = nameIn(item);
  if (Object.hasOwn(strengths, item)) {
    for (const own of namesIn(strengths[item] ?? "")) addStep(steps, namedStep(own, item));
  } else if (isMixture(name)) {
    if (alphas.has(name)) throw twice(name);
    alphas.set(name, Number(valueIn(item, mixtures[name])));
  } else addStep(steps, namedStep(item, null));
}

/** A name that stands a second time replaces the one of a strength, in its place. */
function addStep(steps: Step[], step: Extract<Step, { kind: "named" }>): void {
  const at = steps.findIndex((other) => other.kind === "named" && other.name === step.name);
  const earlier = steps[at];
  if (earlier?.kind !== "named") steps.push(step);
  else if (earlier.from !== null && step.from === null) steps[at] = step;
  else if (earlier.from === null || step.from === earlier.from) throw twice(step.name);
  else throw twoStrengths(earlier.from, step.from ?? "");
}

function namedStep(item: string, from: string | null): Extract<Step, { kind: "named" }> {
  const name = nameIn(item);
  return { kind: "named", name, value: valueIn(item, definitionOf(name)), from };
}

function definitionOf(name: string): TransformationDefinition {
  const found = Object.hasOwn(transformations, name) ? transformations[name] : undefined;
  if (found) return found;
  const [near] = nearestNames(name, names(), 1);
  const hint = near === undefined ? "" : ` Did you mean ${near}?`;
  throw new UsageError(
    `${augment()} ${JSON.stringify(name)}: expected ${names().join(", ")}, got an unknown name.${hint}`,
    "augment-unknown",
    "augment",
  );
}

type Range = Pick<TransformationDefinition, "usual" | "whole" | "range">;

/** Returns the value that an item gives, or the usual one. @throws {UsageError} for one out of range. */
function valueIn(item: string, { usual, range, whole = false }: Range): number | string {
  const at = item.indexOf("=");
  if (at < 0) return usual;
  const [name, text] = [nameIn(item), item.slice(at + 1).trim()];
  const [least, most] = range;
  if (typeof least === "string") {
    if ((range as readonly string[]).includes(text)) return text;
    throw outOfRange(name, `one of ${range.join(", ")}`, text);
  }
  const value = Number(text);
  const kind = whole ? "a whole number" : "a number";
  const inRange =
    text !== "" && value >= least && value <= Number(most) && (!whole || Number.isInteger(value));
  if (inRange) return value;
  throw outOfRange(name, `${kind} from ${least} to ${most}`, text);
}

function outOfRange(name: string, expected: string, got: string): UsageError {
  return new UsageError(
    `${augment()} ${name}: expected ${expected}, got ${JSON.stringify(got)}.`,
    "augment-value",
    "augment",
  );
}

/** Random layers that give no image of the input's size, or need a batch. */
const unusable: Readonly<Record<string, string>> = {
  MixUp: "Use mixup=0.2, which mixes the targets too.",
  CutMix: "Use cutmix=1, which mixes the targets too.",
  RandomHeight: "Use zoom.",
  RandomWidth: "Use zoom.",
};

function kerasLayer(given: JsonObject): AugmentationLayer {
  const { class_name: className, config = {} } = given;
  const known = [...Object.keys(randomImageLayers), "GaussianNoise", "Resizing"];
  if (
    typeof className !== "string" ||
    typeof config !== "object" ||
    config === null ||
    Array.isArray(config)
  ) {
    throw new UsageError(
      `${augment()}: expected a Keras layer as { class_name, config }, got ${JSON.stringify(given).slice(0, 80)}.`,
      "augment-layer",
      "augment",
    );
  }
  const plain = className.split(">").at(-1) ?? className;
  if (Object.hasOwn(unusable, plain)) {
    throw new UsageError(
      `${augment()} ${plain}: expected a layer that keeps the image's size and works on one image, got another. ${unusable[plain]}`,
      "augment-layer",
      "augment",
    );
  }
  if (known.includes(plain)) return { className: plain, config: config as JsonObject };
  const [near] = nearestNames(plain, known, 1);
  throw new UsageError(
    `${augment()} ${JSON.stringify(plain)}: expected a random image layer of Keras, got an unknown class.${near ? ` Did you mean ${near}?` : ""}`,
    "augment-layer",
    "augment",
  );
}

function augment(): string {
  return optionName("augment");
}

function names(): string[] {
  return [...Object.keys(strengths), ...Object.keys(transformations), ...Object.keys(mixtures)];
}

function isMixture(name: string): name is Mixture {
  return Object.hasOwn(mixtures, name);
}

function isList(argument: AugmentArgument): argument is readonly (string | JsonObject)[] {
  return Array.isArray(argument);
}

function namesIn(text: string): string[] {
  return text.split(",").map((item) => item.trim());
}

function nameIn(item: string): string {
  return item.replace(/=.*$/s, "").trim();
}

function twice(name: string): UsageError {
  return new UsageError(
    `${augment()} ${name}: expected it once, got it twice. Leave one out.`,
    "augment-twice",
    "augment",
  );
}

function twoStrengths(first: string, second: string): UsageError {
  return new UsageError(
    `${augment()}: expected one strength, got ${first} and ${second}. Leave one out.`,
    "augment-twice",
    "augment",
  );
}
