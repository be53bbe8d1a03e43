"""Writes networks with random weights into a folder: MODELS_FOLDER NAME..."""

import os
import sys

import keras

folder, *names = sys.argv[1:]
keras.utils.set_random_seed(0)


def images(name):
    return getattr(keras.applications, name)(weights=None, classes=10)


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


for name in names:
    model = recurrent() if name == "Recurrent" else images(name)
    model.save(os.path.join(folder, f"{name}.keras"))
