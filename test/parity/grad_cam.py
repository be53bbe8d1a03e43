"""Grad-CAM as Keras's own example has it (keras.io/examples/vision/grad_cam), for each sample of a batch."""

import keras
import numpy as np
import tensorflow as tf


def heatmaps(model, inputs, layer, targets):
    """`[N, height, width]`: the gradient of each target's logit on the layer's output. `targets` below 0: the predicted ones."""
    head = model.layers[-1]
    activation, head.activation = head.activation, keras.activations.linear
    try:
        both = keras.Model(model.inputs, [model.get_layer(layer).output, model.output])
        with tf.GradientTape() as tape:
            features, scores = both(inputs, training=False)
            chosen, signed = [], []
            for row, target in enumerate(targets):
                alone = scores.shape[-1] == 1
                predicted = int(scores[row, 0] > 0) if alone else int(tf.argmax(scores[row]))
                target = predicted if target < 0 else int(target)
                chosen.append(target)
                signed.append((1 if target else -1) * scores[row, 0] if alone else scores[row, target])
            total = tf.add_n(signed)
        gradient = tape.gradient(total, features)
    finally:
        head.activation = activation
    maps = []
    for own, slope in zip(features, gradient):
        pooled = tf.reduce_mean(slope, axis=(0, 1))
        heatmap = tf.maximum(tf.squeeze(own @ pooled[..., tf.newaxis], -1), 0)
        highest = tf.reduce_max(heatmap)
        maps.append(np.asarray(heatmap / highest if highest > 0 else heatmap))
    return {"heatmaps": np.stack(maps), "targets": [float(target) for target in chosen]}
