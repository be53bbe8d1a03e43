"""Real Keras's part in `npm run applications`.

serve        answers lines of JSON, [command, name, folder]: `make` saves the network with weights off their initial values
             as NAME.keras and NAME.h5, and what it gives; `open` puts ours.keras beside what the network gave, and one step
             of its trainable layers beside ours
load PATH    prints seconds and peak bytes of `load_model`
"""

import gc
import json
import os
import pathlib
import resource
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "test" / "parity"))

import h5py
import keras
import numpy as np
import tensorflow as tf
from ask_keras import calibrate, leaves, perturb
from keras.src.legacy.saving import legacy_h5_format

SAMPLES = 4


def size_of(name):
    if name in ("ResNet50", "VGG16"):
        return 224
    return 139 if name.startswith("Inception") else 96


def pictures(model, random):
    """Pixels where the network scales them itself, else normal numbers."""
    scaling = (keras.layers.Rescaling, keras.layers.Normalization)
    own = any(isinstance(layer, scaling) for _, layer in leaves(model))
    mean, deviation = (120, 60) if own else (0, 1)
    return random.normal(mean, deviation, (SAMPLES, *model.inputs[0].shape[1:])).astype("float32")


def head_of(model):
    return [layer for _, layer in leaves(model) if layer.weights][-1]


def spread_scores(model, inputs):
    """Scores of a deviation of 2, so that no class takes it all and none is out of it."""
    head = head_of(model)
    activation, head.activation = head.activation, keras.activations.linear
    scores = np.asarray(keras.Model(model.inputs, head.output)(inputs, training=False))
    head.activation = activation
    kernel, bias = head.get_weights()
    head.set_weights([kernel * 2 / scores.std(), bias])


def soften(model, random):
    """Activations mostly in their linear part, so that rounding does not grow from layer to layer as in untrained networks."""
    for _, layer in leaves(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            if layer.scale:
                layer.gamma.assign(random.uniform(0.3, 0.6, layer.gamma.shape))
            layer.beta.assign(random.uniform(0.5, 1.0, layer.beta.shape) * (1 if layer.scale else 2))


def apart(values, others):
    return float(np.abs(values.astype("float64") - others).max() / np.abs(others).max())


def in_float64(name, model):
    """The same network with the same weights and flags, all its arithmetic in float64."""
    keras.config.set_dtype_policy("float64")
    try:
        exact = getattr(keras.applications, name)(weights=None, input_shape=model.inputs[0].shape[1:])
    finally:
        keras.config.set_dtype_policy("float32")
    exact.set_weights(model.get_weights())
    trains = {path: layer.trainable for path, layer in leaves(model)}
    for path, layer in leaves(exact):
        layer.trainable = trains[path]
    return exact


def answers_of(model, inputs):
    both = keras.Model(model.inputs, [head_of(model).input, model.output])
    return [np.asarray(value) for value in both(inputs, training=False)]


def gradients_of(model, inputs, targets):
    """The loss, and the gradient of each weight that trains by its layer's path and its place there."""
    trained = {
        f"{path}/{index}": weight.value
        for path, layer in leaves(model)
        for index, weight in enumerate(layer.weights)
        if any(weight is own for own in layer.trainable_variables)
    }
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(keras.losses.categorical_crossentropy(targets, model(inputs, training=False)))
    return float(loss), {key: np.asarray(value) for key, value in tape.gradient(loss, trained).items()}


def distance(gradients, others):
    """Length of the difference by the length."""
    off = sum(float(((gradients[key] - others[key]) ** 2).sum()) for key in others)
    return (off / sum(float((gradient**2).sum()) for gradient in others.values())) ** 0.5


def make(name, folder):
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    size = size_of(name)
    model = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3))
    inputs = pictures(model, random)
    soften(model, random)
    calibrate(model, inputs)
    perturb(model, random, 0.1, 1.0)
    for _, layer in leaves(model):
        if type(layer).__name__ == "LayerScale":
            layer.set_weights([random.uniform(0.1, 0.5, layer.weights[0].shape)])
    spread_scores(model, inputs)
    model.save(folder / f"{name}.keras")
    model.save(folder / f"{name}.h5")
    model.save_weights(folder / "numbered.weights.h5")
    with h5py.File(folder / "named.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
    features, outputs = answers_of(model, inputs)
    record = {"parameters": int(model.count_params()), "size": size}
    for key, value in {"inputs": inputs, "features": features, "outputs": outputs}.items():
        value.astype("<f4").tofile(folder / f"{key}.bin")
        record[key] = list(value.shape)
    (folder / "record.json").write_text(json.dumps(record))
    return record


def reopened(name, folder):
    record = json.loads((folder / "record.json").read_text())
    read = lambda key: np.fromfile(folder / f"{key}.bin", "<f4").reshape(record[key])
    model = keras.saving.load_model(folder / "ours.keras", compile=False)
    inputs, features, outputs = read("inputs"), read("features"), read("outputs")
    targets = np.eye(outputs.shape[-1], dtype="float32")[np.arange(SAMPLES) % outputs.shape[-1]]
    loss, gradients = gradients_of(model, inputs, targets)
    own = json.loads((folder / "step.json").read_text())
    values = np.memmap(folder / "step.bin", "<f4", "r")
    places = {key: own["places"].pop(key) for key in gradients}
    moved = {
        key: -values[place : place + gradients[key].size].reshape(gradients[key].shape)
        for key, place in places.items()
    }
    exact = in_float64(name, model)
    exact_answers = answers_of(exact, inputs.astype("float64"))
    _, exact_gradients = gradients_of(exact, inputs.astype("float64"), targets.astype("float64"))
    return {
        "reopened": apart(np.asarray(model(inputs, training=False)), outputs),
        "loss": abs(own["loss"] / loss - 1),
        "gradient": distance(moved, gradients),
        "untrained": list(own["places"]),
        "rounding": max(map(apart, [features, outputs], exact_answers)),
        "gradientRounding": distance(gradients, exact_gradients),
    }


def load(path):
    started = time.perf_counter()
    try:
        keras.saving.load_model(path, compile=False)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:200]}
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def serve():
    actions = {"make": make, "open": reopened}
    for line in sys.stdin:
        command, name, folder = json.loads(line)
        keras.backend.clear_session()
        gc.collect()
        try:
            answer = actions[command](name, pathlib.Path(folder))
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if sys.argv[1] == "load":
    print(json.dumps(load(sys.argv[2])))
else:
    serve()
