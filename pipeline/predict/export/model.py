"""The whole model of a run, from pictures to probabilities, in plain Keras. A Keras module."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from pipeline.features.base import frozen_from_dict
from pipeline.heads import NetworkHead
from pipeline.heads.fitted import centred
from pipeline.heads.transplant import transplant, with_probabilities
from pipeline.predict.export.description import INPUT, OUTPUT
from pipeline.runs import Bundle


def whole_model(bundle: Bundle) -> keras.Model:
    """Return (n, s, s, 3) RGB 0–255 to (n, k) probabilities, computed in float32.

    Args:
        bundle: A linear or dense head on its base, or a fine-tuned model.

    Raises:
        WeightsError: The base's weights are gone, or not what they were.
    """
    if bundle.head is None:
        return keras.saving.load_model(bundle.model_path, compile=False, safe_mode=True)
    assert isinstance(bundle.head, NetworkHead), type(bundle.head)
    extractor = frozen_from_dict(bundle.base).build()
    return with_probabilities(transplant(extractor, centred(bundle.head)))


def serving_function(model: keras.Model) -> Any:
    """Return a ``tf.function`` from ``images`` uint8 of any number to ``probabilities``."""
    shape = (None, *model.inputs[0].shape[1:])

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.uint8, INPUT)], autograph=False)
    def serve(images: Any) -> dict[str, Any]:
        with _inlined():
            return {OUTPUT: model(tf.cast(images, tf.float32), training=False)}

    return serve


@contextmanager
def _inlined() -> Iterator[None]:
    """Trace functions in functions as part of the outer one.

    Keras wraps grouped convolutions into functions for XLA, and no converter looks into those.
    """
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)
