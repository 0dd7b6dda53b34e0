"""From Keras to OpenVINO, and the gate that a converted model has to pass. A Keras module."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipeline.backbones.engines.network import Network, Outputs
from pipeline.system.startup import import_openvino

ov = import_openvino()


def convert(model: keras.Model, network: Network) -> Any:
    """Convert a Keras model into an OpenVINO one that takes uint8 and names its outputs.

    Args:
        model: What ``network.build`` made, in float32.
        network: What it is.

    Returns:
        A model with the input ``images`` (n, size, size, 3) uint8 and one output per name.

    Raises:
        RuntimeError: An operation of the model is unknown to OpenVINO.
    """

    @tf.function(
        input_signature=[tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.uint8, "images")],
        autograph=False,
    )
    def named(images: Any) -> dict[str, Any]:
        outputs = model(tf.cast(images, tf.float32), training=False)
        outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
        return dict(zip(internal_names(network), outputs, strict=True))

    converted = ov.convert_model(named.get_concrete_function())
    for internal, name in zip(internal_names(network), network.outputs, strict=True):
        converted.output(internal).set_names({name})
    return converted


def internal_names(network: Network) -> list[str]:
    """Return names that TensorFlow keeps and sorts as they are: ``output_000``, …."""
    return [f"output_{number:03}" for number in range(len(network.outputs))]


def parity_images(size: int) -> np.ndarray:
    """Return pictures that use the whole range: smooth, noisy, black and white.

    Returns:
        uint8 (4, size, size, 3), the same at every call.
    """
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 255, size)
    down, right = np.meshgrid(ramp, ramp, indexing="ij")
    smooth = np.stack([down, right, right[:, ::-1]], -1)
    noise = rng.integers(0, 256, (2, size, size, 3))
    checks = np.indices((size, size)).sum(0)[..., None] // 16 % 2 * np.full(3, 255)
    return np.stack([smooth, *noise, checks]).astype(np.uint8)


def differences(reference: Outputs, outputs: Outputs, network: Network) -> dict[str, float]:
    """Return, for each output, max |a − b| / max |a|; infinite where a value is not finite."""
    found = {}
    for name, expected, received in zip(network.outputs, reference, outputs, strict=True):
        greatest = float(np.abs(expected).max()) or 1.0
        difference = float(np.abs(expected - received).max()) / greatest
        found[name] = difference if np.isfinite(difference) else float("inf")
    return found
