/** Keras's accuracies (`keras/src/metrics/accuracy_metrics.py`): 1 where a prediction is right, else 0. */
import type { Json } from "../../checkpoint.ts";
import type { MetricBatch, Values } from "./metric.ts";

type Settings = Readonly<Record<string, Json>>;
type ValuesOf = (batch: MetricBatch) => Values;

export const accuracyValues: Readonly<Record<string, (settings: Settings) => ValuesOf>> = {
  accuracy:
    () =>
    ({ targets, outputs }) => ({
      shape: outputs.shape,
      data: filled(outputs.data.length, (index) => targets.data[index] === outputs.data[index]),
    }),
  binary_accuracy:
    (settings) =>
    ({ targets, outputs }) => {
      const threshold = settings["threshold"] as number;
      return {
        shape: outputs.shape,
        data: filled(outputs.data.length, (index) => {
          const isPositive = (outputs.data[index] ?? Number.NaN) > threshold ? 1 : 0;
          return targets.data[index] === isPositive;
        }),
      };
    },
  categorical_accuracy:
    () =>
    ({ targets, outputs }) => {
      const predicted = highest(outputs);
      const truth = highest(targets);
      return {
        shape: outputs.shape.slice(0, -1),
        data: filled(predicted.length, (row) => predicted[row] === truth[row]),
      };
    },
  sparse_categorical_accuracy:
    () =>
    ({ targets, outputs }) => {
      const predicted = highest(outputs);
      return {
        shape: outputs.shape.slice(0, -1),
        data: filled(predicted.length, (row) => predicted[row] === targets.data[row]),
      };
    },
  top_k_categorical_accuracy:
    (settings) =>
    ({ targets, outputs }) =>
      amongTop(outputs, highest(targets), settings["k"] as number),
  sparse_top_k_categorical_accuracy:
    (settings) =>
    ({ targets, outputs }) => {
      const k = settings["k"] as number;
      return settings["from_sorted_ids"] === true
        ? amongFirst(outputs, targets.data, k)
        : amongTop(outputs, targets.data, k);
    },
};

/** Returns the index of the highest value along the last axis; the first of equals. */
export function highest({ shape, data }: Values): Int32Array {
  const units = shape.at(-1) ?? 1;
  const found = new Int32Array(data.length / units);
  for (let row = 0; row < found.length; row++) {
    let best = 0;
    let top = data[row * units] ?? Number.NaN;
    for (let unit = 1; unit < units; unit++) {
      const value = data[row * units + unit] ?? Number.NaN;
      if (value > top) {
        top = value;
        best = unit;
      }
    }
    found[row] = best;
  }
  return found;
}

/** Right where fewer than `k` scores are higher than the target's, so that ties count (`tf.math.in_top_k`). */
function amongTop({ shape, data }: Values, labels: ArrayLike<number>, k: number): Values {
  const units = shape.at(-1) ?? 1;
  return {
    shape: shape.slice(0, -1),
    data: filled(data.length / units, (row) => {
      const score = data[row * units + (labels[row] ?? 0)] ?? Number.NaN;
      let higher = 0;
      for (let unit = 0; unit < units; unit++) if ((data[row * units + unit] ?? 0) > score) higher++;
      return Number.isFinite(score) && higher < k;
    }),
  };
}

/** Right where the target is one of the first `k` indices of a row. */
function amongFirst({ shape, data }: Values, labels: ArrayLike<number>, k: number): Values {
  const units = shape.at(-1) ?? 1;
  return {
    shape: shape.slice(0, -1),
    data: filled(data.length / units, (row) => {
      for (let place = 0; place < Math.min(k, units); place++) {
        if (data[row * units + place] === labels[row]) return true;
      }
      return false;
    }),
  };
}

function filled(length: number, isRight: (index: number) => boolean): Uint8Array {
  const values = new Uint8Array(length);
  for (let index = 0; index < length; index++) values[index] = isRight(index) ? 1 : 0;
  return values;
}
