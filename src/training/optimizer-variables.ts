/** @file The variables of an optimizer as Keras's files hold them: a list without a plan, whose order is that of Keras's code. */
import type { Checkpoint, CheckpointFormat, Weight } from "../checkpoint.ts";
import { KerasFileError } from "../errors.ts";
import { layerSlots } from "../formats/layer-slots.ts";
import { restated } from "../lazy-tensor.ts";
import type { Tensor } from "../tensor.ts";
import { elementCount, float32Tensor, formatShape, sameShape } from "../tensor.ts";
import { dialectOf } from "../topology/dialects/dialect.ts";
import type { OptimizerConfig } from "./optimizer-config.ts";
import { updateRule } from "./optimizers/classes.ts";
import type { SlotSpec } from "./optimizers/update-rule.ts";
import type { OptimizerState, WeightSlots } from "./state.ts";

/**
 * Orders of an optimizer's variables. `keras3` (`build` in `keras/src/optimizers/*.py`): the count of steps, the rate unless a schedule
 * sets it, then the slots variable by variable. `keras2`: the same without the rate. `legacy`, of Keras 2 up to 2.10 and of
 * `keras.optimizers.legacy`: the count, then each slot of all variables before the next slot.
 */
export type VariableLayout = "keras3" | "keras2" | "legacy";

/** Classes that Keras 2 has legacy optimizers of, with the same slots. */
const legacyClasses: ReadonlySet<string> = new Set(
  "SGD RMSprop Adam Adadelta Adagrad Adamax Ftrl".split(" "),
);

/**
 * Returns the layout in which a run's optimizer is written, so that Keras goes on from it; null where it would not: in `.h5` Keras 3 builds
 * an optimizer without weights (`load_model_from_hdf5` in `keras/src/legacy/saving/legacy_h5_format.py`), and then cannot train. Keras 2
 * takes an optimizer without a mark in an `.h5` for a legacy one.
 */
export function writtenLayout(
  checkpoint: Checkpoint,
  { className }: OptimizerConfig,
  format: CheckpointFormat,
): VariableLayout | null {
  const isKeras3 = dialectOf(checkpoint).startsWith("keras3");
  if (format === "keras") return isKeras3 ? "keras3" : "keras2";
  return format === "h5" && !isKeras3 && legacyClasses.has(className) ? "legacy" : null;
}

/** A weight that Keras trains, with the slots that our optimizer keeps for it. */
interface TrainedWeight {
  readonly layer: string;
  readonly weight: string;
  readonly shape: readonly number[];
  readonly slots: Readonly<Record<string, SlotSpec>>;
}

/** One variable of a file: a slot of a weight. */
interface SlotPlace extends TrainedWeight {
  readonly slot: string;
  readonly spec: SlotSpec;
}

/**
 * Returns the state of the optimizer in a file, whose config is `config`; null where the file has none, or one that has not been built.
 * @throws {KerasFileError} where its variables are not those of the weights that the file's flags let train.
 */
