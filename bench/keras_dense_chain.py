"""One job of dense-chains.mjs: keras_dense_chain.py MODEL LAYERS UNITS DEPTH {make|fit}. Prints its figures as JSON."""

import sys

import keras
import numpy
from keras_clock import Clock, print_figures

path, layers, units, depth, what = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
keras.utils.set_random_seed(0)
if what == "make":
    widths = [units] * (layers - 1) + [1]
    keras.Sequential([keras.Input((5,)), *(keras.layers.Dense(width) for width in widths)]).save(path)
    print("\n{}")
    sys.exit()


model = keras.saving.load_model(path, compile=False)
for layer in model.layers[:depth]:
    layer.trainable = False
model.compile(optimizer=keras.optimizers.RMSprop(1e-3), loss="mean_squared_error")
x = numpy.sin(numpy.arange(500, dtype="float32") * 12.9898).reshape(100, 5)
clock = Clock()
model.fit(x, x.sum(1, keepdims=True), epochs=100, batch_size=32, callbacks=[clock], verbose=0)
print_figures(clock)
