"""What is learnt of a picture while it is decoded, and has to be told: what it loses thereby.

A remark is four numbers, so that those of many pictures are one array, int32 (n, 4): the bits of a
value in the file (0 where nothing is to be said of its values), the lowest and the highest value,
and what was dropped.
"""

import io
from contextlib import suppress
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin

from pipeline.images.sniff import BOMBS, PILLOW_FAILURES
from pipeline.system.units import counted

N_NUMBERS = 4
NO_REMARK = (0, 0, 0, 0)
FRAMES, PLANES = 1, 2

Remark = tuple[int, int, int, int]

_BITS, _LOW, _HIGH, _DROPPED = range(N_NUMBERS)
_SAID = {
    FRAMES: "several frames or pages, of which the first is used",
    PLANES: "planes beside colour and transparency, which are not used",
}

# What few values are does not count: a dead pixel, a letter in the corner of an X-ray.
_OUTLIERS = 0.005
_SAMPLE = 100_000

# What an MPO has beside its picture (a preview, a map of brightness) is no other picture.
_ANIMATED = ("PNG", "WEBP", "AVIF", "HEIF")
_SUBFILE, _REDUCED = 254, 1
_EXTRA_SAMPLES, _UNSPECIFIED = 338, 0


def remark_on(image: Image.Image, rgb: Image.Image, data: bytes, raw_mode: str) -> Remark:
    """Say what is lost of a picture, or hardly to be seen.

    It is given as it was loaded, converted, and as the file; ``raw_mode`` is how Pillow calls the
    pixels in the file.
    """
    bits, low, high = 0, 0, 0
    if image.mode.startswith("I"):
        bits, (low, high) = 16, _middle(np.asarray(image))
    elif ";16" in raw_mode and image.format in ("PNG", "TIFF"):
        bits, (low, high) = 16, _extremes(image)
        low, high = low << 8, high << 8 | 255  # the high byte of each value is left
    elif image.mode in ("L", "LA", "P"):
        low, high = _extremes(rgb if image.mode == "P" else image)
        bits = 8 if _is_narrow(8, low, high) else 0
    dropped = PLANES if _has_planes(image) else 0
    with suppress(*PILLOW_FAILURES, *BOMBS):  # what cannot be read is no frame
        dropped |= FRAMES if _has_more(image, data) else 0
    return (bits, low, high, dropped) if bits else (0, 0, 0, dropped)


def _extremes(image: Image.Image) -> tuple[int, int]:
    """Return the lowest and the highest value of all channels but alpha."""
    found = np.reshape(image.getextrema(), (-1, 2))
    colours = found[[band not in "Aa" for band in image.getbands()]]
    return int(colours[:, 0].min()), int(colours[:, 1].max())


def _middle(values: np.ndarray) -> tuple[int, int]:
    """Return the extremes; of 99 in 100 values where these alone are narrow."""
    low, high = int(values.min()), int(values.max())
    if _is_narrow(16, low, high):
        return low, high
    some = values.reshape(-1)[:: values.size // _SAMPLE | 1]
    inner = np.quantile(some, (_OUTLIERS, 1 - _OUTLIERS), method="nearest").astype(int)
    return tuple(inner.tolist()) if _is_narrow(16, *inner) else (low, high)


def _is_narrow(bits: Any, low: Any, high: Any) -> Any:
    """Say whether less than a quarter of the range of values is used, of one picture or many."""
    return (high - low) * 4 < (1 << bits) - 1


def _has_more(image: Image.Image, data: bytes) -> bool:
    """Say whether there are frames or pages beside the first."""
    if image.format in _ANIMATED:
        return _goes_on(image)
    if image.format not in ("GIF", "TIFF"):
        return False
    # Another object: looking for more changes what has been loaded.
    with Image.open(io.BytesIO(data), formats=(image.format,)) as again:
        return _has_page(again) if image.format == "TIFF" else _goes_on(again)


def _goes_on(image: Image.Image) -> bool:
    return bool(getattr(image, "is_animated", False))


def _has_page(image: Image.Image) -> bool:
    """Say whether a TIFF has a second page that is no smaller copy of the first."""
    assert isinstance(image, TiffImagePlugin.TiffImageFile)
    for page in range(1, image.n_frames):
        image.seek(page)
        if not image.tag_v2.get(_SUBFILE, 0) & _REDUCED:
            return True
    return False


def _has_planes(image: Image.Image) -> bool:
    """Say whether a TIFF has planes beside colours and alpha."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return False
    return _UNSPECIFIED in image.tag_v2.get(_EXTRA_SAMPLES, ())


def sentences(remarks: np.ndarray) -> list[str]:
    """Say what is lost of pictures with these remarks, (n, 4) int32, and of how many."""
    has_16_bits = remarks[:, _BITS] == 16
    faint = remarks[has_16_bits & _narrow(remarks)]
    said = []
    if len(faint):
        low, high = int(faint[:, _LOW].min()), int(faint[:, _HIGH].max())
        look = "black" if high < 1 << 14 else "without contrast"
        said.append(
            f"{len(faint)} of {has_16_bits.sum()} 16-bit pictures use less than a quarter of their "
            f"value range ({low:,}–{high:,} of 0–65,535): they are scaled as 0–65,535 and look "
            f"almost {look}; stretch their values to 0–65,535, or save them as 8-bit"
        )
    for flag, what in _SAID.items():
        if n := int((remarks[:, _DROPPED] & flag != 0).sum()):
            said.append(f"{counted(n, 'picture')} {'has' if n == 1 else 'have'} {what}")
    return said


def noted(remarks: np.ndarray) -> dict[int, str]:
    """Return what is lost of each picture that loses some, by its row of the remarks (n, 4).

    >>> noted(np.array([[16, 0, 4095, 0], [16, 0, 65535, 0], [8, 0, 5, 1]]))[2]
    '8-bit values 0–5 of 0–255; several frames or pages, of which the first is used'
    """
    narrow, dropped = _narrow(remarks), remarks[:, _DROPPED]
    found = {}
    for row in np.flatnonzero(narrow | (dropped != 0)).tolist():
        bits, low, high, _ = remarks[row].tolist()
        values = f"{bits}-bit values {low:,}–{high:,} of 0–{(1 << bits) - 1:,}"
        parts = [text for flag, text in _SAID.items() if dropped[row] & flag]
        found[row] = "; ".join([values, *parts] if narrow[row] else parts)
    return found


def _narrow(remarks: np.ndarray) -> np.ndarray:
    """Say of which pictures less than a quarter of the range of values is used: (n,) bool."""
    bits, low, high = (remarks[:, place].astype(int) for place in (_BITS, _LOW, _HIGH))
    return (bits > 0) & _is_narrow(bits, low, high)
