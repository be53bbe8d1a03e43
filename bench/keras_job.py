"""One fine-tuning job of real Keras: keras_job.py MODEL PHOTOS CUT EPOCHS BATCH {fit|features} [PREPROCESS]. Prints its figures as JSON.

fit: tf.data with cache and prefetch, everything before CUT frozen, model.fit. features: predict the layer before the head once,
then train the head alone. Images as `finetune` takes them: bilinear to the model's size, preprocessed by the mode (caffe, tf, torch,
none; caffe by default).
"""

import pathlib
import sys

import keras
import tensorflow as tf
from keras_clock import Clock, print_figures

path, photos, cut, epochs, batch, kind = sys.argv[1:7]
preprocess = sys.argv[7] if len(sys.argv) > 7 else "caffe"
epochs, batch = int(epochs), int(batch)
classes = sorted(folder.name for folder in (pathlib.Path(photos) / "train").iterdir())


def read(name, label):
    image = tf.io.decode_image(tf.io.read_file(name), channels=3, expand_animations=False)
    image = tf.image.resize(image, model.input_shape[1:3])
    if preprocess != "none":
        image = keras.applications.imagenet_utils.preprocess_input(image, mode=preprocess)
    return image, label


def listed(split):
    names, labels = [], []
    for label, folder in enumerate(classes):
        for name in sorted((pathlib.Path(photos) / split / folder).iterdir()):
            names.append(str(name))
            labels.append(label)
    return tf.data.Dataset.from_tensor_slices((names, keras.utils.to_categorical(labels, len(classes)))), len(names)


def batches(split, shuffled):
    names, count = listed(split)
    data = names.map(read, num_parallel_calls=tf.data.AUTOTUNE).apply(tf.data.experimental.ignore_errors()).cache()
    if shuffled:
        data = data.shuffle(count, seed=0)
    return data.batch(batch).prefetch(tf.data.AUTOTUNE)


keras.utils.set_random_seed(0)
model = keras.saving.load_model(path, compile=False)
features = model.layers[-2].output
outputs = keras.layers.Dense(len(classes), activation="softmax", name="predictions")
clock = Clock()
if kind == "features":
    trunk = keras.Model(model.input, features)

    def extracted(split):
        data = batches(split, False)
        return trunk.predict(data, verbose=0), tf.concat([labels for _, labels in data], 0).numpy()

    (x, y), held = extracted("train"), extracted("val")
    head = keras.Sequential([keras.Input(x.shape[1:]), outputs])
    head.compile(optimizer=keras.optimizers.Adam(1e-3), loss="categorical_crossentropy", metrics=["accuracy"])
    history = head.fit(x, y, batch_size=batch, epochs=epochs, validation_data=held, callbacks=[clock], verbose=0)
else:
    tuned = keras.Model(model.input, outputs(features))
    freezing = cut != "none"
    for layer in tuned.layers:
        if freezing and (layer.name == "predictions" if cut == "head" else layer.name.startswith(cut)):
            freezing = False
        layer.trainable = not freezing
    rate = 1e-3 if cut == "head" else 1e-4
    tuned.compile(optimizer=keras.optimizers.Adam(rate), loss="categorical_crossentropy", metrics=["accuracy"])
    history = tuned.fit(
        batches("train", True), epochs=epochs, validation_data=batches("val", False), callbacks=[clock], verbose=0
    )
print_figures(clock, loss=history.history["loss"])
