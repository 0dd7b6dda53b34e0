"""The arithmetic that each family's weights expect of its input: pixel · scale + offset.

One table of constants, applied inside a graph. The families are Keras' own
(``keras.applications.imagenet_utils.preprocess_input``), EfficientNet-Lite's, and none, where the
model contains its own preprocessing. For a base that a user brings, these words and mean and
deviation can be asked for. Imports Keras only inside a function.
"""

import dataclasses
import math
import re
from typing import Any

from pipeline.errors import InputError, UnknownNameError

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
    "unit": Preprocessing((1 / 255,) * 3, (0.0,) * 3),
    "raw": Preprocessing((1.0,) * 3, (0.0,) * 3),
    "none": Preprocessing((1.0,) * 3, (0.0,) * 3),
}

WORDS = (
    "raw (0 to 255: the network does it itself), unit (0 to 1), tf (-1 to 1), torch (0 to 1, then "
    "ImageNet's mean and deviation, as torchvision and most of timm), caffe (BGR less ImageNet's "
    "mean), or mean=R,G,B,std=R,G,B of pixels from 0 to 1"
)
_ASKED = ("raw", "unit", "tf", "torch", "caffe")
_NUMBERS = re.compile(r"mean=([^=a-z]+?),?\s*std=([^=a-z]+)")


def read_preprocessing(text: str) -> str:
    """Return what a user asked for in the one way in which recipes say it.

    Raises:
        InputError: It is none of the words, or its numbers are out of range.

    >>> read_preprocessing("mean=0.5, std=.5")
    'mean=0.5,0.5,0.5,std=0.5,0.5,0.5'
    """
    if (word := text.strip()) in _ASKED:
        return word
    found = _NUMBERS.fullmatch(word)
    try:
        mean, std = (_three(part) for part in (found.groups() if found else ("", "")))
    except ValueError:
        raise InputError(f"expected preprocessing as {WORDS}, received {text!r}") from None
    if not all(0 <= value <= 1 for value in mean) or not all(0 < value <= 1 for value in std):
        raise InputError(
            f"expected mean and std of pixels from 0 to 1, received preprocessing={text!r}; divide "
            f"those of pixels from 0 to 255 by 255"
        )
    return f"mean={_text(mean)},std={_text(std)}"


def _three(text: str) -> Channels:
    values = [float(part) for part in text.split(",")]
    if len(values) not in (1, 3) or not all(map(math.isfinite, values)):
        raise ValueError(text)
    r, g, b = values * 3 if len(values) == 1 else values
    return r, g, b


def _text(values: Channels) -> str:
    return ",".join(f"{value:.9g}" for value in values)


def scaled(scale: Channels, offset: Channels) -> str:
    """Return ``pixel · scale + offset`` as recipes say it, in mean and deviation."""
    std = [1 / (255 * value) for value in scale]
    mean = [-off * one for off, one in zip(offset, std, strict=True)]
    return f"mean={_text((mean[0], mean[1], mean[2]))},std={_text((std[0], std[1], std[2]))}"


def constants_of(family: str) -> Preprocessing:
    """Return the arithmetic of a key of ``PREPROCESSINGS``, or of what `read_preprocessing` gave.

    Raises:
        UnknownNameError: It is neither.
    """
    if family in PREPROCESSINGS:
        return PREPROCESSINGS[family]
    if (found := _NUMBERS.fullmatch(family)) is None:
        raise UnknownNameError("preprocessing", family, PREPROCESSINGS)
    mean, std = _three(found[1]), _three(found[2])
    if not all(std):
        raise UnknownNameError("preprocessing", family, PREPROCESSINGS)
    scale = (1 / (255 * std[0]), 1 / (255 * std[1]), 1 / (255 * std[2]))
    return Preprocessing(scale, (-mean[0] / std[0], -mean[1] / std[1], -mean[2] / std[2]))


def preprocessing_layers(x: Any, family: str) -> Any:
    """Apply a family's arithmetic inside a Keras graph.

    Built from stock pieces only, so that a saved model loads anywhere in safe mode, and computed
    in float32 under any dtype policy.

    Args:
        x: KerasTensor (n, h, w, 3), RGB, 0–255.
        family: As for `constants_of`.

    Returns:
        KerasTensor (n, h, w, 3); ``x`` itself for the families ``"none"`` and ``"raw"``.

    Raises:
        UnknownNameError: If the family is none of the table.
    """
    import keras

    constants = constants_of(family)
    if family in ("none", "raw"):
        return x
    if constants.reverse_channels:
        x = keras.ops.flip(x, axis=-1)
    # Explicit names: automatic ones would collide with the base's own Rescaling layers.
    return keras.layers.Rescaling(
        list(constants.scale), list(constants.offset), name="preprocessing", dtype="float32"
    )(x)
