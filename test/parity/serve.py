"""Real Keras, answering questions: one JSON object a line in and out, arrays in a file beside each."""

import json
import os
import sys
import traceback

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import numpy as np
import tensorflow as tf

from ask_keras import actions


def with_arrays(value, buffer):
    """`{"shape", "offset"}` of a question as arrays."""
    if isinstance(value, dict):
        if set(value) == {"shape", "strings"}:
            return tf.reshape(tf.constant(value["strings"], "string"), value["shape"])
        if set(value) == {"shape", "offset"}:
            count = int(np.prod(value["shape"]))
            return np.frombuffer(buffer, "<f4", count, value["offset"]).reshape(value["shape"])
        return {key: with_arrays(item, buffer) for key, item in value.items()}
    if isinstance(value, list):
        return [with_arrays(item, buffer) for item in value]
    return value


def without_arrays(value, file):
    """Arrays of an answer as `{"shape", "offset"}` in `file`, texts as `{"shape", "strings"}`."""
    if isinstance(value, tf.Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        return {"shape": list(value.shape), "strings": [text.decode() for text in value.reshape(-1)]}
    if isinstance(value, np.ndarray):
        place = {"shape": list(value.shape), "offset": file.tell()}
        file.write(np.ascontiguousarray(value, dtype="<f4").tobytes())
        return place
    if isinstance(value, dict):
        return {key: without_arrays(item, file) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_arrays(item, file) for item in value]
    return value


question_file, answer_file = sys.argv[1:3]
for line in sys.stdin:
    try:
        question = json.loads(line)
        with open(question_file, "rb") as file:
            arguments = with_arrays(question["arguments"], file.read())
        with open(answer_file, "wb") as file:
            answer = {"answer": without_arrays(actions[question["action"]](**arguments), file)}
    except Exception:
        answer = {"error": traceback.format_exc()}
    answers.write(json.dumps(answer) + "\n")
    answers.flush()
