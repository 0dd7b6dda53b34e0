"""Bring a picture to the square that a recipe asks for, antialiased.

Version 1 of the rules is Pillow's ``resize``, for every interpolation. Version 2 is bilinear only:
that of the Rust crate fast_image_resize, in whole numbers throughout. Weights are rounded to 16
bits; the columns of the picture are summed first, then the rows of the result, and both sums are
rounded to 8 bits. That differs from Pillow by a grey level here and there, and takes a quarter of
the time by the package cykooz-resizer, with the same numbers on every processor. Where there is no
wheel of it (Linux on ARM), `_weighted` sums the same weights, to the last bit, in more time.
"""

import math
import os
import threading
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from pipeline.images.recipe import INTERPOLATIONS, DecodeRecipe

if TYPE_CHECKING:
    from scipy.sparse import csr_array

try:
    import cykooz_resizer as fast
except ImportError:
    fast = None

RgbPicture = Image.Image | np.ndarray
"""An upright picture of mode RGB: as Pillow holds it, or uint8 (height, width, 3)."""

Box = tuple[float, float, float, float]
"""Left, upper, right and lower edge of what is shown of a picture, in its pixels."""

# Values that are scaled at once: larger pictures go in strips, or their copies would be large too.
_STRIP = 12_000_000
# A weight has 16 bits with its sign, and as many binary places as fit, but at most these.
_WEIGHT_BITS, _MOST_PLACES = 15, 21


def size_of(picture: RgbPicture) -> tuple[int, int]:
    """Return width and height."""
    if isinstance(picture, Image.Image):
        return picture.size
    return picture.shape[1], picture.shape[0]


def resize(picture: RgbPicture, recipe: DecodeRecipe) -> np.ndarray:
    """Bring a picture to the recipe's square: uint8 (size, size, 3), RGB, maybe not writable."""
    side, (width, height) = recipe.size, size_of(picture)
    if recipe.resize == "crop":
        shorter = min(width, height)
        left, top = (width - shorter) / 2, (height - shorter) / 2
        return scale(picture, (side, side), recipe, (left, top, left + shorter, top + shorter))
    if recipe.resize == "pad":
        return _pad(picture, recipe)
    return scale(picture, (side, side), recipe)


def _pad(picture: RgbPicture, recipe: DecodeRecipe) -> np.ndarray:
    side, size = recipe.size, size_of(picture)
    factor = side / max(size)
    # A side never vanishes: of a picture 1 × 9000 a line of one pixel remains.
    width, height = (max(1, round(length * factor)) for length in size)
    left, top = (side - width) // 2, (side - height) // 2
    canvas = np.zeros((side, side, 3), np.uint8)
    canvas[top : top + height, left : left + width] = scale(picture, (width, height), recipe)
    return canvas


def scale(
    picture: RgbPicture, size: tuple[int, int], recipe: DecodeRecipe, box: Box | None = None
) -> np.ndarray:
    """Scale a part of a picture, or all of it, by the recipe's interpolation and version.

    Returns:
        uint8 (height, width, 3) of the ``size`` (width, height), RGB; it may not be writable.
    """
    if recipe.version == 1:
        image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
        return np.asarray(image.resize(size, INTERPOLATIONS[recipe.interpolation], box=box))
    width, height = size_of(picture)
    left, top, right, lower = box or (0.0, 0.0, width, height)
    step = max(1, _STRIP // (3 * height))
    if width <= step:
        return _scale(np.asarray(picture), size, (left, top, right, lower))
    strips = (_columns(picture, at, min(at + step, width)) for at in range(0, width, step))
    lowered = [_scale(one, (len(one[0]), size[1]), (0, top, len(one[0]), lower)) for one in strips]
    return _scale(np.concatenate(lowered, axis=1), size, (left, 0, right, size[1]))


def _columns(picture: RgbPicture, start: int, end: int) -> np.ndarray:
    if isinstance(picture, Image.Image):
        return np.asarray(picture.crop((start, 0, end, picture.height)))
    return picture[:, start:end]


def _scale(pixels: np.ndarray, size: tuple[int, int], box: Box) -> np.ndarray:
    if fast is not None:
        return _fast(pixels, size, box)
    left, top, right, lower = box
    rows = _weighted(pixels, top, lower - top, size[1])
    turned = np.ascontiguousarray(rows.transpose(1, 0, 2))
    return _weighted(turned, left, right - left, size[0]).transpose(1, 0, 2)


def small(image: Image.Image, side: int) -> Image.Image:
    """Bring the long side to ``side``; tiny pictures grow by whole numbers and stay sharp."""
    longest = max(image.size)
    if longest * 2 <= side:
        times = side // longest
        sharp = Image.Resampling.NEAREST
        return image.resize((image.width * times, image.height * times), sharp)
    width, height = (max(1, round(length * side / longest)) for length in image.size)
    return image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)


