"""The seconds of each epoch of a fit, and what a job prints."""

import json
import resource
import time

import keras


class Clock(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.begun = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.begun)


def print_figures(clock, **others):
    """Prints the epochs and the peak memory in bytes as JSON, in a line of its own."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print("\n" + json.dumps({"epochs": clock.seconds, "peakBytes": peak, **others}))
