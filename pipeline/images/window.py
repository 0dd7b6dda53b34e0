"""Cut a shifted, scaled, turned square out of a picture, antialiased.

Pillow's affine transform does not antialias, its resize does but cannot turn. So whatever keeps to
the axes is one resize of a box. A turn is a resize to a finer grid than the result's, where nothing
is left to alias, and a bilinear transform from there: held against turning the picture at its full
size, that is closer than a bicubic transform on the result's own grid (43.5 against 42.4 dB) and
faster. Beyond the picture lies its mirror image, or black where the decode recipe pads with black.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from pipeline.images.recipe import DecodeRecipe
from pipeline.images.scale import RgbPicture, scale, size_of

# Pixels of the finer grid to a pixel of the result.
_FINER = 1.25
# What a transform may read beyond the corners of the result, in pixels of the result.
_SUPPORT = 2


@dataclass(frozen=True)
class Window:
    """A rectangle on a picture, in pixels of the picture; it may reach beyond it.

    Args:
        left, top: Its upper left corner.
        width, height: Its sides.
        degrees: By how much what it shows is turned about its middle, counterclockwise.
    """

    left: float
    top: float
    width: float
    height: float
    degrees: float = 0.0

    def part(self, left: float, top: float, width: float, height: float) -> "Window":
        """Return a part of it, given in fractions of its sides; below 0 and above 1 is outside."""
        return replace(
            self,
            left=self.left + left * self.width,
            top=self.top + top * self.height,
            width=width * self.width,
            height=height * self.height,
        )


def whole(size: tuple[int, int], recipe: DecodeRecipe) -> Window:
    """Return what the clean picture shows of a picture of ``size`` (width, height)."""
    width, height = size
    if recipe.resize == "squash":
        return Window(0, 0, width, height)
    side = min(size) if recipe.resize == "crop" else max(size)
    return Window((width - side) / 2, (height - side) / 2, side, side)


def show(image: RgbPicture, window: Window, recipe: DecodeRecipe) -> Image.Image:
    """Return what the window shows, as an RGB image of the square that the recipe asks for.

    Some of the window must lie on the image. The recipe says whether black or a mirror image lies
    beyond the picture.
    """
    if window.degrees:
        return _turned(image, window, recipe)
    width, height = size_of(image)
    x = _on_grid(window.left, window.width, width, recipe.size)
    y = _on_grid(window.top, window.height, height, recipe.size)
    return _tile(image, x, y, recipe)


def _turned(image: RgbPicture, window: Window, recipe: DecodeRecipe) -> Image.Image:
    size, angle = recipe.size, math.radians(window.degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    # The corners of a turned square reach beyond the square itself.
    margin = (cos + abs(sin) - 1) / 2 + _SUPPORT / size
    wider = window.part(-margin, -margin, 1 + 2 * margin, 1 + 2 * margin)
    x_scale, y_scale = _FINER * size / window.width, _FINER * size / window.height
    width, height = size_of(image)
    x = _at_scale(wider.left, wider.width, width, x_scale)
    y = _at_scale(wider.top, wider.height, height, y_scale)
    # From a point of the result, seen from its middle, turned, to the tile's pixels.
    x_step, y_step = x.scale * window.width / size, y.scale * window.height / size
    middle_x = x.pixel(window.left + window.width / 2)
    middle_y = y.pixel(window.top + window.height / 2)
    matrix = (
        x_step * cos,
        -x_step * sin,
        middle_x - x_step * (cos - sin) * size / 2,
        y_step * sin,
        y_step * cos,
        middle_y - y_step * (sin + cos) * size / 2,
    )
    return _tile(image, x, y, recipe).transform(
        (size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    )


@dataclass(frozen=True)
class _Axis:
    """Along one axis: the stretch of the picture that is shown, and the pixels for it.

    Args:
        low, high: The stretch, in pixels of the picture.
        n_pixels: Pixels of the tile that show it.
        before, after: Pixels of the tile that lie beyond the picture.
        scale: Pixels of the tile to a pixel of the picture.
    """

    low: float
    high: float
    n_pixels: int
    before: int
    after: int
    scale: float

    def pixel(self, position: float) -> float:
        """Return where in the tile a position in the picture lies."""
        return self.before + (position - self.low) * self.scale


def _on_grid(start: float, length: float, limit: int, side: int) -> _Axis:
    """Lay ``side`` pixels over [start, start + length), of which [0, limit) is picture.

    Whole pixels lie on the picture and at least one does, as with the decode recipe's own padding.
    """
    low, high = _overlap(start, length, limit)
    scale = side / length
    before = min(round((low - start) * scale), side - 1)
    after = min(round((start + length - high) * scale), side - 1 - before)
    return _Axis(low, high, side - before - after, before, after, scale)


def _at_scale(start: float, length: float, limit: int, scale: float) -> _Axis:
    """Lay whole pixels exactly over the picture's part, by making them a little smaller.

    A line too thin for that is drawn one pixel wide.
    """
    low, high = _overlap(start, length, limit)
    n_pixels = math.ceil((high - low) * scale)
    if (high - low) * scale > 1:
        scale = n_pixels / (high - low)
    before = math.ceil((low - start) * scale)
    after = math.ceil((start + length - high) * scale)
    return _Axis(low, high, n_pixels, before, after, scale)


def _overlap(start: float, length: float, limit: int) -> tuple[float, float]:
    low, high = max(start, 0.0), min(start + length, float(limit))
    assert low < high, "no part of the window lies on the picture"
    return low, high


def _tile(image: RgbPicture, x: _Axis, y: _Axis, recipe: DecodeRecipe) -> Image.Image:
    """Resize the part of the picture that is shown, and fill up what lies beyond it."""
    inside = scale(image, (x.n_pixels, y.n_pixels), recipe, (x.low, y.low, x.high, y.high))
    beyond = ((y.before, y.after), (x.before, x.after), (0, 0))
    if any(map(any, beyond)):
        inside = np.pad(inside, beyond, "constant" if recipe.resize == "pad" else "symmetric")
    return Image.fromarray(inside)
