import type { PreprocessMode } from "../checkpoint.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";

/** A family of `keras.applications`, recognized by the names of its layers. */
export interface Family {
  readonly name: string;
  /** Preprocessing that its networks expect where none of their own layers does it. */
  readonly preprocess: PreprocessMode;
  /** Side of the square images it was trained on, in pixels. */
  readonly imageSize: number;
}

interface Recipe extends Family {
  /** A network belongs to the family if each pattern matches the name of a layer. */
  readonly layers: readonly RegExp[];
  readonly without?: RegExp;
}

/**
 * Families by layer names of Keras 1, 2 and 3; the first that matches wins.
 *
 * Source: `keras/src/applications/*.py`.
 */
const recipes: readonly Recipe[] = [
  recipe("ResNetV2", "tf", 224, [/^conv2_block1_preact_bn$/, /^post_bn$/]),
  recipe("DenseNet", "torch", 224, [/^conv1[/_]conv$/, /^conv2_block1_concat$/]),
  recipe("ResNet", "caffe", 224, [/^conv1_conv$/, /^conv2_block1_1_conv$/, /^conv2_block1_add$/]),
  recipe("ResNet", "caffe", 224, [/^conv1$/, /^res2a_branch2a$/]),
  recipe("Xception", "tf", 299, [/^block1_conv1$/, /^block2_sepconv1$/]),
  recipe("VGG", "caffe", 224, [/^block1_conv1$/, /^block5_conv3$/, /^block1_pool$/]),
  recipe("MobileNet", "tf", 224, [/^conv_dw_1$/, /^conv_pw_1$/]),
  recipe("MobileNetV3", "tf", 224, [/^expanded_conv[/_]depthwise$/, /squeeze_excite/]),
  recipe("MobileNetV2", "tf", 224, [
    /^(expanded_conv_depthwise|mobl0_conv_0_depthwise)$/,
    /^(Conv_1|block_1_expand)$/,
  ]),
  recipe("InceptionResNetV2", "tf", 299, [/^block35_1_conv$/, /^mixed_5b$/]),
  recipe("InceptionV3", "tf", 299, [/^mixed0$/, /^mixed10$/]),
  recipe("NASNetLarge", "tf", 331, [/^stem_conv1$/, /^normal_conv_1_17$/]),
  recipe("NASNetMobile", "tf", 224, [/^stem_conv1$/, /^normal_conv_1_0$/]),
  recipe("EfficientNetV2", "tf", 224, [/^stem_conv$/, /^block1a_project_conv$/], /^block1a_dwconv2?$/),
  recipe("EfficientNet", "tf", 224, [/^stem_conv$/, /^block1a_dwconv$/]),
  recipe("ConvNeXt", "torch", 224, [/stage_0_block_0_depthwise_conv$/, /stage_0_block_0_layer_scale$/]),
];

/** Image sides of EfficientNets by the number of blocks and the filters of the last convolution. */
const efficientNetSizes: Readonly<Record<string, number>> = {
  "16/1280": 224,
  "23/1280": 240,
  "23/1408": 260,
  "26/1536": 300,
  "32/1792": 380,
  "39/2048": 456,
  "45/2304": 528,
  "55/2560": 600,
  "21/1280": 224,
  "27/1280": 240,
  "28/1408": 260,
  "32/1536": 300,
  "40/1280": 384,
  "57/1280": 480,
  "79/1280": 480,
};

/** Returns the family that the model, or a model nested in it, belongs to; undefined if its layer names fit none. */
export function familyOf(graph: LayerGraph): Family | undefined {
  const names = [...new Set(graph.layers.map((layer) => layer.name))];
  const has = (pattern: RegExp) => names.some((name) => pattern.test(name));
  const found = recipes.find(({ layers, without }) => layers.every(has) && !(without && has(without)));
  if (!found) return undefined;
  const { name, preprocess } = found;
  const own = name.startsWith("EfficientNet") ? efficientNetSizes[sizeKey(graph, names)] : undefined;
  return { name, preprocess, imageSize: own ?? found.imageSize };
}

function sizeKey(graph: LayerGraph, names: readonly string[]): string {
  const blocks = names.filter((name) => /^block\d[a-z]+_project_conv$/.test(name)).length;
  const top = graph.layers.find((layer) => layer.name === "top_conv");
  return `${blocks}/${top?.config["filters"]}`;
}

function recipe(
  name: string,
  preprocess: PreprocessMode,
  imageSize: number,
  layers: readonly RegExp[],
  without?: RegExp,
): Recipe {
  return { name, preprocess, imageSize, layers, ...(without && { without }) };
}
