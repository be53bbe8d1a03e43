import { albertBackbone, electraBackbone } from "./albert.ts";
import { bertBackbone, pooledHead } from "./bert.ts";
import { cspnetBackbone } from "./cspnet.ts";
import { debertaBackbone, debertaHead } from "./deberta.ts";
import { deeplabBackbone, deeplabHead } from "./deeplab.ts";
import { deitBackbone, deitHead } from "./deit.ts";
import { densenetBackbone } from "./densenet.ts";
import { dinov2Backbone } from "./dinov2.ts";
import { efficientnetBackbone } from "./efficientnet.ts";
import { hgnetv2Backbone, hgnetv2Head } from "./hgnetv2.ts";
import type { HubBackbone, HubHead, HubTask } from "./hub-class.ts";
import { activationOf, numberOf } from "./hub-network.ts";
import { mitBackbone } from "./mit.ts";
import { mobilenetBackbone, mobilenetHead } from "./mobilenet.ts";
import { resnetBackbone } from "./resnet.ts";
import { distilBertBackbone, distilBertHead, robertaBackbone, robertaHead } from "./roberta.ts";
import { segformerBackbone, segformerHead } from "./segformer.ts";
import { swinBackbone, swinHead } from "./swin.ts";
import { vggBackbone, vggHead } from "./vgg.ts";
import { vitBackbone, vitHead } from "./vit.ts";
import { xceptionBackbone } from "./xception.ts";

/**
 * The head of KerasHub's image classifiers: global pooling, dropout, a Dense.
 *
 * Source: `keras_hub/src/models/image_classifier.py`.
 */
const imageClassifierHead: HubHead = {
  scores: "predictions",
  build: (net, config, features) => {
    const pooling = config["pooling"] === "max" ? "GlobalMaxPooling2D" : "GlobalAveragePooling2D";
    const pooled = net.layer(pooling, { keepdims: false }, features, "pooler");
    const kept = net.layer("Dropout", { rate: numberOf(config, "dropout", 0) }, pooled, "output_dropout");
    const units = numberOf(config, "num_classes");
    return net.layer("Dense", { units, activation: activationOf(config) }, kept, "predictions");
  },
};

const backbones: readonly HubBackbone[] = [
  albertBackbone,
  bertBackbone,
  cspnetBackbone,
  debertaBackbone,
  deeplabBackbone,
  deitBackbone,
  densenetBackbone,
  dinov2Backbone,
  distilBertBackbone,
  efficientnetBackbone,
  electraBackbone,
  hgnetv2Backbone,
  mitBackbone,
  mobilenetBackbone,
  resnetBackbone,
  robertaBackbone,
  segformerBackbone,
  swinBackbone,
  vggBackbone,
  vitBackbone,
  xceptionBackbone,
];

/** Heads of the image classifiers, by the name of their backbone without its ending. */
const imageClassifiers: Readonly<Record<string, HubHead>> = {
  CSPNet: imageClassifierHead,
  DeiT: deitHead,
  DenseNet: imageClassifierHead,
  EfficientNet: imageClassifierHead,
  HGNetV2: hgnetv2Head,
  MiT: imageClassifierHead,
  MobileNet: mobilenetHead,
  ResNet: imageClassifierHead,
  SwinTransformer: swinHead,
  VGG: vggHead,
  ViT: vitHead,
  Xception: imageClassifierHead,
};

/** Heads of the text classifiers, by the name of their backbone without its ending. */
const textClassifiers: Readonly<Record<string, HubHead>> = {
  Albert: pooledHead("output_dropout"),
  Bert: pooledHead("classifier_dropout"),
  DebertaV3: debertaHead,
  DistilBert: distilBertHead,
  Roberta: robertaHead,
};

/** Heads of the image segmenters, by the name of their backbone without its ending. */
const imageSegmenters: Readonly<Record<string, HubHead>> = {
  DeepLabV3: deeplabHead,
  SegFormer: segformerHead,
};

const tasks: readonly HubTask[] = [
  ...tasksOf(imageClassifiers, "ImageClassifier"),
  ...tasksOf(imageSegmenters, "ImageSegmenter"),
  ...tasksOf(textClassifiers, "TextClassifier"),
];

function tasksOf(heads: Readonly<Record<string, HubHead>>, kind: string): readonly HubTask[] {
  return Object.entries(heads).map(([family, head]) => ({
    className: `${family}${kind}`,
    backbone: `${family}Backbone`,
    head,
  }));
}

/** Returns the backbone of that class name, undefined if it is not known. */
export function backboneNamed(className: string): HubBackbone | undefined {
  return backbones.find((backbone) => backbone.className === className);
}

/** Returns the task of that class name, undefined if it is not known. */
export function taskNamed(className: string): HubTask | undefined {
  return tasks.find((task) => task.className === className);
}

/** Returns the classes of each family and the networks that it builds, in alphabetical order. */
export function hubFamilies(): readonly { readonly classes: readonly string[]; readonly networks: string }[] {
  return backbones
    .map(({ className, networks }) => {
      const own = tasks.filter(({ backbone }) => backbone === className);
      return { classes: [...own.map((task) => task.className), className], networks };
    })
    .sort((a, b) => (a.networks < b.networks ? -1 : 1));
}
