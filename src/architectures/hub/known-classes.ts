import { densenetBackbone } from "./densenet.ts";
import { efficientnetBackbone } from "./efficientnet.ts";
import type { HubBackbone, HubHead, HubTask } from "./hub-class.ts";
import { activationOf, numberOf } from "./hub-network.ts";
import { mobilenetBackbone, mobilenetHead } from "./mobilenet.ts";
import { resnetBackbone } from "./resnet.ts";
import { vggBackbone, vggHead } from "./vgg.ts";
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
  densenetBackbone,
  efficientnetBackbone,
  mobilenetBackbone,
  resnetBackbone,
  vggBackbone,
  xceptionBackbone,
];

/** Heads of the image classifiers, by the name of their backbone without its ending. */
const imageClassifiers: Readonly<Record<string, HubHead>> = {
  DenseNet: imageClassifierHead,
  EfficientNet: imageClassifierHead,
  MobileNet: mobilenetHead,
  ResNet: imageClassifierHead,
  VGG: vggHead,
  Xception: imageClassifierHead,
};

const tasks: readonly HubTask[] = Object.entries(imageClassifiers).map(([family, head]) => ({
  className: `${family}ImageClassifier`,
  backbone: `${family}Backbone`,
  head,
}));

/** Returns the backbone of that class name, undefined if it is not known. */
export function backboneNamed(className: string): HubBackbone | undefined {
  return backbones.find((backbone) => backbone.className === className);
}

/** Returns the task of that class name, undefined if it is not known. */
export function taskNamed(className: string): HubTask | undefined {
  return tasks.find((task) => task.className === className);
}
