"""One job of extraction.mjs: keras_extraction.py MODEL PHOTOS. Decodes with tf.data and predicts what is before the head. Prints JSON.

Then times reading and computing by themselves.
"""

import json
import pathlib
import resource
import sys
import time

import keras
import tensorflow as tf

path, photos = sys.argv[1:3]
names = sorted(str(name) for name in pathlib.Path(photos).rglob("*") if name.is_file())


def read(name):
    image = tf.io.decode_image(tf.io.read_file(name), channels=3, expand_animations=False)
    image = tf.image.resize(image, (224, 224))
    return keras.applications.imagenet_utils.preprocess_input(image, mode="caffe")


def seconds(job):
    started = time.perf_counter()
    job()
    return time.perf_counter() - started


model = keras.saving.load_model(path, compile=False)
trunk = keras.Model(model.input, model.layers[-2].output)
data = tf.data.Dataset.from_tensor_slices(names).map(read, num_parallel_calls=tf.data.AUTOTUNE)
batches = data.apply(tf.data.experimental.ignore_errors()).batch(32).prefetch(tf.data.AUTOTUNE)
started, used = time.perf_counter(), time.process_time()
images = len(trunk.predict(batches, verbose=0))
extraction, processor = time.perf_counter() - started, time.process_time() - used
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
reading = seconds(lambda: [None for _ in batches])
one = next(iter(batches))
trunk.predict_on_batch(one)
computing = seconds(lambda: [trunk.predict_on_batch(one) for _ in range(3)]) * images / (3 * 32)

# Processor time of an image, one after the other.
usable = [name for name in names if name.endswith(".jpg")][:60]


def milliseconds(job, items):
    began = time.process_time()
    for item in items:
        job(item)
    return (time.process_time() - began) * 1000 / len(items)


def decode(name):
    return tf.io.decode_image(tf.io.read_file(name), channels=3, expand_animations=False)


decoded = [decode(name) for name in usable]
decoding = milliseconds(decode, usable)
resizing = milliseconds(lambda image: tf.image.resize(image, (224, 224)), decoded)
figures = {
    "images": images,
    "extraction": extraction,
    "processor": processor,
    "reading": reading,
    "computing": computing,
    "peakBytes": peak,
    "decoding": decoding,
    "resizing": resizing,
}
print("\n" + json.dumps(figures))
