"""What the tests ask of Keras: make a model, open a file, predict, take training steps."""

import json
import sys
import os

import numpy as np
import keras
import tensorflow as tf

from command_line_data import command_line_case, command_line_result
from fitting import fit
from grad_cam import heatmaps
from networks import networks
from task_models import evaluate_file, task
from tensorboard_events import tensorboard_events

WORDS = ["the", "Film", "was", "dull,", "delight", "café", "unknown", "NEVER!", "it's"]

models = {}
made = {}


def leaves(model, prefix=""):
    """Each layer that is no model, with its path."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaves(layer, f"{prefix}{layer.name}/")
        elif not isinstance(layer, keras.layers.InputLayer):
            yield prefix + layer.name, layer


def weights_of(model):
    return {
        path: [{"name": weight.name, "value": weight.numpy()} for weight in layer.weights]
        for path, layer in leaves(model)
        if layer.weights
    }


def trainable_of(model):
    """Whether each layer with weights trains: its own flag and those of the models around it."""

    def walk(inner, prefix, trains):
        for layer in inner.layers:
            if isinstance(layer, keras.Model):
                yield from walk(layer, f"{prefix}{layer.name}/", trains and layer.trainable)
            elif layer.weights:
                yield prefix + layer.name, trains and layer.trainable

    return dict(walk(model, "", model.trainable))


def calibrate(model, inputs):
    """Moving statistics that belong to these inputs, so that what flows stays of ordinary size through many layers."""
    norms = [layer for _, layer in leaves(model) if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    model(inputs, training=True)
    for layer, momentum in zip(norms, momenta):
        layer.momentum = momentum


def perturb(model, random, noise, scale):
    """No weight keeps a value that an initializer gives it."""
    for _, layer in leaves(model):
        changed = []
        for weight in layer.weights:
            value = weight.numpy()
            if weight.name in ("moving_variance", "gamma"):
                changed.append(value * random.uniform(0.7, 1.4, value.shape))
            else:
                spread = noise * max(float(value.std()), 1.0 if weight.name in ("beta", "moving_mean", "bias") else 0.0)
                changed.append(value * scale + random.normal(0, spread, value.shape))
        layer.set_weights(changed)


def inputs_of(model, samples, random):
    """Normal numbers, or pixels where the model rescales them itself; words where it takes integers, as texts where it takes those."""
    pixels = any(isinstance(layer, keras.layers.Rescaling) for layer in model.layers)
    mean, deviation = (128, 60) if pixels else (0, 1)

    def values(tensor):
        shape = (samples, *tensor.shape[1:])
        if tensor.dtype == "string":
            lengths = random.integers(1, longest_text(model) + 1, int(np.prod(shape)))
            return tf.reshape(tf.constant([" ".join(random.choice(WORDS, length)) for length in lengths]), shape)
        if tensor.dtype.startswith("int"):
            return random.integers(0, 9, shape).astype("float32")
        return random.normal(mean, deviation, shape).astype("float32")

    return alike(model, [values(tensor) for tensor in model.inputs])


def alike(model, inputs):
    """All of them tensors where one is of texts: Keras takes no mixture."""
    if not any(isinstance(value, tf.Tensor) for value in inputs):
        return inputs
    return [tf.cast(value, tensor.dtype) for value, tensor in zip(inputs, model.inputs)]


def longest_text(model):
    """Some words where the model splits texts, else one."""
    return 12 if any(isinstance(layer, keras.layers.TextVectorization) for _, layer in leaves(model)) else 1


def make(name, network, paths, seed=0, samples=4, noise=0.1, scale=1.0, frozen=(), logits=None, options=None):
    """A network with weights drawn from `seed`, saved to each of `paths`; once for the same words. `logits` is the size its scores get, without bias."""
    request = (network, paths, seed, samples, noise, scale, frozen, logits, options)
    if made.get(name) == request:
        return
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    random = np.random.default_rng(seed)
    model = networks[network](**(options or {}))
    inputs = inputs_of(model, samples, random)
    calibrate(model, inputs)
    perturb(model, random, noise, scale)
    if logits is not None:
        head = model.layers[-1]
        activation, head.activation = head.activation, keras.activations.linear
        spread = float(np.std(np.asarray(model(inputs, training=False))))
        head.activation = activation
        head.set_weights([head.kernel.numpy() * logits / spread, head.bias.numpy()])
    freeze(model, frozen)
    for path in paths:
        model.save_weights(path) if path.endswith(".weights.h5") else model.save(path)
    models[name], made[name] = model, request


def open_file(name, path):
    models[name] = keras.saving.load_model(path, compile=False)
    made.pop(name, None)
    return {"trainable": trainable_of(models[name])}


def open_custom(name, path):
    """Opens a file with the custom layers of fixtures/make/custom_classes.py, which some of its classes are registered by."""
    make = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "fixtures", "make")
    sys.path.insert(0, make) if make not in sys.path else None
    from custom_classes import custom_objects

    models[name] = keras.saving.load_model(path, compile=False, custom_objects=custom_objects)


def optimizer_state(path):
    """What the optimizer of a compiled model in a file has, in order."""
    variables = keras.saving.load_model(path).optimizer.variables
    return [np.asarray(variable.numpy()) for variable in variables]


def load_weights(name, path):
    """The weights in a file, put over zeros."""
    model = models[name]
    model.set_weights([np.zeros_like(value) for value in model.get_weights()])
    model.load_weights(path)
    return {}


def forget(name):
    del models[name], made[name]
    keras.backend.clear_session()


def weights(name):
    return weights_of(models[name])


def predict(name, inputs=None, samples=2, seed=0):
    model = models[name]
    inputs = inputs_of(model, samples, np.random.default_rng(seed)) if inputs is None else alike(model, inputs)
    outputs = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return {"inputs": inputs, "outputs": [np.asarray(output) for output in outputs]}


def grad_cam(name, inputs, layer, targets):
    return heatmaps(models[name], inputs[0], layer, targets)


def freeze(model, frozen):
    for path, layer in leaves(model):
        if path in frozen:
            layer.trainable = False


def targets_of(model, inputs, loss, samples, random):
    """`[N, …]` as the loss takes them. A model of counted words says another shape than it gives."""
    counts = any(isinstance(layer, keras.layers.TextVectorization) for _, layer in leaves(model))
    shape = tuple(model(inputs[0]).shape) if counts else (samples, *model.outputs[0].shape[1:])
    name = loss if isinstance(loss, str) else loss["class_name"]
    plain = name.lower().replace("_", "")
    if plain == "sparsecategoricalcrossentropy":
        return random.integers(0, shape[-1], shape[:-1]).astype("float32")
    if plain in ("categoricalcrossentropy", "categoricalfocalcrossentropy", "categoricalhinge"):
        return np.eye(shape[-1], dtype="float32")[random.integers(0, shape[-1], shape[:-1])]
    if plain in ("binarycrossentropy", "binaryfocalcrossentropy", "hinge"):
        return random.integers(0, 2, shape).astype("float32")
    if plain == "kldivergence":
        values = random.uniform(0.1, 1, shape)
        return (values / values.sum(-1, keepdims=True)).astype("float32")
    if plain == "meanabsolutepercentageerror":
        return random.uniform(0.5, 2, shape).astype("float32")
    if plain == "poisson":
        return random.poisson(2, shape).astype("float32")
    return random.normal(size=shape).astype("float32")


def train(name, optimizer, loss, frozen=(), bn_mode="follow", class_weight=None, samples=6, steps=3, seed=0, scale=1.0):
    """
    Steps on one batch from the model's weights, which it has again afterwards; its weights after the first and the last. `follow` and `freeze` are `fit`; `inference` is a
    step of the same optimizer with training=False, `train` one in which every BatchNormalization trains.
    """
    model = models[name]
    before = model.get_weights()
    flags = [(layer, layer.trainable) for _, layer in leaves(model)]
    random = np.random.default_rng(seed)
    inputs = [value if isinstance(value, tf.Tensor) else value * np.float32(scale) for value in inputs_of(model, samples, random)]
    targets = targets_of(model, inputs, loss, samples, random)
    freeze(model, frozen)
    for _, layer in leaves(model):
        if isinstance(layer, keras.layers.BatchNormalization) and bn_mode in ("freeze", "train"):
            layer.trainable = bn_mode == "train"
    metrics = ["accuracy"] if "crossentropy" in json.dumps(loss).lower() else []
    model.compile(
        optimizer=keras.optimizers.deserialize(json.loads(json.dumps(optimizer))),
        loss=loss if isinstance(loss, str) else keras.losses.deserialize(json.loads(json.dumps(loss))),
        metrics=metrics,
        run_eagerly=True,
    )
    x = inputs if len(inputs) > 1 else inputs[0]
    weighting = None if class_weight is None else {int(key): value for key, value in class_weight.items()}
    record = []
    for index in range(steps):
        if bn_mode in ("follow", "freeze"):
            history = model.fit(
                x, targets, batch_size=samples, epochs=1, shuffle=False, verbose=0, class_weight=weighting
            ).history
            figures = {key: float(values[0]) for key, values in history.items()}
        else:
            figures = step(model, x, targets, bn_mode == "train", weighting)
        record.append(figures if 0 < index < steps - 1 else {**figures, "weights": weights_of(model)})
    for layer, flag in flags:
        layer.trainable = flag
    model.set_weights(before)
    return {"inputs": inputs, "targets": targets, "steps": record}


def step(model, x, targets, training, class_weight):
    sample_weight = None
    if class_weight is not None:
        labels = targets.argmax(-1) if targets.ndim > 1 and targets.shape[-1] > 1 else targets.reshape(-1)
        sample_weight = np.array([class_weight.get(int(label), 1.0) for label in labels], dtype="float32")
    with tf.GradientTape() as tape:
        outputs = model(x, training=training)
        loss = model.compute_loss(x, tf.constant(targets), outputs, sample_weight, training=training)
    variables = model.trainable_variables
    model.optimizer.apply_gradients(zip(tape.gradient(loss, [v.value for v in variables]), variables))
    return {"loss": float(loss)}


def onnx_predict(path, inputs):
    """Checks an ONNX file, shapes included, and runs it in ONNX Runtime; inputs by name, in the model's dtypes."""
    import onnx
    import onnxruntime

    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    dtypes = {"tensor(float)": "float32", "tensor(int32)": "int32", "tensor(int64)": "int64", "tensor(uint8)": "uint8", "tensor(bool)": "bool"}
    feeds = {
        given.name: np.asarray(value, dtypes[given.type]) for given, value in zip(session.get_inputs(), inputs)
    }
    outputs = session.run(None, feeds)
    return {"inputs": list(feeds), "outputs": [np.asarray(output, "float32") for output in outputs]}


def version():
    return keras.__version__


actions = {
    "version": version,
    "make": make,
    "open": open_file,
    "open_custom": open_custom,
    "load_weights": load_weights,
    "optimizer_state": optimizer_state,
    "forget": forget,
    "weights": weights,
    "onnx_predict": onnx_predict,
    "predict": predict,
    "train": train,
    "fit": fit,
    "task": task,
    "evaluate_file": evaluate_file,
    "command_line_case": command_line_case,
    "command_line_result": command_line_result,
    "grad_cam": grad_cam,
    "tensorboard_events": tensorboard_events,
}
