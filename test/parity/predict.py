"""Opens a model file with real Keras and writes its predictions: model input shape output."""

import json
import sys

import numpy as np
import keras

path, input_path, shape, output_path = sys.argv[1:5]
inputs = np.fromfile(input_path, dtype="<f4").reshape(json.loads(shape))
model = keras.saving.load_model(path, compile=False)
outputs = np.asarray(model(inputs, training=False), dtype="<f4")
outputs.tofile(output_path)
print(json.dumps({"shape": list(outputs.shape), "trainable": {layer.name: layer.trainable for layer in model.layers}}))
