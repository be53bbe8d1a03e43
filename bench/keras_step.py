"""A training step of real Keras: keras_step.py MODEL STEPS. The data, loss and optimizer are those of step-profile.mjs. Prints JSON: medians of the
seconds of a step and of the processor time of all threads in it."""

import json
import statistics
import sys
import time

import keras
import numpy as np
import tensorflow as tf

path, steps, batch = sys.argv[1], int(sys.argv[2]), 32
model = keras.saving.load_model(path, compile=False)
shape = (batch, *model.input_shape[1:])
inputs = tf.constant((np.sin(np.arange(np.prod(shape))) * 60).reshape(shape), "float32")
targets = tf.constant(np.arange(batch) % 10)
model.compile(optimizer=keras.optimizers.Adam(1e-4), loss="sparse_categorical_crossentropy")
# The first step traces and optimizes the graph, and the one after it is often slow as well.
for _ in range(2):
    model.train_on_batch(inputs, targets)
taken = []
for _ in range(steps):
    began, before = time.perf_counter(), time.process_time()
    model.train_on_batch(inputs, targets)
    taken.append((time.perf_counter() - began, time.process_time() - before))
seconds, processor = (statistics.median(figures) for figures in zip(*taken))
print("\n" + json.dumps({"seconds": seconds, "processor": processor}))