export function readOptimizerState(
  checkpoint: Checkpoint,
  config: OptimizerConfig,
  layout: VariableLayout,
): OptimizerState | null {
  const variables = checkpoint.optimizerWeights ?? [];
  const places = slotPlaces(checkpoint, config, layout, true);
  const heads = headCount(variables, places.length, layout, config);
  if (variables.length <= heads) return null;
  const slots = variables.slice(heads, heads + places.length);
  const rest = variables.slice(heads + places.length + (hasProduct(config, layout) ? 1 : 0));
  const strange = places.findIndex(({ spec }, index) => {
    const found = slots[index];
    return !found || !sameShape(found.shape, spec.shape);
  });
  const place = places[strange];
  if (place) {
    throw new KerasFileError(
      `${place.layer}/${place.weight}: optimizer slot ${place.slot}: expected a variable ${formatShape(place.spec.shape)} in the file, got ${slots[strange] ? formatShape(slots[strange].shape) : "none"}. The file's optimizer is that of other trainable layers; name an optimizer instead.`,
      "optimizer-slots",
    );
  }
  if (rest.some(({ shape }) => layout !== "legacy" || elementCount(shape) !== 1)) {
    throw new KerasFileError(
      `optimizer: expected ${heads + places.length} variables for the weights that the file lets train, got ${variables.length}. The file's optimizer is that of other trainable layers; name an optimizer instead.`,
      "optimizer-slots",
    );
  }
  const byWeight = new Map<string, { -readonly [Key in keyof WeightSlots]: WeightSlots[Key] }>();
  for (const [index, { layer, weight, slot, slots: own }] of places.entries()) {
    const key = `${layer}/${weight}`;
    const kept = byWeight.get(key) ?? { layer, weight, tensors: {} };
    const isOurs = slot in own || isShared(slot);
    if (isOurs) kept.tensors = { ...kept.tensors, [slot]: asFloat32(slots[index] as Weight) };
    byWeight.set(key, kept);
  }
  const [count] = variables;
  const hasCount = heads > 0 && count !== undefined;
  return {
    className: config.className,
    iterations: hasCount ? Number(count.data[0]) : 0,
    learningRate: null,
    slots: [...byWeight.values()],
  };
}

/**
 * Returns the variables of an optimizer as Keras writes them, for the weights that the checkpoint's flags let train. A weight that
 * the state does not name has fresh slots. Empty where the state has a weight whose place in Keras's order is not known.
 */
export function optimizerVariables(
  checkpoint: Checkpoint,
  config: OptimizerConfig,
  state: OptimizerState,
  layout: VariableLayout,
): readonly Weight[] {
  const kept = new Map(state.slots.map((own) => [`${own.layer}/${own.weight}`, own.tensors]));
  const { learning_rate: rate } = config.settings;
  const count: Weight = {
    name: { keras3: "iteration", keras2: "iteration:0", legacy: `${config.className}/iter:0` }[layout],
    ...{ dtype: "int64", shape: [], data: BigInt64Array.of(BigInt(state.iterations)) },
  };
  const hasRate = layout === "keras3" && typeof rate === "number";
  const places = slotPlaces(checkpoint, config, layout, layout === "keras3");
  const placed = new Set(places.map(({ layer, weight }) => `${layer}/${weight}`));
  const hasSlots = state.slots.filter(({ tensors }) => Object.keys(tensors).length > 0);
  if (hasSlots.some(({ layer, weight }) => !placed.has(`${layer}/${weight}`))) return [];
  const slots = places.map((place): Weight => {
    const { layer, weight, slot } = place;
    const tensor = kept.get(`${layer}/${weight}`)?.[slot] ?? freshSlot(checkpoint, place);
    const path = `${layer}/${weight}`;
    const name =
      layout === "keras3" ? `${path.replaceAll("/", "_")}_${slot}` : `${config.className}/${slot}/${path}:0`;
    return restated(tensor, { name });
  });
  const product = hasProduct(config, layout)
    ? [scalar("u_product", momentaProduct(config, state.iterations))]
    : [];
  return [count, ...(hasRate ? [scalar("learning_rate", rate)] : []), ...slots, ...product];
}

/** Returns every slot of every trained weight in the order of the layout. `shared` adds those that all classes have. */
function slotPlaces(
  checkpoint: Checkpoint,
  config: OptimizerConfig,
  layout: VariableLayout,
  shared: boolean,
): readonly SlotPlace[] {
  const { settings, className } = config;
  const weights: readonly TrainedWeight[] = [...layerSlots(checkpoint).values()].flatMap(
    ({ path, trainable, weights: specs }) =>
      (trainable ? (specs ?? []) : []).flatMap(({ name, shape, trainable: trains }) => {
        if (!trains) return [];
        const { slots } = updateRule(config, { path: `${path}/${name}`, shape });
        return [{ layer: path, weight: name, shape, slots }];
      }),
  );
  const groups = [
    ...(shared && settings["use_ema"] === true ? [["average"]] : []),
    ...(shared && settings["gradient_accumulation_steps"] ? [["gradient_accumulator"]] : []),
    ...slotGroups(className, layout, weights),
  ];
  return groups.flatMap((names) =>
    weights.flatMap((own) =>
      names.flatMap((slot): SlotPlace[] => {
        const spec = own.slots[slot] ?? unusedSlot(className, layout, slot, own.shape);
        return spec ? [{ ...own, slot, spec }] : [];
      }),
    ),
  );
}

