import type { Json, JsonObject } from "../../checkpoint.ts";
import { isObject } from "../config-values.ts";
import type { Dialect } from "../dialects/dialect.ts";
import { inModule } from "./keras-modules.ts";

/**
 * Translates a compile config to another dialect. Metrics that cannot be translated are left out.
 * @returns The translated config, undefined if Keras 3 has no such optimizer or loss. Keras then opens the model
 * uncompiled.
 */
export function translateCompileConfig(
  training: JsonObject,
  from: Dialect,
  to: Dialect,
): JsonObject | undefined {
  if (from === to) return training;
  const { optimizer: inArchive, optimizer_config, loss, metrics, weighted_metrics, ...rest } = training;
  const written = optimizerObject(inArchive ?? optimizer_config ?? null);
  if (!written) return undefined;
  if (to === "keras3-h5" || to === "keras2") {
    const { optimizer: _archive, ...others } = training;
    const { class_name, config } = written;
    const own = { class_name: class_name ?? null, config: config ?? {} };
    return { ...others, optimizer_config: from === "keras2-archive" ? asNewOptimizer(own) : own };
  }
  if (to !== "keras3") return undefined;
  if (from === "keras3-h5") {
    return {
      optimizer: inModule(written, "keras.optimizers"),
      ...rest,
      loss: nested(loss ?? null, (object) => classInModule(object, "keras.losses")) ?? null,
      metrics: nested(metrics ?? null, (object) => classInModule(object, "keras.metrics")) ?? null,
      weighted_metrics:
        nested(weighted_metrics ?? null, (object) => classInModule(object, "keras.metrics")) ?? null,
    };
  }
  const optimizer = keras3Optimizer(written);
  const translated = nested(loss ?? null, keras3Loss);
  if (!optimizer || translated === undefined) return undefined;
  return {
    optimizer,
    loss: translated,
    loss_weights: rest["loss_weights"] ?? null,
    metrics: keras3Metrics(metrics ?? null),
    weighted_metrics: keras3Metrics(weighted_metrics ?? null),
    run_eagerly: false,
    steps_per_execution: 1,
    jit_compile: false,
  };
}

/**
 * Marks an optimizer as one of the new ones. Keras 2.11 to 2.15 have two optimizers of each name; their `.keras` holds
 * only new ones, while their `.h5` states which of the two it holds.
 */
function asNewOptimizer({ class_name: name, config }: JsonObject): JsonObject {
  const className = typeof name === "string" && name in optimizers ? `Custom>${name}` : (name ?? null);
  return { class_name: className, config: { ...(config as JsonObject), is_legacy_optimizer: false } };
}

const commonArguments =
  "name learning_rate weight_decay clipnorm clipvalue global_clipnorm use_ema ema_momentum ema_overwrite_frequency";
const optimizers: Readonly<Record<string, string>> = {
  SGD: "momentum nesterov",
  RMSprop: "rho momentum epsilon centered",
  Adam: "beta_1 beta_2 epsilon amsgrad",
  AdamW: "beta_1 beta_2 epsilon amsgrad",
  Adadelta: "rho epsilon",
  Adagrad: "initial_accumulator_value epsilon",
  Adamax: "beta_1 beta_2 epsilon",
  Nadam: "beta_1 beta_2 epsilon",
  Ftrl: "learning_rate_power initial_accumulator_value l1_regularization_strength l2_regularization_strength l2_shrinkage_regularization_strength beta",
  Adafactor: "beta_2_decay epsilon_1 epsilon_2 clip_threshold relative_step",
  Lion: "beta_1 beta_2",
};

/**
 * Returns the optimizer's serialized object. A bare name, such as `adam`, becomes an object with default arguments.
 */
function optimizerObject(optimizer: Json): JsonObject | undefined {
  if (isObject(optimizer)) return optimizer;
  const name = Object.keys(optimizers).find(
    (known) => known.toLowerCase() === String(optimizer).toLowerCase(),
  );
  return name === undefined ? undefined : { class_name: name, config: { name } };
}

