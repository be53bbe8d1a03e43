/** Names that Keras, fastai, Ultralytics, timm, Hugging Face and Lightning give to options, by ours. None of them is accepted. */
export const optionsElsewhere: Readonly<Record<string, string>> = {
  model:
    "m weights checkpoint ckpt network net backbone base-model model-path pretrained input-model init-from",
  arch: "architecture model-name model-type application",
  data: "d dataset train data-dir dataset-dir train-dir data-path train-data dir folder images image-dir input source",
  masks: "mask mask-dir segmentation annotations",
  valFraction:
    "val validation val-split validation-split validation-data val-size test-size valid-pct holdout val-ratio",
  imageSize: "imgsz img-size input-size input-shape size resolution target-size crop-size img resize",
  preprocess: "preprocessing normalize normalization rescale scale mean std preprocess-input",
  x: "x-col inputs features feature-columns text-column image-column input-column",
  targets: "y y-col label label-col label-column labels target target-column class-column",
  metrics: "metric eval-metric",
  loss: "criterion loss-fn loss-function objective",
  labelSmoothing: "smoothing label-smooth",
  classWeight: "class-weights balanced balance pos-weight",
  classes: "num-classes n-classes nc num-labels",
  bnMode: "bn freeze-bn batchnorm batch-norm frozen-bn train-bn",
  epochs: "e epoch n-epoch nb-epoch num-epochs n-epochs max-epochs num-train-epochs iterations",
  batchSize: "b bs batch batchsize train-batch-size per-device-train-batch-size",
  patience: "early-stop early-stopping early-stopping-patience stop-patience",
  monitor: "early-stopping-monitor metric-for-best-model best-metric",
  maxTime: "time timeout time-limit max-duration",
  seed: "random-seed random-state manual-seed",
  learningRate: "lr learning-rate lr0 base-lr rate eta initial-learning-rate",
  optimizer: "opt optim solver",
  schedule:
    "scheduler lr-scheduler lr-schedule sched lr-scheduler-type cosine cos-lr reduce-lr-on-plateau decay",
  warmup: "warmup-steps warmup-epochs warm-up warmup-ratio warmup-lr",
  weightDecay: "wd l2 decay-rate",
  layerDecay: "llrd discriminative-lr layerwise-lr-decay lr-decay-rate",
  clipNorm: "clipnorm",
  clipValue: "clipvalue gradient-clip-val",
  globalClipNorm: "clip clip-grad grad-clip gradient-clip gradient-clipping max-grad-norm global-clipnorm",
  accumulate: "accum grad-accum gradient-accumulation accumulate-grad-batches gradient-accumulation-steps",
  ema: "model-ema ema-decay use-ema ema-momentum",
  augment:
    "aug augmentation augmentations data-augmentation transforms mixup cutmix flip rotate hflip randaugment aa",
  views: "cache-views n-views",
  memory: "mem max-memory memory-limit ram max-ram gpu-memory",
  cache: "cache-dir feature-cache",
  cacheMax: "cache-size max-cache cache-limit",
  cacheDtype: "feature-dtype",
  outputFormat: "format output-format save-format export-format ext",
  precision: "bf16 bfloat16 fp16 half amp mixed-precision tf32",
  out: "o output output-dir out-dir save save-dir project name logdir log-dir run-dir destination",
  overwrite: "f force exist-ok yes clobber",
  saveEvery: "save-period save-steps checkpoint-every save-freq",
  tensorboard: "tb tensor-board log",
  useEngine: "engine threads verbose",
};

/**
 * Returns the option that another tool calls `name`, in any spelling: `learning_rate`, `learningRate`, `learning-rate`. Undefined for
 * names that are nowhere an option of ours.
 */
export function optionElsewhere(name: string): string | undefined {
  return nameElsewhere(name, optionsElsewhere);
}

/** Returns the key of a table whose text has the name, in any spelling. */
export function nameElsewhere(name: string, table: Readonly<Record<string, string>>): string | undefined {
  const plain = name
    .replace(/([a-z])([A-Z])/g, "$1-$2")
    .replaceAll("_", "-")
    .toLowerCase();
  return Object.keys(table).find((own) => table[own]?.split(" ").includes(plain));
}
