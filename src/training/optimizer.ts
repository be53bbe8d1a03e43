import { tf } from "../engine/tf.ts";
import { UsageError } from "../errors.ts";
import type { Addends } from "../model/lookup-addends.ts";
import { optionError, optionName } from "../options.ts";
import { clipAll, globalScale } from "./gradient-clipping.ts";
import type { OptimizerConfig } from "./optimizer-config.ts";
import { rateOf } from "./optimizer-config.ts";
import { createMovers } from "./optimizers/mover.ts";
import type { OptimizerState } from "./state.ts";
import type { TensorPlace } from "./tensor-mark.ts";
import { placeIn } from "./tensor-mark.ts";
import type { OptimizerParts, TrainedWeight } from "./trained-weight.ts";
import {
  accumulateGradient,
  decayed,
  keepAverage,
  keyOf,
  meanGradient,
  overwriteByAverage,
  restoreTensors,
  tensorsOf,
  trainedOf,
} from "./trained-weight.ts";

/**
 * Updates the weights it was given and no others, as `apply` in `keras/src/optimizers/base_optimizer.py` does. A weight lives in its
 * layer's record (`holder[name]`): an update replaces it there and disposes the old value.
 */
export interface Optimizer {
  readonly config: OptimizerConfig;
  /** The rate of the coming step. Setting it is refused where the config has a schedule. */
  learningRate: number;
  /** Begins a step: every `apply` until `endStep` belongs to it. */
  beginStep(learningRate?: number): void;
  /** Takes the whole gradient of one weight, whose addends count one by one where there are any. Both stay the caller's. */
  apply(path: string, name: string, gradient: tf.Tensor, addends?: Addends): void;
  /** Ends the step. Until then weights may have moved or not. */
  endStep(): void;
  /** True if the model is judged and saved with moving averages of its weights. */
  readonly keepsAverages: boolean;
  /** Returns the moving average of a weight, which stays the optimizer's; undefined where none is kept. */
  average(path: string, name: string): tf.Tensor | undefined;
  /** Returns the tensors that `state` reads, which stay the optimizer's; none where reading needs no preparation. */
  tensors(): readonly tf.Tensor[];
  /** Returns the places of `tensors` between steps. */
  places(): readonly TensorPlace[];
  /** Returns the state between steps, each tensor of which is read when its values are asked for, until the next step. */
  state(): OptimizerState;
  /** Takes what `state` returned. Weights that it does not name keep what they have. @throws {UsageError} where shapes differ. */
  restore(state: OptimizerState): void;
  dispose(): void;
}

interface Waiting {
  readonly trained: TrainedWeight;
  readonly gradient: tf.Tensor;
  /** The values of the addends, else the gradient. */
  readonly parts: tf.Tensor;
}

