"""Maps on the original pictures: the way into the square undone, colours, a scale.

The colours are purple and orange, with white where nothing is said: ColorBrewer's PuOr, which
colour-blind eyes tell apart, and which print (Harrower and Brewer 2003). Below them the picture
stays visible in grey; the stronger a place speaks, the more it is covered.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from pipeline.images import DecodeRecipe

SIDE = 288
FOR, AGAINST = (84, 39, 143), (230, 97, 1)
_COVER, _PALE, _UNSEEN = 0.8, 0.55, 0.6
_GAP, _FOOT, _TEXT = 8, 46, 13
_NOTHING = 1e-9


def on_original(cells: np.ndarray, size: tuple[int, int], recipe: DecodeRecipe) -> np.ndarray:
    """Lay a map of the square that the base sees over the upright original.

    Args:
        cells: (h, w), equal parts of the square.
        size: Width and height of the original as it is shown.
        recipe: How it became the square.

    Returns:
        (height, width) float32; NaN where the base does not see.
    """
    (width, height), (h, w) = size, cells.shape
    image = Image.fromarray(np.asarray(cells, np.float32))
    if recipe.resize == "crop":
        side = min(size)
        shown = np.full((height, width), np.nan, np.float32)
        top, left = (height - side) // 2, (width - side) // 2
        square = np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))
        shown[top : top + side, left : left + side] = square
        return shown
    box = (0.0, 0.0, float(w), float(h))
    if recipe.resize == "pad":
        right, down = (w * width / max(size), h * height / max(size))
        box = ((w - right) / 2, (h - down) / 2, (w + right) / 2, (h + down) / 2)
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR, box=box))


def greatest(values: np.ndarray) -> float:
    """Return the end of the scale of a map."""
    return max(float(np.nanmax(np.abs(values), initial=0.0)), _NOTHING)


def coloured(image: Image.Image, values: np.ndarray, end: float) -> Image.Image:
    """Colour a picture by a map.

    Args:
        image: RGB.
        values: (height, width); NaN stays pale and without a colour.
        end: What is covered most.
    """
    made = image.convert("L").point(lambda grey: round(255 - (255 - grey) * _PALE)).convert("RGB")
    strength = np.nan_to_num(np.asarray(values, np.float32)) / end
    for colour, towards in ((FOR, strength), (AGAINST, -strength)):
        cover = np.clip(towards, 0, 1) * (_COVER * 255)
        made.paste(colour, mask=Image.fromarray(cover.astype(np.uint8)))
    unseen = np.isnan(values) * np.uint8(_UNSEEN * 255)
    made.paste("white", mask=Image.fromarray(unseen))
    return made


def panels(
    image: Image.Image, maps: Sequence[np.ndarray], titles: Sequence[str], recipe: DecodeRecipe
) -> Image.Image:
    """Draw a picture and its maps side by side, with one scale.

    Args:
        image: The upright original, as large as it is shown.
        maps: Of the square, (h, w) each.
        titles: What stands below each.
        recipe: How the original became the square.
    """
    laid = [on_original(one, image.size, recipe) for one in maps]
    end = max(map(greatest, laid))
    shown = [image, *(coloured(image, one, end) for one in laid)]
    width, height = image.size
    sheet = Image.new("RGB", (len(shown) * (width + _GAP) - _GAP, height + _FOOT), "white")
    for number, one in enumerate(shown):
        sheet.paste(one, (number * (width + _GAP), 0))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_TEXT)
    for number, title in enumerate(titles, 1):
        draw.text((number * (width + _GAP), height + 4), title, "black", font)
    _scale(sheet, (width + _GAP, height + _FOOT - 20, sheet.width), end)
    return sheet


def _scale(sheet: Image.Image, place: tuple[int, int, int], end: float) -> None:
    """Draw the colours from −end to +end with their values."""
    left, top, right = place
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_TEXT)
    low, high = f"{-end:.2g} against", f"for +{end:.2g}"
    first = left + int(draw.textlength(low, font)) + _GAP
    last = max(first + 20, right - int(draw.textlength(high, font)) - _GAP)
    bar = Image.new("RGB", (last - first, 12), "white")
    values = np.tile(np.linspace(-1, 1, bar.width), (bar.height, 1))
    draw.text((left, top), low, "black", font)
    draw.text((last + _GAP, top), high, "black", font)
    sheet.paste(coloured(bar, values, 1.0), (first, top + 2))


def write_png(path: Path, image: Image.Image, told: dict[str, str]) -> None:
    """Write a PNG file that says in its own texts what it shows."""
    texts = PngImagePlugin.PngInfo()
    for key, text in told.items():
        texts.add_itxt(key, text)
    image.save(path, "PNG", pnginfo=texts, compress_level=1)
