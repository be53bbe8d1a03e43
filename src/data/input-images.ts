import type { Notes, PreprocessMode } from "../checkpoint.ts";
import { UsageError } from "../errors.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";

export interface DetectedPreprocess {
  readonly mode: PreprocessMode;
  /** Why, in words. */
  readonly reason: string;
  readonly warning?: string;
}

/** Families by the names of their layers; the first that matches. */
const families: readonly { name: string; mode: PreprocessMode; layer: RegExp }[] = [
  { name: "ResNetV2", mode: "tf", layer: /(^|\/)conv\d_block\d+_preact_bn$/ },
  { name: "ResNet", mode: "caffe", layer: /(^|\/)(conv\d_block\d+_1_conv|res\d[a-z]\w*_branch2a)$/ },
  { name: "VGG", mode: "caffe", layer: /(^|\/)block\d_conv\d$/ },
  { name: "MobileNetV2", mode: "tf", layer: /(^|\/)block_\d+_expand$/ },
  { name: "MobileNet", mode: "tf", layer: /(^|\/)conv_pw_\d+$/ },
  { name: "DenseNet", mode: "torch", layer: /(^|\/)conv\d_block\d+_concat$/ },
  { name: "EfficientNet", mode: "tf", layer: /(^|\/)block\d[a-z]_(expand_conv|dwconv|dwconv2)$/ },
  { name: "Xception", mode: "tf", layer: /(^|\/)block\d+_sepconv\d$/ },
  { name: "Inception", mode: "tf", layer: /(^|\/)mixed\d+$/ },
];

/** Notes in the file; else none where the model rescales its input itself; else the family's mode; else none, warned. */
export function detectPreprocess(graph: LayerGraph, notes: Notes): DetectedPreprocess {
  if (notes.preprocess) return { mode: notes.preprocess, reason: "noted in the file" };
  const scaling = graph.layers.find((layer) => ["Rescaling", "Normalization"].includes(layer.className));
  if (scaling) return { mode: "none", reason: `${scaling.path} is in the model` };
  const family = families.find(({ layer }) => graph.layers.some(({ path }) => layer.test(path)));
  if (family) return { mode: family.mode, reason: `${family.name} by its layer names` };
  return {
    mode: "none",
    reason: "unknown architecture",
    warning:
      "preprocessing: expected a known architecture, got an unknown one; pixels stay 0-255. Use --preprocess.",
  };
}

/** `[height, width]` of the model's input. @throws {UsageError} where `requested` differs from a fixed input. */
export function imageSizeOf(
  graph: LayerGraph,
  notes: Notes,
  requested?: number | readonly [number, number],
): readonly [number, number] {
  const asked = typeof requested === "number" ? ([requested, requested] as const) : requested;
  const [input] = graph.inputs;
  const shape = graph.nodes[input!.ref.node]!.outputs[input!.ref.output]!.shape;
  if (graph.inputs.length !== 1 || shape?.length !== 4 || shape[3] !== 3) {
    throw new UsageError(
      `${input?.name}: expected one input of RGB pictures [None,height,width,3], got ${graph.inputs.length} input(s), the first [${shape?.map((size) => size ?? "None")}].`,
      "not-an-image-model",
    );
  }
  const [, height, width] = shape;
  if (height && width) {
    if (asked && (asked[0] !== height || asked[1] !== width)) {
      throw new UsageError(
        `--image-size: expected ${height}x${width}, the model's fixed input, got ${asked.join("x")}.`,
        "image-size",
      );
    }
    return [height, width];
  }
  return asked ?? notes.imageSize ?? [224, 224];
}
