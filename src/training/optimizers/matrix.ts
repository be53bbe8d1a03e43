/** Optimizers that treat a kernel as a matrix: Adafactor and Muon. */
import { tf } from "../../engine/tf.ts";
import { adamRule } from "./adam.ts";
import type { OptimizerClass, UpdateRule } from "./update-rule.ts";
import { float32, numberSetting, slotOf, squaredGradient } from "./update-rule.ts";

/** `keras/src/optimizers/adafactor.py` */
export const adafactor: OptimizerClass = {
  className: "Adafactor",
  defaults: {
    learning_rate: 0.001,
    beta_2_decay: -0.8,
    epsilon_1: 1e-30,
    epsilon_2: 1e-3,
    clip_threshold: 1,
    relative_step: true,
  },
  rule: (settings, { shape }) => {
    const [epsilon1, epsilon2] = [numberSetting(settings, "epsilon_1"), numberSetting(settings, "epsilon_2")];
    const threshold = numberSetting(settings, "clip_threshold");
    const betaDecay = numberSetting(settings, "beta_2_decay");
    const isFactored = shape.length >= 2;
    const rootMeanSquare = (x: tf.Tensor): tf.Tensor => tf.sqrt(tf.mean(tf.square(x)));
    const factors = {
      row_average: { shape: shape.slice(0, -1), initial: 0 },
      column_average: { shape: [...shape.slice(0, -2), ...shape.slice(-1)], initial: 0 },
    };
    return {
      slots: { ...(isFactored && factors), velocity: { shape, initial: 0 } },
      apply: (update) => {
        const { variable, gradient, slots, learningRate, step } = update;
        const rate = Math.min(learningRate, float32(1 / float32(Math.sqrt(step))));
        const beta = float32(1 - float32(step ** float32(betaDecay)));
        const squared = tf.add(squaredGradient(update), epsilon1);
        const averaged = (slot: string, value: tf.Tensor): tf.Tensor =>
          tf.add(tf.mul(slotOf(slots, slot), beta), tf.mul(value, float32(1 - beta)));
        const alpha = tf.mul(tf.maximum(rootMeanSquare(variable), epsilon2), rate);
        const moved = ((): { velocity: tf.Tensor; row_average?: tf.Tensor; column_average?: tf.Tensor } => {
          if (!isFactored) return { velocity: averaged("velocity", squared) };
          const rows = averaged("row_average", tf.mean(squared, -1));
          const columns = averaged("column_average", tf.mean(squared, -2));
          const shares = tf.div(rows, tf.mean(rows, -1, true));
          const velocity = tf.mul(tf.expandDims(shares, -1), tf.expandDims(columns, -2));
          return { row_average: rows, column_average: columns, velocity };
        })();
        const direction = tf.div(gradient, tf.sqrt(moved.velocity));
        const length = update.addends
          ? tf.sqrt(tf.mean(tf.div(squaredGradient(update), moved.velocity)))
          : rootMeanSquare(direction);
        const clipped = tf.div(direction, tf.maximum(tf.div(length, threshold), 1));
        return { variable: tf.sub(variable, tf.mul(alpha, clipped)), slots: { ...moved } };
      },
    };
  },
};

/** `keras/src/optimizers/muon.py`: matrices move by their orthogonalized momentum, everything else by Adam. */
export const muon: OptimizerClass = {
  className: "Muon",
  defaults: {
    learning_rate: 0.001,
    adam_beta_1: 0.9,
    adam_beta_2: 0.999,
    adam_weight_decay: 0.004,
    epsilon: 1e-7,
    weight_decay: 0.004,
    exclude_layers: null,
    exclude_embeddings: true,
    muon_a: 3.4445,
    muon_b: -4.775,
    muon_c: 2.0315,
    adam_lr_ratio: 1,
    momentum: 0.95,
    ns_steps: 5,
    nesterov: true,
    rms_rate: 0.2,
  },
  rule: (settings, variable) => {
    const excluded = (settings["exclude_layers"] ?? []) as readonly string[];
    const isExcluded =
      (settings["exclude_embeddings"] === true && variable.path.toLowerCase().includes("embedding")) ||
      excluded.some((pattern) => new RegExp(pattern).test(variable.path));
    if (variable.shape.length === 2 && !isExcluded) return orthogonalRule(settings, variable.shape);
    const moments = {
      beta1: numberSetting(settings, "adam_beta_1"),
      beta2: numberSetting(settings, "adam_beta_2"),
      epsilon: numberSetting(settings, "epsilon"),
    };
    const ratio = numberSetting(settings, "adam_lr_ratio");
    const { slots, apply } = adamRule(moments, false, variable);
    return {
      slots,
      apply: (update) => apply({ ...update, learningRate: float32(update.learningRate * ratio) }),
      weightDecay: settings["adam_weight_decay"] as number | null,
    };
  },
};

function orthogonalRule(
  settings: Parameters<OptimizerClass["rule"]>[0],
  shape: readonly number[],
): UpdateRule {
  const momentum = numberSetting(settings, "momentum");
  const [a, b, c] = ["muon_a", "muon_b", "muon_c"].map((name) => numberSetting(settings, name)) as [
    number,
    number,
    number,
  ];
  const steps = numberSetting(settings, "ns_steps");
  const rmsRate = settings["rms_rate"] as number | null;
  const [rows = 1, columns = 1] = shape;
  /** Newton and Schulz's iteration (`zeropower_via_newtonschulz5`). */
  const orthogonalized = (matrix: tf.Tensor): tf.Tensor => {
    const isTall = rows > columns;
    const wide = isTall ? tf.transpose(matrix) : matrix;
    const length = tf.add(tf.sqrt(tf.sum(tf.square(wide))), 1e-7);
    let x = tf.div(wide, length);
    for (let step = 0; step < steps; step++) {
      const product = tf.matMul(x, x, false, true);
      const polynomial = tf.add(tf.mul(product, b), tf.matMul(tf.mul(product, c), product));
      x = tf.add(tf.mul(x, a), tf.matMul(polynomial, x));
    }
    return isTall ? tf.transpose(x) : x;
  };
  const scale = rmsRate === null ? 1 : float32(float32(Math.sqrt(Math.max(rows, columns))) * rmsRate);
  return {
    slots: { momentum: { shape, initial: 0 } },
    apply: ({ variable, gradient, slots, learningRate }) => {
      const before = slotOf(slots, "momentum");
      const moved = tf.add(before, tf.add(gradient, tf.mul(before, momentum - 1)));
      const direction = settings["nesterov"] === true ? tf.add(gradient, tf.mul(moved, momentum)) : moved;
      const change = tf.mul(tf.mul(orthogonalized(direction), learningRate), scale);
      return { variable: tf.sub(variable, change), slots: { momentum: moved } };
    },
  };
}