/** Returns the slots that are made for one weight after the other, group by group. */
function slotGroups(
  className: string,
  layout: VariableLayout,
  weights: readonly TrainedWeight[],
): readonly (readonly string[])[] {
  const fullest = weights.toSorted((a, b) => Object.keys(b.slots).length - Object.keys(a.slots).length);
  const names = [...new Set(fullest.flatMap(({ slots }) => Object.keys(slots)))];
  // Keras 2.11 to 2.15 make SGD's momentum also where it is 0.
  if (className === "SGD") return layout === "keras2" ? [["momentum"]] : [names];
  if (className === "RMSprop") return names.map((name) => [name]);
  if (layout === "legacy" && className !== "Ftrl") return names.map((name) => [name]);
  const late = names.filter((name) => name === "velocity_hat");
  return [names.filter((name) => name !== "velocity_hat"), ...late.map((name) => [name])];
}

/** Returns a variable that Keras makes and never uses; undefined where it makes none. */
function unusedSlot(
  className: string,
  layout: VariableLayout,
  slot: string,
  shape: readonly number[],
): SlotSpec | undefined {
  if (isShared(slot) || (className === "SGD" && layout === "keras2")) return { shape, initial: 0 };
  return className === "Adafactor" && layout === "keras3" ? { shape: [], initial: 0 } : undefined;
}

/** Tells if the product of Nadam's momenta stands behind the slots, as in Keras 3. */
function hasProduct({ className }: OptimizerConfig, layout: VariableLayout): boolean {
  return className === "Nadam" && layout === "keras3";
}

/** Returns the product of Nadam's momenta after so many updates (`_backend_update_step` in `keras/src/optimizers/nadam.py`). */
function momentaProduct({ settings }: OptimizerConfig, iterations: number): number {
  const f = Math.fround;
  const updates = Math.floor(iterations / ((settings["gradient_accumulation_steps"] as number | null) ?? 1));
  let product = 1;
  for (let step = 1; step <= updates; step++) {
    product = f(f(product * f(settings["beta_1"] as number)) * f(1 - f(0.5 * f(f(0.96) ** step))));
  }
  return product;
}

/** Returns how many variables stand before the slots. */
function headCount(
  variables: readonly Weight[],
  slots: number,
  layout: VariableLayout,
  { settings }: OptimizerConfig,
): number {
  if (layout === "keras2") return 1;
  if (layout === "keras3") return typeof settings["learning_rate"] === "number" ? 2 : 1;
  // Keras 2.0 to 2.3 keep no count for some classes; Nadam keeps the product of its momenta beside it.
  const scalars = variables.findIndex(({ shape }) => shape.length > 0);
  return Math.min(scalars < 0 ? variables.length : scalars, Math.max(0, variables.length - slots), 2);
}

function isShared(slot: string): boolean {
  return slot === "average" || slot === "gradient_accumulator";
}

function freshSlot({ weights }: Checkpoint, { layer, weight, slot, spec }: SlotPlace): Tensor {
  const { shape, initial } = spec;
  const own = weights.get(layer)?.find(({ name }) => name === weight);
  if ((initial === "variable" || slot === "average") && own) return asFloat32(own);
  const value = typeof initial === "number" ? initial : 0;
  return float32Tensor(new Float32Array(elementCount(shape)).fill(value), shape);
}

function asFloat32({ data, shape }: Tensor): Tensor {
  return float32Tensor(Float32Array.from(data as ArrayLike<number>, Number), shape);
}

function scalar(name: string, value: number): Weight {
  return { name, ...float32Tensor(Float32Array.of(value), []) };
}