_local = threading.local()
_RAYON = "RAYON_NUM_THREADS"


def _fast(pixels: np.ndarray, size: tuple[int, int], box: Box) -> np.ndarray:
    """Scale by the package; it lets other threads run meanwhile."""
    if not hasattr(_local, "resizer"):
        # One a thread: it is locked while it works, and keeps its buffers.
        _local.resizer = fast.Resizer()
    height, width, _ = pixels.shape
    left, top, right, lower = box
    part = fast.CropBox(left, top, right - left, lower - top)
    bilinear = fast.ResizeAlg.convolution(fast.FilterType.bilinear)
    source = fast.ImageData(width, height, fast.PixelType.U8x3, pixels.tobytes())
    target = fast.ImageData(*size, fast.PixelType.U8x3)
    _local.resizer.resize(source, target, fast.ResizeOptions(bilinear, False, part))
    return np.frombuffer(target.get_buffer(), np.uint8).reshape(size[1], size[0], 3)


def _work_alone() -> None:
    """Keep the package from starting a thread for each core.

    Pictures are decoded in as many threads already, and a process that was forked would wait for
    threads that it does not have. The variable is read once, and given back.
    """
    before = os.environ.get(_RAYON)
    os.environ[_RAYON] = "1"
    try:
        _fast(np.zeros((2, 2, 3), np.uint8), (1, 1), (0, 0, 2, 2))
    finally:
        del os.environ[_RAYON]
        if before is not None:
            os.environ[_RAYON] = before


if fast is not None:
    _work_alone()


def _weighted(pixels: np.ndarray, start: float, length: float, n: int) -> np.ndarray:
    """Scale the first axis of uint8 (limit, m, 3): [start, start + length) becomes n long.

    Returns:
        uint8 (n, m, 3).
    """
    limit, others, _ = pixels.shape
    if length == n and start == round(start):
        return pixels[int(start) : int(start) + n]
    weights, places = _weights(limit, start, length, n)
    sums = weights @ pixels.reshape(limit, -1).astype(np.int32)
    rounded = np.minimum((sums + (1 << places - 1)) >> places, 255)
    return rounded.astype(np.uint8).reshape(n, others, 3)


@lru_cache(maxsize=64)
def _weights(limit: int, start: float, length: float, n: int) -> tuple["csr_array", int]:
    """Return the weight of each old pixel in each new one, (n, limit) int32, and their places.

    As fast_image_resize has them: sums run from the first weight on, and halves are rounded up.
    """
    from scipy.sparse import csr_array

    step = length / n
    radius = max(step, 1.0)
    centres = start + (np.arange(n) + 0.5) * step
    first = np.maximum(np.floor(centres - radius), 0).astype(int)
    last = np.minimum(np.ceil(centres + radius), limit).astype(int)
    columns = first[:, None] + np.arange(int((last - first).max()))
    distances = np.abs((columns - (centres[:, None] - 0.5)) * (1.0 / radius))
    weights = np.where(columns < last[:, None], np.maximum(1.0 - distances, 0.0), 0.0)
    weights /= np.cumsum(weights, axis=1)[:, -1:]
    places = min(_MOST_PLACES, _places(float(weights.max())))
    whole = np.floor(weights * (1 << places) + 0.5).astype(np.int32)
    rows, places_of = np.nonzero(whole)
    return csr_array((whole[rows, places_of], (rows, columns[rows, places_of])), (n, limit)), places


def _places(greatest: float) -> int:
    """Return how many binary places a weight may have, so that the greatest one fits."""
    places = 0
    while math.floor(greatest * (1 << places + 1) + 0.5) < 1 << _WEIGHT_BITS:
        places += 1
    return places
