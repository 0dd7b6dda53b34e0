"""The whole model of a bundle: Keras builds it once it is known to be no larger than its file."""

import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import RunError
from pipeline.heads.sound import FAULTS
from pipeline.system.arrays import check_members
from pipeline.system.typed import parse_json, typed

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MOST_CONFIG, MOST_DEPTH = 4 << 20, 200
"""Of what describes the layers: NASNet, the longest, takes 0.8 MB."""


def read_whole(path: Path, side: int, n_classes: int) -> Any:
    """Load a ``keras.Model``; raises RunError where it is none that predicts.

    Keras reads it in safe mode, which runs no code of the file.

    Args:
        path: Its ``.keras`` file.
        side: Of the pictures that it takes.
        n_classes: Probabilities that it gives.
    """
    import keras
    import tensorflow as tf

    try:
        check_members(path)
        _check_weights(path)
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        shapes = tuple(model.input_shape[1:]), tuple(model.output_shape[1:])
        if shapes != ((side, side, 3), (n_classes,)):
            raise ValueError(f"a model from {shapes[0]} to {shapes[1]}")
        if not all(np.isfinite(weight).all() for weight in model.get_weights()):
            raise ValueError("NaN or infinity in its weights")
    except (*FAULTS, tf.errors.OpError) as error:
        raise RunError(
            f"expected a model of {n_classes} classes in {path}, received {type(error).__name__}: "
            f"{error}; restore the file or train again"
        ) from error
    return model


def _check_weights(path: Path) -> None:
    """Raise ValueError where layers are described that are larger than the weights beside them."""
    with zipfile.ZipFile(path) as file:
        if file.getinfo(CONFIG).file_size > MOST_CONFIG:
            raise ValueError(f"a {CONFIG} of more than {MOST_CONFIG:,} bytes")
        config = typed(dict[str, Any], parse_json(file.read(CONFIG), depth=MOST_DEPTH))
        held = file.getinfo(WEIGHTS).file_size
    with ThreadPoolExecutor(1) as thread:  # what Keras has noted of variables ends with it
        described = thread.submit(_described, config).result()
    if described > held:
        raise ValueError(f"layers with {described:,} bytes of weights, of which it holds {held:,}")


def _described(config: dict[str, Any]) -> int:
    """Return how many bytes of weights a config describes, making none of them."""
    import keras

    with keras.StatelessScope(initialize_variables=False):
        model = keras.saving.deserialize_keras_object({**config, "compile_config": None})
    if not isinstance(model, keras.Model):
        raise ValueError(f"a {type(model).__name__}")
    sizes = (np.dtype(one.dtype).itemsize * int(np.prod(one.shape)) for one in model.variables)
    return sum(sizes)
