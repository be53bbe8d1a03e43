"""Models that people fine-tune for one thing or another, with the data and the words of `compile` that they take."""

import keras
import numpy as np

L = keras.layers


def tagger():
    words = keras.Input((6,), dtype="int32", name="words")
    x = L.Embedding(9, 6, mask_zero=True, name="embedding")(words)
    x = L.Bidirectional(L.GRU(4, return_sequences=True), name="read")(x)
    return keras.Model(words, L.TimeDistributed(L.Dense(4, activation="softmax"), name="tag")(x), name="tagger")


def unet(classes=3, activation="softmax"):
    pixels = keras.Input((8, 8, 3), name="pixels")
    down = L.Conv2D(6, 3, padding="same", activation="relu", name="down")(pixels)
    deep = L.Conv2D(8, 3, padding="same", activation="relu", name="deep")(L.MaxPooling2D(name="pool")(down))
    up = L.Conv2DTranspose(6, 2, strides=2, name="up")(deep)
    x = L.Concatenate(name="skip")([up, down])
    return keras.Model(pixels, L.Conv2D(classes, 1, activation=activation, name="mask")(x), name="unet")


def several():
    a, b = keras.Input((5,), name="a"), keras.Input((3,), name="b")
    x = L.Dense(8, activation="tanh", name="trunk", kernel_regularizer="l2")(L.Concatenate(name="both")([a, b]))
    kind = L.Dense(3, activation="softmax", name="kind")(x)
    age = L.Dense(1, name="age")(x)
    marks = L.Dense(4, activation="sigmoid", name="marks")(x)
    return keras.Model([a, b], [kind, age, marks], name="several")


def chain(units, activation=None):
    given = keras.Input((5,), name="given")
    x = L.Dense(8, activation="relu", name="first")(given)
    return keras.Model(given, L.Dense(units, activation=activation, name="out")(x), name="chain")


N = 10


def compiled(name):
    """Metrics are made anew: Keras does not reset one that another model has had."""
    return {
        "several": dict(
            loss={
                "kind": keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
                "age": "huber",
                "marks": "binary_crossentropy",
            },
            loss_weights={"kind": 1.0, "age": 0.4, "marks": 2.0},
            metrics={"kind": ["accuracy"], "age": ["mae"], "marks": ["binary_accuracy", keras.metrics.AUC(name="auc")]},
            weighted_metrics={"kind": ["accuracy"], "age": ["mse"]},
        ),
        "labels": dict(loss="binary_crossentropy", metrics=["binary_accuracy", keras.metrics.Precision(name="precision")]),
        "regression": dict(loss="mse", metrics=["mae", keras.metrics.RootMeanSquaredError(name="rmse")]),
        "logits": dict(
            loss=keras.losses.BinaryCrossentropy(from_logits=True), metrics=[keras.metrics.BinaryAccuracy(threshold=0.0, name="accuracy")]
        ),
        "masks": dict(
            loss=keras.losses.SparseCategoricalCrossentropy(ignore_class=2),
            metrics=["accuracy", keras.metrics.MeanIoU(3, sparse_y_pred=False, name="mean_io_u")],
        ),
        "binary-masks": dict(loss="dice", metrics=[keras.metrics.BinaryIoU(name="binary_io_u")]),
        "tags": dict(loss="sparse_categorical_crossentropy", metrics=["accuracy"], weighted_metrics=["accuracy"]),
    }[name]


def situation(name, weighted, seed):
    keras.utils.set_random_seed(seed)
    random = np.random.RandomState(seed)
    real = lambda *shape: random.normal(0, 1, shape).astype("float32")
    index = lambda classes, *shape: random.randint(0, classes, shape).astype("float32")
    samples = lambda: random.uniform(0.2, 2, N).astype("float32")
    if name == "several":
        targets = [np.eye(3, dtype="float32")[random.randint(0, 3, N)], real(N, 1), index(2, N, 4)]
        return several(), [real(N, 5), real(N, 3)], targets, [samples(), samples(), samples()] if weighted else None
    if name == "labels":
        return chain(4, "sigmoid"), [real(N, 5)], [index(2, N, 4)], [samples()] if weighted else None
    if name == "regression":
        return chain(2), [real(N, 5)], [real(N, 2)], [samples()] if weighted else None
    if name == "logits":
        return chain(1), [real(N, 5)], [index(2, N)], [samples()] if weighted else None
    positions = random.uniform(0.2, 2, (N, 8, 8)).astype("float32") if weighted else None
    if name == "masks":
        return unet(), [real(N, 8, 8, 3)], [index(3, N, 8, 8)], None if positions is None else [positions]
    if name == "binary-masks":
        return unet(1, "sigmoid"), [real(N, 8, 8, 3)], [index(2, N, 8, 8, 1)], [samples()] if weighted else None
    steps = random.uniform(0.2, 2, (N, 6)).astype("float32") if weighted else None
    return tagger(), [index(9, N, 6)], [index(4, N, 6)], None if steps is None else [steps]


def figures(values):
    return {name: np.asarray(value, "float64").tolist() for name, value in values.items()}


def alone(values):
    return values if values is None or len(values) > 1 else values[0]


def task(name, path, weighted, steps=4, class_weight=None):
    """A model compiled for its task and saved; what Keras evaluates, then trains in some steps on all samples."""
    model, inputs, targets, weights = situation(name, weighted, len(name))
    model.compile(optimizer=keras.optimizers.Adam(0.01), **compiled(name))
    x, y, w = alone(inputs), alone(targets), alone(weights)
    evaluated = figures(model.evaluate(x, y, sample_weight=w, batch_size=4, verbose=0, return_dict=True))
    model.save(path)
    trained = []
    by_class = class_weight and {int(index): weight for index, weight in class_weight.items()}
    for _ in range(steps):
        model.reset_metrics()
        trained.append(figures(model.train_on_batch(x, y, sample_weight=w, class_weight=by_class, return_dict=True)))
    after = figures(model.evaluate(x, y, sample_weight=w, batch_size=4, verbose=0, return_dict=True))
    return {"inputs": inputs, "targets": targets, "weights": weights, "evaluated": evaluated, "steps": trained, "after": after}


def evaluate_file(path, inputs, targets, weights=None, batch_size=4):
    """What a file's own compile config evaluates."""
    model = keras.saving.load_model(path)
    x, y, w = alone(inputs), alone(targets), alone(weights)
    return figures(model.evaluate(x, y, sample_weight=w, batch_size=batch_size, verbose=0, return_dict=True))
