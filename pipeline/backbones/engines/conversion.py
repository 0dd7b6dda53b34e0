"""From Keras to OpenVINO: layer by layer, or by TensorFlow where a layer is unknown."""

from contextlib import suppress
from typing import Any

import keras
import tensorflow as tf

from pipeline.backbones.engines.network import Network
from pipeline.backbones.keras_graph import UnknownLayerError, graph_of
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
    with suppress(UnknownLayerError):
        return graph_of(model, network.outputs)

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
