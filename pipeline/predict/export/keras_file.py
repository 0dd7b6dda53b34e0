"""A ``.keras`` file that plain Keras loads in safe mode. A Keras module."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipeline.predict.export.description import DESCRIPTION, LABELS, description_text, labels_text
from pipeline.predict.export.formats import Runtime


def write(path: Path, model: keras.Model, description: Mapping[str, Any]) -> None:
    """Write a model; the file is a ZIP archive, and what describes it lies in it as well."""
    model.save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(DESCRIPTION, description_text(description))
        archive.writestr(LABELS, labels_text(description))


def load(path: Path) -> Runtime:
    """Load a model as anyone would."""
    model = keras.saving.load_model(path, safe_mode=True)

    def run(images: np.ndarray) -> np.ndarray:
        probabilities: np.ndarray = keras.ops.convert_to_numpy(model(images, training=False))
        return probabilities

    return run
