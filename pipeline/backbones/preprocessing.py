"""The arithmetic that each family's weights expect of its input: pixel · scale + offset.

One table of constants, applied inside a Keras graph. The families are Keras' own
(``keras.applications.imagenet_utils.preprocess_input``), EfficientNet-Lite's, and none, where the
model contains its own preprocessing. Imports Keras only inside a function.
"""

import dataclasses
from typing import Any

from pipeline.errors import UnknownNameError

Channels = tuple[float, float, float]

_MEAN: Channels = (0.485, 0.456, 0.406)
_STD: Channels = (0.229, 0.224, 0.225)


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """``output = channels · scale + offset``, channels reversed to BGR first if so stated.

    Args:
        scale: Factor per output channel.
        offset: Summand per output channel.
        reverse_channels: Whether the network takes BGR.
    """

    scale: Channels
    offset: Channels
    reverse_channels: bool = False


PREPROCESSINGS: dict[str, Preprocessing] = {
    "caffe": Preprocessing((1.0, 1.0, 1.0), (-103.939, -116.779, -123.68), reverse_channels=True),
    "tf": Preprocessing((1 / 127.5,) * 3, (-1.0,) * 3),
    # ((x / 255) − mean) / std
    "torch": Preprocessing(
        (1 / (255 * _STD[0]), 1 / (255 * _STD[1]), 1 / (255 * _STD[2])),
        (-_MEAN[0] / _STD[0], -_MEAN[1] / _STD[1], -_MEAN[2] / _STD[2]),
    ),
    # (x − 127) / 128; exact in float32, since 128 is a power of two.
    "lite": Preprocessing((1 / 128,) * 3, (-127 / 128,) * 3),
    "none": Preprocessing((1.0,) * 3, (0.0,) * 3),
}


def preprocessing_layers(x: Any, family: str) -> Any:
    """Apply a family's arithmetic inside a Keras graph.

    Built from stock pieces only, so that a saved model loads anywhere in safe mode, and computed
    in float32 under any dtype policy.

    Args:
        x: KerasTensor (n, h, w, 3), RGB, 0–255.
        family: A key of ``PREPROCESSINGS``.

    Returns:
        KerasTensor (n, h, w, 3); ``x`` itself for the family ``"none"``.

    Raises:
        UnknownNameError: If the family is none of the table.
    """
    import keras

    if family not in PREPROCESSINGS:
        raise UnknownNameError("preprocessing", family, PREPROCESSINGS)
    constants = PREPROCESSINGS[family]
    if family == "none":
        return x
    if constants.reverse_channels:
        x = keras.ops.flip(x, axis=-1)
    # Explicit names: automatic ones would collide with the base's own Rescaling layers.
    return keras.layers.Rescaling(
        list(constants.scale), list(constants.offset), name="preprocessing", dtype="float32"
    )(x)
