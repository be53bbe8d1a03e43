"""Small networks that Keras fits: under schedules, from files with an optimizer in them, and into such files."""

import math
import warnings

import keras
import numpy as np


class Warmed(keras.optimizers.schedules.LearningRateSchedule):
    """Rises from 0 to the rate in so many steps, then stays."""

    def __init__(self, rate, warmup):
        self.rate, self.warmup = rate, warmup

    def __call__(self, step):
        return min(float(step) / self.warmup, 1.0) * self.rate

    def get_config(self):
        return {"rate": self.rate, "warmup": self.warmup}


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """fastai's: a half cosine up from a 25th of the rate in a quarter of the steps, another down to a 100,000th."""

    def __init__(self, rate, steps):
        self.rate, self.steps, self.rise = rate, steps, round(steps / 4)

    def __call__(self, step):
        step = float(step)
        if step < self.rise:
            start, end, share = self.rate / 25, self.rate, step / self.rise
        else:
            start, end, share = self.rate, self.rate / 1e5, (step - self.rise) / (self.steps - self.rise)
        return start + (end - start) * (1 - math.cos(math.pi * share)) / 2

    def get_config(self):
        return {"rate": self.rate, "steps": self.steps}


own_schedules = {"Warmed": Warmed, "OneCycle": OneCycle}


def optimizer_of(given, legacy):
    name, config = given["class_name"], dict(given["config"])
    rate = config.get("learning_rate")
    if isinstance(rate, dict):
        schedules = {**vars(keras.optimizers.schedules), **own_schedules}
        floats = {key: float(value) if key.endswith(("rate", "target")) else value for key, value in rate["config"].items()}
        config["learning_rate"] = schedules[rate["class_name"]](**floats)
    excluded = config.pop("exclude_from_weight_decay", None)
    made = getattr(keras.optimizers.legacy if legacy else keras.optimizers, name)(**config)
    if excluded:
        made.exclude_from_weight_decay(var_names=excluded)
    return made


def small_model(frozen):
    """Three Dense layers whose weights follow from nothing but their shapes."""
    random = np.random.default_rng(3)
    x = inputs = keras.layers.Input((5,), name="in")
    for name, units, activation in [("first", 6, "tanh"), ("second", 7, "relu"), ("out", 3, "softmax")]:
        x = keras.layers.Dense(units, activation=activation, name=name, trainable=name not in frozen)(x)
    model = keras.Model(inputs, x)
    model.set_weights([random.normal(0, 0.5, weight.shape).astype("float32") for weight in model.get_weights()])
    return model


def fit(inputs, targets, epochs, path=None, optimizer=None, frozen=(), save=(), legacy=False):
    """Fits on one batch: a compiled file, or a small model under an optimizer. Saves to each of `save`."""
    with warnings.catch_warnings():
        # What Keras cannot restore of an optimizer it only warns of.
        warnings.filterwarnings("error", message="(?s).*(Skipping variable|optimizer).*")
        model = keras.models.load_model(path) if path else small_model(frozen)
    if not path:
        model.compile(optimizer_of(optimizer, legacy), loss="categorical_crossentropy")
    model.run_eagerly = True
    if epochs:
        model.fit(inputs, targets, batch_size=len(inputs), epochs=epochs, shuffle=False, verbose=0)
    for place in save:
        model.save(place)
    return {
        "weights": {
            layer.name: [{"name": w.name.split("/")[-1].split(":")[0], "value": w.numpy()} for w in layer.weights]
            for layer in model.layers
            if layer.weights
        },
        "steps": int(np.asarray(model.optimizer.iterations)),
    }
