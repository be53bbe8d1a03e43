import type { HubBackbone, HubHead, HubTask } from "./hub-class.ts";
import { activationOf, numberOf } from "./hub-network.ts";
import { resnetBackbone } from "./resnet.ts";

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

const backbones: readonly HubBackbone[] = [resnetBackbone];

/** Image classifiers with the common head, by the name of their backbone without its ending. */
const imageClassifiers = ["ResNet"];

const tasks: readonly HubTask[] = imageClassifiers.map((family) => ({
  className: `${family}ImageClassifier`,
  backbone: `${family}Backbone`,
  head: imageClassifierHead,
}));

/** Returns the backbone of that class name, undefined if it is not known. */
export function backboneNamed(className: string): HubBackbone | undefined {
  return backbones.find((backbone) => backbone.className === className);
}

/** Returns the task of that class name, undefined if it is not known. */
export function taskNamed(className: string): HubTask | undefined {
  return tasks.find((task) => task.className === className);
}