function keras3Optimizer(optimizer: JsonObject): JsonObject | undefined {
  const className = String(optimizer["class_name"]).replace(/^.*>/, "");
  const own = optimizers[className];
  if (own === undefined || !isObject(optimizer["config"])) return undefined;
  const known = new Set([...commonArguments.split(" "), ...own.split(" ")]);
  const config: Record<string, Json> = { ...optimizer["config"] };
  const rate = "learning_rate" in config ? config["learning_rate"] : config["lr"];
  if (rate !== undefined) {
    config["learning_rate"] = isObject(rate) ? inModule(rate, "keras.optimizers.schedules") : rate;
  }
  for (const [key, value] of Object.entries(config)) {
    if (!known.has(key) || (value === null && key === "epsilon")) delete config[key];
  }
  return inModule({ class_name: className, config }, "keras.optimizers");
}

function classInModule(object: Json, module: string): Json {
  return isObject(object) && !("module" in object) ? inModule(object, module) : object;
}

const losses: ReadonlySet<string> = new Set(
  `BinaryCrossentropy BinaryFocalCrossentropy CategoricalCrossentropy CategoricalFocalCrossentropy CategoricalHinge
   CosineSimilarity Hinge Huber KLDivergence LogCosh MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredError
   MeanSquaredLogarithmicError Poisson SparseCategoricalCrossentropy SquaredHinge KLD MAE MAPE MSE MSLE BCE
   bce binary_crossentropy binary_focal_crossentropy categorical_crossentropy categorical_focal_crossentropy
   categorical_hinge cosine_similarity hinge huber kl_divergence kld log_cosh mae mape mean_absolute_error
   mean_absolute_percentage_error mean_squared_error mean_squared_logarithmic_error mse msle poisson
   sparse_categorical_crossentropy squared_hinge`.split(/\s+/),
);

function keras3Loss(loss: Json): Json | undefined {
  if (loss === null) return null;
  if (typeof loss === "string") return losses.has(loss) ? loss : undefined;
  if (!isObject(loss) || !isObject(loss["config"])) return undefined;
  const className = String(loss["class_name"]);
  if (!losses.has(className)) return undefined;
  const { fn: _function, reduction, ...config } = loss["config"];
  const kept = reduction === "auto" || reduction === undefined ? "sum_over_batch_size" : reduction;
  return inModule({ class_name: className, config: { ...config, reduction: kept } }, "keras.losses");
}

const metricNames: ReadonlySet<string> = new Set(
  `accuracy acc binary_accuracy categorical_accuracy sparse_categorical_accuracy top_k_categorical_accuracy
   sparse_top_k_categorical_accuracy mse mae mape msle mean_squared_error mean_absolute_error binary_crossentropy
   categorical_crossentropy sparse_categorical_crossentropy cosine_similarity`.split(/\s+/),
);

/** Keeps metrics that one name describes. Any other could keep the model from loading, only to report a number. */
function keras3Metrics(metrics: Json): Json {
  const name = (metric: Json): Json | undefined => {
    if (typeof metric === "string") return metricNames.has(metric) ? metric : undefined;
    if (!isObject(metric) || !isObject(metric["config"])) return undefined;
    const config = metric["config"];
    return name(config["name"] ?? null) ?? name(config["fn"] ?? null);
  };
  const translated = nested(metrics, name);
  const [only, ...others]: readonly Json[] = Array.isArray(translated) ? translated : [];
  return others.length === 0 && Array.isArray(only) ? only : (translated ?? null);
}

/** Applies `translate` to each object in lists and records. Returns undefined if it does for one of them. */
function nested(json: Json, translate: (object: Json) => Json | undefined): Json | undefined {
  if (Array.isArray(json)) {
    const items = (json as readonly Json[]).map((item) => nested(item, translate));
    return items.includes(undefined) ? undefined : (items as Json[]);
  }
  if (isObject(json) && !("class_name" in json)) {
    const entries = Object.entries(json).map(([key, item]) => [key, nested(item, translate)] as const);
    return entries.some(([, item]) => item === undefined)
      ? undefined
      : (Object.fromEntries(entries) as JsonObject);
  }
  return translate(json);
}
