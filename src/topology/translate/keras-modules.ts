import type { Json, JsonObject } from "../../checkpoint.ts";
import { isObject } from "../config-values.ts";
import { formerLayers } from "../dialects/class-names.ts";
import { isBuiltIn } from "../layer-specs.ts";
import { isForeign } from "../support.ts";

/**
 * @file The `module` of each class of Keras 3, which `.keras` requires and `.h5` lacks
 * (`keras/src/saving/serialization_lib.py`).
 */

const otherOps: Readonly<Record<string, string>> = {
  core: "AssociativeScan Cast Cond ConvertToTensor ForiLoop Map SaturateCast Scan Scatter ScatterUpdate Slice SliceUpdate StopGradient Switch Unstack VectorizedMap WhileLoop",
  nn: "AdaptiveAveragePool AdaptiveMaxPool AveragePool BatchNorm BinaryCrossentropy CTCDecode CTCLoss CategoricalCrossentropy Celu Conv ConvTranspose DepthToSpace DepthwiseConv DotProductAttention Elu Fold Gelu Glu HardShrink HardSigmoid HardSilu HardTanh LayerNorm LeakyRelu LogSigmoid LogSoftmax MaxPool Moments MultiHot Normalize OneHot PSNR Polar RMSNorm Relu Relu6 Selu SeparableConv Sigmoid Silu SoftShrink Softmax Softplus Softsign SpaceToDepth SparseCategoricalCrossentropy SparsePlus SparseSigmoid Sparsemax Squareplus TanhShrink Threshold Unfold",
  math: "CDist Erf Erfc Erfinv ExtractSequences FFT FFT2 IFFT2 IRFFT ISTFT InTopK Logdet Logsumexp RFFT Rsqrt STFT SegmentMax SegmentMin SegmentProd SegmentReduction SegmentSum TopK ViewAsComplex ViewAsReal",
  image:
    "AffineTransform CropImages ElasticTransform ExtractPatches GaussianBlur HSVToRGB MapCoordinates PadImages PerspectiveTransform RGBToGrayscale RGBToHSV Resize SSIM ScaleAndTranslate SobelEdges",
  linalg:
    "Cholesky CholeskyInverse Det Eig Eigh Inv JVP Lstsq LuFactor MatrixRank Norm Pinv Qr SVD Solve SolveTriangular",
  einops: "Rearrange",
};

const opModules: ReadonlyMap<string, string> = new Map(
  Object.entries(otherOps).flatMap(([module, names]) =>
    names.split(" ").map((name) => [name, module] as const),
  ),
);

/** Returns the module of an operation class of keras.ops or keras.activations, such as `keras.src.ops.numpy`. */
export function opModule(className: string): string {
  if (className === "ReLU") return "keras.src.activations.activations";
  return `keras.src.ops.${opModules.get(className) ?? "numpy"}`;
}

/**
 * Returns a serialized object of a built-in class, `{ module, class_name, config, registered_name }` and the entry's
 * other keys.
 */
export function inModule(entry: JsonObject, module: string): JsonObject {
  const { class_name, config, module: _module, registered_name: _name, ...rest } = entry;
  return { module, class_name: class_name ?? null, config: config ?? {}, registered_name: null, ...rest };
}

/**
 * Returns a serialized object of a custom class, as Keras writes a class of the script that saved the model: without a
 * module, under the name that it is registered by. `load_model` finds it by that name.
 */
export function inScript(entry: JsonObject, registered: string): JsonObject {
  const className = registered.slice(registered.indexOf(">") + 1);
  return { ...inModule({ ...entry, class_name: className }, ""), module: null, registered_name: registered };
}

/** Returns whether a class of a config without modules is none of Keras's own, of any version. */
export function isCustomClass(className: string): boolean {
  return (
    className.includes(">") || !(isBuiltIn(className) || isForeign(className) || formerLayers.has(className))
  );
}

const dtypeModule = "keras";

/** The module of Keras 3's policies for quantized layers, which have arguments of their own. */
const policyModule = "keras.dtype_policies";

/** Returns a dtype in the `.keras` dialect: a name stays a name, and a policy of any Keras becomes a DTypePolicy. */
export function dtypeInModule(dtype: Json): Json {
  if (!isObject(dtype) || dtype["module"] === policyModule) return dtype;
  const className = dtype["class_name"];
  const policy =
    className === "Policy" || className === "PolicyV1" ? "DTypePolicy" : (className ?? "DTypePolicy");
  const config = isObject(dtype["config"]) ? { name: dtype["config"]["name"] ?? "float32" } : {};
  return dtype["module"] === dtypeModule ? dtype : inModule({ class_name: policy, config }, dtypeModule);
}
