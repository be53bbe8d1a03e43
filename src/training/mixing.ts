/** Samples that are averaged with others, and their targets with them (mixup, Zhang et al. 2018; `keras/src/layers/preprocessing/image_preprocessing/mix_up.py`). */
import type { SampleRows } from "../features/sample-rows.ts";
import { drawsFrom } from "../layers/random-images/draws.ts";
import { seedOf, shuffled } from "../random.ts";
import type { Tensor } from "../tensor.ts";
import { elementCount, float32Tensor, toFloat32 } from "../tensor.ts";
import type { Callback } from "./callbacks/callback.ts";
import type { Examples } from "./example-set.ts";
import { sampleCount } from "./example-set.ts";

/** With which sample each is mixed, and how much of it stays. */
export interface Mixing {
  /** For each row, the row that it is mixed with; itself where it is not. */
  readonly partners: ArrayLike<number>;
  /** For each row, the share of its own that stays. */
  readonly kept: Float32Array;
}

/**
 * Averages the features and the targets of samples with those of others, anew in each epoch: the share that stays is drawn from
 * Beta(alpha, alpha) for each sample, the others by a permutation. The same seed and epoch mix the same on every machine.
 */
export function mixup({ alpha, seed }: { readonly alpha: number; readonly seed: number }): Callback {
  return {
    name: "mixup",
    examples: (epoch, given) => {
      const mixing = drawnMixing(sampleCount(given), { alpha, seed, epoch });
      const features = given.features.map((rows) => mixedRows(rows, mixing));
      return { ...withMixedTargets(given, mixing), features };
    },
  };
}

/** Draws how the samples of one epoch are mixed. */
export function drawnMixing(
  count: number,
  { alpha, seed, epoch }: { readonly alpha: number; readonly seed: number; readonly epoch: number },
): Mixing {
  const draws = drawsFrom(seedOf(`mixup ${seed} ${epoch}`));
  const partners = shuffled(count, (bound) => draws.integer(0, bound));
  return { partners, kept: Float32Array.from({ length: count }, () => draws.beta(alpha, alpha)) };
}

/** Returns the samples with their targets and weights mixed; their features stay. */
export function withMixedTargets(given: Examples, mixing: Mixing): Examples {
  const mixed = given.targets.map(
    (own) =>
      own && {
        targets: mixedTensor(own.targets, mixing),
        ...(own.weights && { weights: mixedTensor(own.weights, mixing) }),
      },
  );
  return { ...given, targets: mixed };
}

/** Returns rows that are mixed when they are picked. */
function mixedRows(rows: SampleRows, { partners, kept }: Mixing): SampleRows {
  return {
    ...rows,
    pick: async (picked) => {
      const chosen = Array.from(picked);
      const own = await rows.pick(chosen);
      const others = await rows.pick(chosen.map((row) => partners[row] ?? row));
      const size = elementCount(own.shape.slice(1));
      const share = (index: number): number => kept[chosen[Math.floor(index / size)] ?? 0] ?? 1;
      return float32Tensor(averaged(toFloat32(own), toFloat32(others), share), own.shape);
    },
  };
}

function mixedTensor(tensor: Tensor, { partners, kept }: Mixing): Tensor {
  const own = toFloat32(tensor);
  const size = elementCount(tensor.shape.slice(1));
  const others = new Float32Array(own.length);
  for (let row = 0; row < kept.length; row++) {
    const from = (partners[row] ?? row) * size;
    others.set(own.subarray(from, from + size), row * size);
  }
  return float32Tensor(
    averaged(own, others, (index) => kept[Math.floor(index / size)] ?? 1),
    tensor.shape,
  );
}

function averaged(own: Float32Array, others: Float32Array, share: (index: number) => number): Float32Array {
  return own.map((value, index) => {
    const stays = share(index);
    return stays * value + (1 - stays) * (others[index] ?? 0);
  });
}
