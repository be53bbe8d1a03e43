"""Writes networks with random weights into a folder: MODELS_FOLDER NAME[:SIZE]... where SIZE is the side of an image."""

import os
import sys

import keras

folder, *names = sys.argv[1:]
keras.utils.set_random_seed(0)


def images(name, size):
    return getattr(keras.applications, name)(weights=None, classes=10, input_shape=(size, size, 3))


def vision_transformer(size, patch=16, width=192, heads=3, depth=12):
    """The tiny ViT: patches, blocks of attention and two Dense layers, the mean over the tokens."""
    inputs = keras.Input((size, size, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(inputs)
    x = keras.layers.Conv2D(width, patch, strides=patch, name="patches")(x)
    tokens = (size // patch) ** 2
    x = keras.layers.Reshape((tokens, width))(x)
    # A projection whose bias differs from token to token is an embedding of positions.
    x = keras.layers.EinsumDense("btc,cd->btd", (tokens, width), bias_axes="td", name="positions")(x)
    for block in range(depth):
        y = keras.layers.LayerNormalization(epsilon=1e-6, name=f"block{block}_norm1")(x)
        y = keras.layers.MultiHeadAttention(heads, width // heads, name=f"block{block}_attention")(y, y)
        x = keras.layers.Add(name=f"block{block}_add1")([x, y])
        y = keras.layers.LayerNormalization(epsilon=1e-6, name=f"block{block}_norm2")(x)
        y = keras.layers.Dense(4 * width, activation="gelu", name=f"block{block}_dense1")(y)
        y = keras.layers.Dense(width, name=f"block{block}_dense2")(y)
        x = keras.layers.Add(name=f"block{block}_add2")([x, y])
    x = keras.layers.LayerNormalization(epsilon=1e-6, name="norm")(x)
    x = keras.layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(inputs, keras.layers.Dense(10, activation="softmax", name="predictions")(x))


def recurrent():
    text = keras.Input((1,), dtype="string")
    words = keras.layers.TextVectorization(
        max_tokens=2000, output_sequence_length=60, vocabulary=[f"word{i}" for i in range(1500)]
    )
    x = keras.layers.Embedding(2000, 128, name="embedding")(words(text))
    x = keras.layers.Bidirectional(keras.layers.LSTM(96, return_sequences=True), name="lstm_1")(x)
    x = keras.layers.Bidirectional(keras.layers.LSTM(96, return_sequences=True), name="lstm_2")(x)
    x = keras.layers.LSTM(64, name="lstm_3")(x)
    return keras.Model(text, keras.layers.Dense(10, activation="softmax", name="predictions")(x))


for asked in names:
    name, _, given = asked.partition(":")
    size = int(given or 224)
    if name == "Recurrent":
        model = recurrent()
    else:
        model = vision_transformer(size) if name == "VisionTransformer" else images(name, size)
    model.save(os.path.join(folder, f"{name}.keras"))
