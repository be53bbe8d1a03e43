"""ONNX Runtime's part in `npm run test:onnx`: `onnx_runtime.py FOLDER RECORD` checks FOLDER/model.onnx and compares its outputs."""

import json
import os
import sys

import numpy as np
import onnx
import onnxruntime

folder, record = sys.argv[1], json.loads(sys.argv[2])
path = os.path.join(folder, "model.onnx")
# By path, as a model in memory may not be larger than 2 GiB; shapes are inferred and compared too.
onnx.checker.check_model(path, full_check=os.path.getsize(path) < 2**30)
session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def read(prefix, index, tensor):
    values = np.fromfile(os.path.join(folder, f"{prefix}-{index}.bin"), tensor["dtype"])
    return values.reshape(tensor["shape"])


feeds = {name: read("input", index, tensor) for index, (name, tensor) in enumerate(zip(record["names"], record["inputs"]))}
expected = [read("output", index, tensor) for index, tensor in enumerate(record["outputs"])]
apart = [float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(session.run(None, feeds), expected)]
print(json.dumps({"apart": max(apart), "outputs": len(apart), "runtime": onnxruntime.__version__, "checker": onnx.__version__}))
