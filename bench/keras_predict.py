"""One job of prediction.mjs: keras_predict.py MODEL. The compiled function of model.predict, a batch at a time. Prints JSON."""

import json
import resource
import sys
import time

import keras
import numpy

model = keras.saving.load_model(sys.argv[1], compile=False)
images = numpy.random.default_rng(0).uniform(0, 255, (32, 224, 224, 3)).astype("float32")
batches = []
for _ in range(12):
    started = time.perf_counter()
    model.predict_on_batch(images)
    batches.append(time.perf_counter() - started)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print("\n" + json.dumps({"batches": batches[2:], "peakBytes": peak}))
