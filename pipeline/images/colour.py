"""Turn every colour mode that a picture file may have into RGB, by stated rules.

| mode of the file | becomes |
|---|---|
| 1-bit, 8-bit grey; signed 8-bit grey from 0 on | the same value in R, G and B |
| palette | the palette's colours |
| any transparency (alpha channel, transparent palette entry or colour) | composited over white |
| 16-bit colour | the high byte of each value, as Pillow reads it |
| 16-bit grey; 32-bit integer grey with values from 0 to 65535 | value / 257, rounded |
| grey below 0 or beyond 65535; floating point | refused: no range of values is agreed on |
| CMYK | as Pillow converts (ink subtracted from white, no profile; Adobe's inversion undone) |
| YCbCr, HSV | as Pillow converts |
| CIELAB | through LittleCMS to sRGB, perceptual intent |

Embedded colour profiles are not applied: the pretrained backbones were not trained on pictures
treated so.
"""

import numpy as np
from PIL import Image, ImageCms, TiffImagePlugin

from pipeline.errors import DecodeError

_SAMPLE_FORMAT, _SIGNED = 339, 2
_PLAIN_MODES = ("1", "L", "P", "RGBX", "CMYK", "YCbCr", "HSV")


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a loaded image of any mode to RGB by the table above.

    Returns:
        An image of the same size; the same object if it was RGB already.

    Raises:
        DecodeError: If no rule covers the mode or its values.
    """
    if image.mode.startswith("I"):
        return _from_integers(image)
    if image.has_transparency_data:
        return _over_white(image)
    if image.mode == "RGB":
        return image
    if image.mode in _PLAIN_MODES:
        _refuse_wrapped(image)
        return image.convert("RGB")
    if image.mode == "LAB":
        return _from_lab(image)
    what = "floating-point pixels" if image.mode == "F" else f"pixels of mode {image.mode}"
    raise DecodeError(f"{what} have no agreed range: save as 8-bit or 16-bit")


def _refuse_wrapped(image: Image.Image) -> None:
    """Refuse signed grey of 8 bits below 0, which Pillow takes for 128 and more."""
    if image.mode != "L" or not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    values = np.asarray(image).view(np.int8)
    if set(image.tag_v2.get(_SAMPLE_FORMAT, ())) == {_SIGNED} and values.min() < 0:
        raise _no_range(int(values.min()), int(values.max()))


def _from_integers(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey to 8 bits; Pillow's own conversion would clip everything above 255."""
    values = np.asarray(image)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise _no_range(low, high)
    grey = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return Image.fromarray(grey).convert("RGB")


def _no_range(low: int, high: int) -> DecodeError:
    return DecodeError(
        f"grey values from {low} to {high} have no agreed range: save as 8-bit or 16-bit"
    )


def _over_white(image: Image.Image) -> Image.Image:
    try:
        rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    except (ValueError, TypeError, OverflowError) as error:
        raise DecodeError(f"the transparent colour cannot be read: {error}") from error
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")


def _from_lab(image: Image.Image) -> Image.Image:
    try:
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(lab, srgb, "LAB", "RGB")
        converted = ImageCms.applyTransform(image, transform)
    except (ImageCms.PyCMSError, ImportError) as error:
        raise DecodeError(f"CIELAB could not be converted to RGB: {error}") from error
    assert converted is not None  # only an in-place transform returns None
    return converted
