"""Recurrent networks for recurrent.mjs: keras_recurrent.py MODEL CELL {make|fit}. Prints its figures as JSON."""

import sys

import keras
import numpy
from keras_clock import Clock, print_figures

path, cell, what = sys.argv[1:4]
layers = keras.layers
words, steps, units, batch, batches = 2000, 60, 96, 32, 8
cells = {
    "SimpleRNN": lambda: layers.SimpleRNN(units),
    "LSTM": lambda: layers.LSTM(units),
    "LSTM of 256": lambda: layers.LSTM(256),
    "GRU": lambda: layers.GRU(units),
    "GRU of 256": lambda: layers.GRU(256),
    "GRU, reset before": lambda: layers.GRU(units, reset_after=False),
    "GRU, recurrent dropout": lambda: layers.GRU(units, recurrent_dropout=0.2),
    "Bidirectional GRU": lambda: layers.Bidirectional(layers.GRU(units)),
    "GRU, masked": lambda: layers.GRU(units),
    "LSTM, masked": lambda: layers.LSTM(units),
    "Stacked cells": lambda: layers.RNN([layers.LSTMCell(units), layers.GRUCell(units)]),
    "ConvLSTM2D": lambda: layers.ConvLSTM2D(8, 3),
}
keras.utils.set_random_seed(0)
if what == "make":
    if cell == "ConvLSTM2D":
        first = [keras.Input((10, 24, 24, 3))]
        after = [layers.GlobalAveragePooling2D()]
    else:
        first = [keras.Input((steps,), dtype="int32"), layers.Embedding(words, 64, mask_zero="masked" in cell)]
        after = []
    keras.Sequential([*first, cells[cell](), *after, layers.Dense(10, activation="softmax")]).save(path)
    print("\n{}")
    sys.exit()

model = keras.saving.load_model(path, compile=False)
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="sparse_categorical_crossentropy")
rows = batch * batches
random = numpy.random.default_rng(0)
x = (
    random.normal(size=(rows, 10, 24, 24, 3)).astype("float32")
    if cell == "ConvLSTM2D"
    else random.integers(0, words, (rows, steps)).astype("int32")
)
y = random.integers(0, 10, (rows, 1)).astype("int32")


clock = Clock()
model.fit(x, y, epochs=5, batch_size=batch, callbacks=[clock], verbose=0)
print_figures(clock)
