"""A ``.tflite`` file in float32, and LiteRT's interpreter to check it. A Keras module."""

import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from pipeline.predict.export.description import (
    DESCRIPTION,
    INPUT,
    LABELS,
    OUTPUT,
    description_text,
    labels_text,
)
from pipeline.predict.export.formats import Runtime
from pipeline.predict.export.model import serving_function


def write(path: Path, model: keras.Model, description: Mapping[str, Any]) -> None:
    """Write a model; what describes it is a ZIP archive at the end of the file.

    That is where TensorFlow Lite's own metadata keep class names: ``unzip -p FILE labels.txt``.
    """
    path.write_bytes(_converted(model))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(LABELS, labels_text(description))
        archive.writestr(DESCRIPTION, description_text(description))


def _converted(model: keras.Model) -> bytes:
    # Through a saved model, as only that gives a signature with the names of input and output.
    module = tf.Module()
    module.serve = serving_function(model)
    module.held = [variable.value for variable in model.variables]
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=module.serve)
        made: bytes = tf.lite.TFLiteConverter.from_saved_model(folder).convert()
    return made


def load(path: Path) -> Runtime:
    """Load a model in LiteRT, on the CPU."""
    runner = Interpreter(str(path)).get_signature_runner()

    def run(images: np.ndarray) -> np.ndarray:
        return np.array(runner(**{INPUT: images})[OUTPUT])

    return run
