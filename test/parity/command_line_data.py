"""Models with their data on disk, one of each kind that people fine-tune, and what Keras evaluates of a tuned file on that data."""

import os

import keras
import numpy as np

from task_models import alone, figures

L = keras.layers
N = 12
VERSION = ".h5" if keras.__version__.startswith("2") else ".keras"


def small(units, activation, size=8):
    pixels = keras.Input((size, size, 3), name="pixels")
    x = L.Conv2D(4, 3, activation="relu", name="first")(L.Rescaling(1 / 255, name="scaled")(pixels))
    x = L.GlobalAveragePooling2D(name="pooled")(x)
    return keras.Model(pixels, L.Dense(units, activation=activation, name="out")(x), name="small")


def chain(units, activation=None):
    given = keras.Input((4,), name="given")
    x = L.Dense(6, activation="tanh", name="first")(given)
    return keras.Model(given, L.Dense(units, activation=activation, name="out")(x), name="chain")


def several():
    given = keras.Input((4,), name="given")
    x = L.Dense(6, activation="tanh", name="trunk")(given)
    outputs = [L.Dense(3, activation="softmax", name="kind")(x), L.Dense(1, name="age")(x), L.Dense(2, activation="sigmoid", name="marks")(x)]
    return keras.Model(given, outputs, name="several")


def unet(units, activation):
    pixels = keras.Input((8, 8, 3), name="pixels")
    x = L.Rescaling(1 / 255, name="scaled")(pixels)
    down = L.Conv2D(4, 3, padding="same", activation="relu", name="down")(x)
    deep = L.Conv2D(6, 3, padding="same", activation="relu", name="deep")(L.MaxPooling2D(name="pool")(down))
    x = L.Concatenate(name="skip")([L.Conv2DTranspose(4, 2, strides=2, name="up")(deep), down])
    return keras.Model(pixels, L.Conv2D(units, 1, activation=activation, name="mask")(x), name="unet")


def save_image(path, pixels):
    from PIL import Image

    Image.fromarray(pixels.astype("uint8")).save(path)


