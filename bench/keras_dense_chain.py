"""One job of dense-chains.mjs: keras_dense_chain.py MODEL LAYERS DEPTH {make|fit}. Prints its figures as JSON."""

import json
import resource
import sys
import time

import keras
import numpy

path, layers, depth, what = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
keras.utils.set_random_seed(0)
if what == "make":
    widths = [64] * (layers - 1) + [1]
    keras.Sequential([keras.Input((5,)), *(keras.layers.Dense(width) for width in widths)]).save(path)
    print("\n{}")
    sys.exit()


class Clock(keras.callbacks.Callback):
    seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.begun = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.begun)


model = keras.saving.load_model(path, compile=False)
for layer in model.layers[:depth]:
    layer.trainable = False
model.compile(optimizer=keras.optimizers.RMSprop(1e-3), loss="mean_squared_error")
x = numpy.sin(numpy.arange(500, dtype="float32") * 12.9898).reshape(100, 5)
model.fit(x, x.sum(1, keepdims=True), epochs=100, batch_size=32, callbacks=[Clock()], verbose=0)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print("\n" + json.dumps({"epochs": Clock.seconds, "peakBytes": peak}))