export function createOptimizer(config: OptimizerConfig, parts: OptimizerParts): Optimizer {
  const { settings } = config;
  const setting = (name: string): number | null => (settings[name] as number | null) || null;
  const accumulate = setting("gradient_accumulation_steps") ?? 1;
  const globalNorm = setting("global_clipnorm");
  const emaMomentum = settings["use_ema"] === true ? (settings["ema_momentum"] as number) : null;
  const overwriteEvery = setting("ema_overwrite_frequency");
  const scheduled = rateOf(config);
  const movers = createMovers();
  const all = trainedOf(config, parts, movers);
  const waiting: Waiting[] = [];
  let ownRate: number | null = null;
  let iterations = 0;
  let learningRate = 0;

  /** `iterations` of Keras before the step at hand: the updates that are complete. */
  const updates = (): number => Math.floor(iterations / accumulate);
  const isUpdate = (): boolean => (iterations + 1) % accumulate === 0;

  const move = (trained: TrainedWeight, gradient: tf.Tensor, addends: Addends | undefined): void => {
    const { holder, name, mover, weightDecay, rateFactor } = trained;
    const before = holder[name] as tf.Tensor;
    const rate = rateFactor === 1 ? learningRate : learningRate * rateFactor;
    const clipped = clipAll(gradient, addends, setting("clipnorm"), setting("clipvalue"));
    const start = decayed(before, weightDecay, rate);
    if (start !== before) before.dispose();
    holder[name] = tf.keep(mover.move(start, clipped.gradient, rate, updates() + 1, clipped.addends));
    if (clipped.gradient !== gradient) clipped.gradient.dispose();
    if (clipped.addends !== addends) clipped.addends?.values.dispose();
  };
  /** Finishes the update, or the step that only adds to the gradient. */
  const settle = (trained: TrainedWeight): void => {
    if (emaMomentum !== null) {
      keepAverage(trained, updates() === 0 ? 0 : emaMomentum);
      if (overwriteEvery !== null && (updates() + 1) % overwriteEvery === 0) overwriteByAverage(trained);
    }
    const { holder, name, constraint } = trained;
    const value = holder[name] as tf.Tensor;
    if (!constraint) return;
    holder[name] = tf.keep(constraint(value));
    value.dispose();
  };
  /** Moves a weight by the mean gradient of the steps that make the update. */
  const update = (trained: TrainedWeight, gradient: tf.Tensor, addends: Addends | undefined): void => {
    if (accumulate === 1) {
      move(trained, gradient, addends);
    } else if (!isUpdate()) {
      accumulateGradient(trained, gradient);
    } else {
      const mean = meanGradient(trained, gradient, accumulate);
      move(trained, mean, undefined);
      mean.dispose();
    }
    settle(trained);
  };
  const scaleTogether = (): void => {
    const means = waiting.splice(0).map(({ trained, gradient, parts }) => {
      if (accumulate === 1) return { trained, gradient, parts };
      const mean = meanGradient(trained, gradient, accumulate);
      tf.dispose([gradient, parts]);
      return { trained, gradient: mean, parts: mean.clone() };
    });
    const scale = globalScale(
      means.map(({ parts }) => parts),
      globalNorm ?? 0,
    );
    for (const { trained, gradient, parts } of means) {
      const scaled = tf.mul(gradient, scale);
      move(trained, scaled, undefined);
      settle(trained);
      tf.dispose([scaled, gradient, parts]);
    }
    scale.dispose();
  };

  return {
    config,
    keepsAverages: emaMomentum !== null,
    get learningRate() {
      return ownRate ?? scheduled(iterations);
    },
    set learningRate(rate: number) {
      if (typeof settings["learning_rate"] !== "number") {
        throw new UsageError(
          `${optionName("learningRate")}: expected an optimizer whose rate is a number, got ${config.className} with a schedule, which sets it. Give the optimizer a number to set it.`,
          "learning-rate-scheduled",
          "learningRate",
        );
      }
      if (!(rate >= 0 && rate < Infinity)) {
        throw optionError("learningRate", "a number of 0 or more", rate, { code: "learning-rate" });
      }
      ownRate = rate;
    },
    beginStep: (rate) => {
      learningRate = rate ?? ownRate ?? scheduled(iterations);
    },
    apply: (path, name, gradient, addends) => {
      const trained = all.get(keyOf(path, name));
      if (!trained) throw new Error(`optimizer: ${path}/${name} is not trained`);
      if (globalNorm === null || !isUpdate()) update(trained, gradient, addends);
      else
        waiting.push({ trained, gradient: gradient.clone(), parts: (addends?.values ?? gradient).clone() });
    },
    endStep: () => {
      if (waiting.length > 0) scaleTogether();
      iterations++;
    },
    average: (path, name) => all.get(keyOf(path, name))?.average,
    tensors: () =>
      [...all.values()].flatMap(({ mover, accumulated, average }) =>
        [...mover.tensors(), accumulated, average].filter((tensor) => tensor !== undefined),
      ),
    places: () =>
      [...all.values()].flatMap((trained) => [
        ...trained.mover.places(),
        placeIn<"accumulated">(trained, "accumulated"),
        placeIn<"average">(trained, "average"),
      ]),
    state: () => ({
      className: config.className,
      iterations,
      learningRate: ownRate,
      slots: [...all.values()].map((trained) => ({
        layer: trained.path,
        weight: trained.name,
        tensors: tensorsOf(trained),
      })),
    }),
    restore: (state) => {
      ({ iterations, learningRate: ownRate } = state);
      for (const { layer, weight, tensors } of state.slots) {
        const trained = all.get(keyOf(layer, weight));
        if (trained) restoreTensors(trained, tensors);
      }
    },
    dispose: () => {
      for (const { mover, accumulated, average } of all.values()) {
        mover.dispose();
        tf.dispose([accumulated, average].filter((tensor) => tensor !== undefined));
      }
      for (const { gradient, parts } of waiting) tf.dispose([gradient, parts]);
      movers.dispose();
      all.clear();
    },
  };
}
