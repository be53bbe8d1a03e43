import type { Json, JsonObject } from "../../checkpoint.ts";
import { customSpecOf } from "../custom-layers.ts";
import type { LayerGraph } from "../layer-graph.ts";

/**
 * @file Layer classes of well-known packages that are one of Keras's, or that have a spec here, by the definition that
 * the package published. Classes of these names with other arguments are somebody else's.
 */

/** A class of a package, as it runs here. */
export interface PackageLayer {
  readonly className: string;
  /** Config of that class in Keras 3's vocabulary. */
  readonly config: JsonObject;
}

interface PackageClass {
  /** Name in files: with its package, or bare in any module and package. */
  readonly written: string;
  /** Package that defines it. */
  readonly from: string;
  readonly className: string;
  /** Arguments that the package's config has, by which its class is told from others of the name. */
  readonly has?: readonly string[];
  /** Returns the config, or undefined for arguments with which it is no layer of `className`. */
  readonly config?: (config: JsonObject) => JsonObject | undefined;
}

const plain = (written: string, from: string, className: string): PackageClass => ({
  written,
  from,
  className,
});

/** An activation as a layer class of its own. */
const activation = (written: string, name: string): PackageClass => ({
  written,
  from: "several packages",
  className: "Activation",
  config: (config) => ({ ...common(config), activation: name }),
});

/** A class of tensorflow_addons with the arguments of Keras's class of the same name. */
const addon = (name: string): PackageClass => plain(`Addons>${name}`, "tensorflow_addons", name);

/** Every known class of a package, in the order of the docs. */
export const packageClasses: readonly PackageClass[] = [
  plain("FixedDropout", "efficientnet and segmentation_models", "Dropout"),
  {
    written: "CastToFloat32",
    from: "autokeras",
    className: "Activation",
    config: (config) => ({ ...common(config), activation: "linear" }),
  },
  plain("ExpandLastDim", "autokeras", "autokeras>ExpandLastDim"),
  addon("GroupNormalization"),
  {
    written: "Addons>InstanceNormalization",
    from: "tensorflow_addons",
    className: "GroupNormalization",
    config: (config) => ({ ...config, groups: -1 }),
  },
  plain("Addons>WeightNormalization", "tensorflow_addons", "Addons>WeightNormalization"),
  addon("SpectralNormalization"),
  {
    written: "Addons>GELU",
    from: "tensorflow_addons",
    className: "ops.Gelu",
  },
  ...["Average", "Max"].flatMap((kind) => [1, 2, 3].map((rank) => addon(`Adaptive${kind}Pooling${rank}D`))),
  {
    ...plain("InstanceNormalization", "keras_contrib", "keras_contrib>InstanceNormalization"),
    has: ["axis", "epsilon", "center", "scale"],
  },
  { ...plain("L2Normalization", "ssd_keras", "ssd_keras>L2Normalization"), has: ["gamma_init"] },
  {
    ...plain("Scale", "the DenseNet and ResNet-152 of Caffe in Keras 1", "caffe_keras>Scale"),
    has: ["momentum", "axis"],
  },
  {
    ...plain("BilinearUpsampling", "keras-deeplab-v3-plus", "keras_deeplab>BilinearUpsampling"),
    has: ["upsampling", "output_size"],
  },
  {
    ...plain("BatchNorm", "Mask R-CNN of Matterport", "BatchNormalization"),
    has: ["moving_mean_initializer"],
  },
  {
    ...plain("FrozenBatchNormalization", "several packages", "BatchNormalization"),
    has: ["moving_mean_initializer"],
    config: (config) => ({ ...config, trainable: false }),
  },
  activation("Swish", "silu"),
  activation("Mish", "mish"),
  activation("HardSwish", "hard_silu"),
  activation("Hswish", "hard_silu"),
  activation("Relu6", "relu6"),
];

/** The arguments that every layer has. */
function common({ name = null, trainable = true, dtype = "float32" }: JsonObject): JsonObject {
  return { name, trainable, dtype };
}

/**
 * Returns the layer that a class of a well-known package is, undefined for any other class and for one that the program
 * has registered itself.
 */
export function packageLayer(className: string, config: JsonObject): PackageLayer | undefined {
  const found = packageClassOf(className, config);
  const own = found && (found.config ?? ((given: JsonObject) => given))(config);
  return found && own && { className: found.className, config: own };
}

function packageClassOf(className: string, config: JsonObject): PackageClass | undefined {
  if (customSpecOf(className)) return undefined;
  const bare = className.slice(className.indexOf(">") + 1);
  return packageClasses.find(
    ({ written, has = [] }) =>
      (written === className || written === bare) && has.every((argument) => argument in config),
  );
}

/** Lists the classes of packages in a graph, one sentence each: what they run as, and their layers. */
export function packageWarnings({ layers }: Pick<LayerGraph, "layers">): readonly string[] {
  const known = layers.filter(({ config }) => typeof config[writtenAs] === "string");
  const classes = new Set(known.map(({ config }) => String(config[writtenAs])));
  return [...classes].map((written) => {
    const own = known.filter(({ config }) => config[writtenAs] === written);
    const [first] = own;
    const from = (first && packageClassOf(written, first.config)?.from) ?? "a package";
    const className = first?.className ?? "";
    const runs = className.includes(">") ? "as that package defines it" : `as Keras's ${className}`;
    const shown = own.slice(0, 3).map(({ path }) => path);
    const more = own.length > shown.length ? ` and ${own.length - shown.length} more` : "";
    return `${written} is taken for the class of ${from}, which runs ${runs}: ${shown.join(", ")}${more}. If it is another class, register it (docs/custom-layers.md).`;
  });
}

/** The key under which a layer's config keeps the class that the file names. */
export const writtenAs = "written_as";

/** Activations of packages by the names that files have for them. */
const activations: Readonly<Record<string, string>> = {
  swish: "silu",
  hswish: "hard_silu",
  h_swish: "hard_silu",
  hard_swish: "hard_silu",
  relu6: "relu6",
  mish: "mish",
  gelu: "gelu",
  hardshrink: "hard_shrink",
  softshrink: "soft_shrink",
  tanhshrink: "tanh_shrink",
  sparsemax: "sparsemax",
};

/**
 * Returns Keras 3's name of an activation that a package registered, such as `Custom>swish` or `Addons>mish`; undefined
 * for any other. A bare name is Keras's own if Keras has it.
 */
export function packageActivation(name: Json): string | undefined {
  if (typeof name !== "string") return undefined;
  const [, own] = /^(?:Custom>|Addons>)?(\w+)$/.exec(name) ?? [];
  return own === undefined ? undefined : activations[own];
}
