"""Where a training step spends its time in TensorFlow: step_profile.py graph FOLDER STEPS, or step_profile.py keras MODEL STEPS.

graph: the graph that graph-export-job.mjs wrote, run by this process's TensorFlow. keras: `train_on_batch` of a model with everything
trained, 32 random images, sparse categorical cross-entropy and Adam. Prints JSON: the least wall and processor seconds of a step, the
seconds of its kernels in all, and of the largest by name, as TensorFlow's profiler has them.
"""

import collections
import glob
import json
import pathlib
import sys
import tempfile
import time

import numpy as np
import tensorflow as tf

kind, path, steps, batch = sys.argv[1], sys.argv[2], int(sys.argv[3]), 32
largest = 14


def of_graph(folder):
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    names = json.loads((folder / "names.json").read_text())
    definition = saved.meta_graphs[0].graph_def
    nodes = {node.name: node for node in definition.node}
    fed = []
    for index, name in enumerate(names["inputs"]):
        attributes = nodes[name.split(":")[0]].attr
        shape = [each.size for each in attributes["shape"].shape.dim]
        dtype = tf.dtypes.as_dtype(attributes["dtype"].type).as_numpy_dtype
        fed.append(np.fromfile(folder / f"{index}.bin", "float32").reshape(shape).astype(dtype))
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(definition, name="")
    session = tf.compat.v1.Session(graph=graph)
    tensor = graph.get_tensor_by_name
    call = session.make_callable([tensor(name) for name in names["outputs"]], [tensor(name) for name in names["inputs"]])
    return lambda: call(*fed)


def of_keras(file):
    import keras

    model = keras.saving.load_model(file, compile=False)
    shape = (batch, *model.input_shape[1:])
    inputs = tf.constant(np.random.default_rng(0).uniform(-60, 60, shape), "float32")
    targets = tf.constant(np.arange(batch) % 10)
    model.compile(optimizer=keras.optimizers.Adam(1e-4), loss="sparse_categorical_crossentropy")
    return lambda: model.train_on_batch(inputs, targets)


def kernels(step):
    """Returns the seconds of a step's kernels by name."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    folder = tempfile.mkdtemp()
    tf.profiler.experimental.start(folder, tf.profiler.experimental.ProfilerOptions(host_tracer_level=3))
    step()
    tf.profiler.experimental.stop()
    [file] = glob.glob(f"{folder}/**/*.xplane.pb", recursive=True)
    space = xplane_pb2.XSpace.FromString(pathlib.Path(file).read_bytes())
    seconds = collections.Counter()
    for plane in space.planes:
        for event in (event for line in plane.lines for event in line.events):
            # Kernels are named NODE:OPERATION; functions, which hold kernels, and what is of C++ are named otherwise.
            node, _, operation = plane.event_metadata[event.metadata_id].name.rpartition(":")
            if node and not node.endswith(":") and operation.isidentifier():
                seconds[operation] += event.duration_ps / 1e12
    return seconds


step = of_graph(pathlib.Path(path)) if kind == "graph" else of_keras(path)
# The first step traces and optimizes the graph, and the one after it is often slow as well.
for _ in range(2):
    step()
taken = []
for _ in range(steps):
    began, before = time.perf_counter(), time.process_time()
    step()
    taken.append((time.perf_counter() - began, time.process_time() - before))
seconds, processor = (min(figures) for figures in zip(*taken))
own = kernels(step)
print(
    "\n"
    + json.dumps(
        {
            "seconds": seconds,
            "processor": processor,
            "inKernels": sum(own.values()),
            "ofProducts": sum(value for name, value in own.items() if "Conv" in name or "MatMul" in name or "Einsum" in name),
            "kernels": dict(own.most_common(largest)),
        }
    )
)
