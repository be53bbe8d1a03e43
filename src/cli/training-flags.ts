import type { OptionFlags } from "./flag.ts";
import { sets, setsList } from "./flag.ts";
import { byteSize, listOrJson, nameOrJson, number, phase } from "./values.ts";

/** Headings of the help, whose order `help.ts` has. */
const training = "Training";
const rate = "Optimizer and rate";
const augmentation = "Augmentation";

/** The flag of every command that runs a model on samples. */
export const memoryFlag: OptionFlags = {
  memory: sets(
    "memory",
    "Memory that the process may take, such as 4GB: fewer samples run together where it is little; steps of a training are accumulated to the same updates",
    "SIZE",
    { group: "Machine", read: byteSize, otherwise: "unlimited" },
  ),
};

/** Flags of the training. */
export const trainingFlags: OptionFlags = {
  epochs: sets("epochs", "Passes over the training data, of all phases together", "N", {
    group: training,
    read: number,
    otherwise: "10, or those of the phases",
  }),
  phase: setsList(
    "phases",
    "A phase of its own; may be repeated. CUT is a value of --freeze-until, head, or none; also schedule=NAME warmup=N",
    '"CUT epochs=N lr=R"',
    { group: training, read: phase, otherwise: "one phase" },
  ),
  recipe: sets(
    "recipe",
    "transfer: the head alone in a third of the epochs, then the cut of --freeze-until at a tenth of the rate, with a warm-up. gradual: from the head one stage more in each phase to --freeze-until, rates decaying by stage",
    "NAME",
    { group: training, otherwise: "none" },
  ),
  "batch-size": sets("batchSize", "Samples in a step", "N", { group: training, read: number }),
  lr: sets("learningRate", "Learning rate", "RATE", {
    group: rate,
    read: number,
    otherwise: "0.001 if only new layers train, else 0.0001",
  }),
  optimizer: sets(
    "optimizer",
    "Keras optimizer, by name with Keras's settings, or as JSON config; file: the one in the model's file, with its slots",
    "NAME|file|JSON",
    {
      group: rate,
      read: nameOrJson,
    },
  ),
  schedule: sets(
    "schedule",
    "Course of the rate over the steps: constant, cosine, linear, exponential, one-cycle, plateau, or a Keras schedule as JSON config",
    "NAME|JSON",
    { group: rate, read: nameOrJson },
  ),
  warmup: sets("warmup", "Steps in which the rate rises from 0; below 1 a share of the phase's steps", "N", {
    group: rate,
    read: number,
  }),
  momentum: sets("momentum", "Momentum of SGD, RMSprop or Muon", "M", {
    group: rate,
    read: number,
    otherwise: "the optimizer's",
  }),
  "weight-decay": sets("weightDecay", "Share of each weight that an update takes away, times the rate", "W", {
    group: rate,
    read: number,
    otherwise: "the optimizer's",
  }),
  "layer-decay": sets(
    "layerDecay",
    "Factor on the rate of each stage, once for every stage after it; the head has the whole rate",
    "F",
    { group: rate, read: number, otherwise: "off" },
  ),
  "clip-norm": sets("clipNorm", "Longest gradient of one weight, as Keras's clipnorm", "N", {
    group: rate,
    read: number,
    otherwise: "off",
  }),
  "clip-value": sets("clipValue", "Largest element of a gradient, as Keras's clipvalue", "N", {
    group: rate,
    read: number,
    otherwise: "off",
  }),
  "global-clip-norm": sets(
    "globalClipNorm",
    "Longest gradient of all weights together, as Keras's global_clipnorm",
    "N",
    { group: rate, read: number, otherwise: "off" },
  ),
  accumulate: sets("accumulate", "Steps whose gradients make one update", "N", {
    group: rate,
    read: number,
  }),
  ...memoryFlag,
  precision: sets(
    "precision",
    "Arithmetic of convolutions and matrix products: bf16 is faster and less exact, on the native engine and a processor that has it",
    "TYPE",
    { group: "Machine", otherwise: "float32" },
  ),
  ema: sets(
    "ema",
    "Decay of a moving average of the weights, such as 0.999, by which the model is judged and saved",
    "DECAY",
    { group: rate, read: number, otherwise: "off" },
  ),
  augment: sets(
    "augment",
    "Variation of training images: light, medium, strong, or a list such as flip,rotate=10,zoom=0.1,crop,brightness=0.2 (see docs/augmentation.md)",
    "LIST",
    { group: augmentation, read: listOrJson, otherwise: "none" },
  ),
  views: sets(
    "views",
    "Cached variants of each training image that epochs take in turn; 0 draws fresh ones in each epoch and caches none",
    "K",
    { group: augmentation, read: number, otherwise: "4 with --augment" },
  ),
  patience: sets(
    "patience",
    "End the phase after N epochs without a better --monitor; the best epoch is saved either way",
    "N",
    { group: training, read: number, otherwise: "off" },
  ),
  monitor: sets("monitor", "Figure that tells the best epoch, such as val_accuracy", "NAME", {
    group: training,
    otherwise: "val_loss",
  }),
  "min-delta": sets("minDelta", "Least improvement of --monitor that counts for --patience", "D", {
    group: training,
    read: number,
  }),
  "max-time": sets(
    "maxTime",
    "Time that the run may take, such as 20m: no epoch is begun that would pass it",
    "TIME",
    {
      group: training,
      otherwise: "off",
    },
  ),
  seed: sets(
    "seed",
    "Seed of the new head, the order of samples and dropout: same seed, engine and machine, same weights",
    "N",
    { group: training, read: number },
  ),
};