def folder_of_images(folder, random, names, size=8):
    """Class folders; Keras's own order of their samples."""
    pixels, labels = [], []
    for label, name in enumerate(sorted(names)):
        os.makedirs(os.path.join(folder, "photos", name), exist_ok=True)
        for number in range(N // len(names)):
            image = random.randint(0, 256, (size, size, 3)).astype("uint8")
            save_image(os.path.join(folder, "photos", name, f"{number}.png"), image)
            pixels.append(image)
            labels.append(label)
    return np.stack(pixels).astype("float32"), np.array(labels)


def table(folder, x, columns):
    names = [f"x{number}" for number in range(x.shape[1])]
    rows = [",".join([repr(float(value)) for value in x[row]] + [str(column[row]) for column in columns.values()]) for row in range(len(x))]
    with open(os.path.join(folder, "table.csv"), "w") as file:
        file.write("\n".join([",".join([*names, *columns]), *rows]) + "\n")


def texts(values):
    return [repr(float(value)) for value in values]


def case(name, folder):
    """The model, what it is compiled with, the flags, inputs, targets and weights. Writes the data where `folder` is one."""
    random = np.random.RandomState(len(name))
    real = lambda *shape: random.normal(0, 1, shape).astype("float32")
    crossentropy = keras.losses.SparseCategoricalCrossentropy
    photos = ["--data", "photos"]
    rows = ["--data", "table.csv", "--x", "x*", "--targets"]
    if name.startswith("single-label"):
        x, y = folder_of_images(folder, random, ["cat", "dog", "owl"])
        units = 5 if name.endswith("new-head") else 3
        return small(units, "softmax"), dict(loss=crossentropy(), metrics=["accuracy"]), photos, x, y, None
    if name == "logits":
        x, y = folder_of_images(folder, random, ["cat", "dog"])
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        return small(1, None), dict(loss=loss, metrics=[keras.metrics.BinaryAccuracy(threshold=0.0, name="accuracy")]), photos, x, y, None
    if name.startswith("masks"):
        x, _ = folder_of_images(folder, random, ["."])
        kinds = 2 if "binary" in name else 3
        y = random.randint(0, kinds, (N, 8, 8))
        os.makedirs(os.path.join(folder, "masks"))
        for number, mask in enumerate(y):
            save_image(os.path.join(folder, "masks", f"{number}.png"), mask * (255 if kinds == 2 else 1))
        flags = [*photos, "--masks", "masks"]
        if kinds == 2:
            return unet(1, "sigmoid"), dict(loss="binary_crossentropy", metrics=["binary_accuracy"]), flags, x, y[..., None], None
        return unet(5 if name.endswith("new-head") else 3, "softmax"), dict(loss=crossentropy(), metrics=["accuracy"]), flags, x, y, None
    x = real(N, 4)
    if name.startswith("multi-label"):
        units = 6 if name.endswith("new-head") else 3
        y = random.randint(0, 2, (N, 3)).astype("float32")
        y[y.sum(1) == 0, 0] = 1
        table(folder, x, {"tags": ["|".join(f"tag{column}" for column in range(3) if row[column]) for row in y]})
        return chain(units, "sigmoid"), dict(loss="binary_crossentropy", metrics=["binary_accuracy"]), [*rows, "tags"], x, y, None
    if name == "one-value":
        y = real(N, 1)
        table(folder, x, {"age": texts(y[:, 0])})
        return chain(1), dict(loss="mse", metrics=["mae"]), [*rows, "age"], x, y, None
    if name == "many-values":
        y = real(N, 3)
        table(folder, x, {f"y{column}": texts(y[:, column]) for column in range(3)})
        return chain(3), dict(loss="huber", metrics=["mae", keras.metrics.RootMeanSquaredError(name="rmse")]), [*rows, "y*"], x, y, None
    if name == "weighted":
        y, w = random.randint(0, 3, N), random.uniform(0.2, 2, N).astype("float32")
        table(folder, x, {"kind": [f"kind{label}" for label in y], "weight": texts(w)})
        compiled = dict(loss="sparse_categorical_crossentropy", metrics=["accuracy"], weighted_metrics=["accuracy"])
        return chain(3, "softmax"), compiled, [*rows, "kind", "--sample-weight", "weight"], x, y, w
    if name == "several":
        kind, age, marks = random.randint(0, 3, N), real(N, 1), random.randint(0, 2, (N, 2)).astype("float32")
        marks[marks.sum(1) == 0, 0] = 1
        listed = ["|".join(f"m{column}" for column in range(2) if row[column]) for row in marks]
        table(folder, x, {"kind": [f"kind{label}" for label in kind], "age": texts(age[:, 0]), "marks": listed})
        compiled = dict(
            loss={"kind": "sparse_categorical_crossentropy", "age": "mse", "marks": "binary_crossentropy"},
            loss_weights={"kind": 1.0, "age": 0.5, "marks": 2.0},
            metrics={"kind": ["accuracy"], "age": ["mae"], "marks": ["binary_accuracy"]},
        )
        return several(), compiled, [*rows, "kind,age,marks"], x, [kind, age, marks], None
    raise ValueError(name)


def command_line_case(name, folder):
    """Writes a model and its data; the flags that a run needs, and what Keras evaluates of the model."""
    keras.utils.set_random_seed(len(name))
    model, compiled, flags, x, y, weights = case(name, folder)
    model.compile(optimizer=keras.optimizers.SGD(0.05), **compiled)
    evaluated = figures(model.evaluate(x, y, sample_weight=weights, verbose=0, return_dict=True)) if not name.endswith("new-head") else None
    # Keras 2 resolves `accuracy` at the first targets, or when it saves, by the outputs in their place.
    model.save(os.path.join(folder, "model" + VERSION))
    return {"flags": flags, "evaluated": evaluated}


def command_line_result(name, folder, path):
    """What a tuned file evaluates with its own compile config on the data of a case."""
    import tempfile

    with tempfile.TemporaryDirectory() as again:
        *_, x, y, weights = case(name, again)
    model = keras.models.load_model(path)
    if name.startswith(("single-label", "masks", "weighted")) and not hasattr(y, "items"):
        if "sparse" not in f"{model.loss} {type(model.loss).__name__}".lower() and model.output_shape[-1] > 1:
            y = np.eye(model.output_shape[-1], dtype="float32")[y]
    return figures(model.evaluate(x, y, sample_weight=weights, verbose=0, return_dict=True))
