"""A map lies where the base saw what it speaks of, and its colours say how much."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.evidence.drawing import coloured, greatest, on_original, panels
from pipeline.images import DecodeRecipe, decode, decode_full


def spot(size, at, orientation=None):
    """Return a picture file that is black but for a white square around a place."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    x, y = at
    pixels[y - 10 : y + 10, x - 10 : x + 10] = 255
    file, exif = io.BytesIO(), Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.fromarray(pixels).save(file, "JPEG", quality=95, exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
@pytest.mark.parametrize("orientation", [None, 6, 3])
@pytest.mark.parametrize("size", [(160, 100), (100, 160)])
def test_what_is_bright_in_the_square_is_bright_on_the_original(resize, orientation, size):
    data = spot(size, (70, 60), orientation)
    recipe = DecodeRecipe(64, resize)
    seen = decode(data, recipe).mean(2)  # a map that speaks for what is bright
    original = decode_full(data)
    laid = np.nan_to_num(on_original(seen, original.size, recipe))
    assert laid.shape == (original.height, original.width)
    bright = np.asarray(original.convert("L")) > 128
    assert laid[bright].mean() > 150
    assert np.corrcoef(laid.ravel(), bright.ravel())[0, 1] > 0.8


def test_a_crop_says_nothing_of_what_it_left_out():
    laid = on_original(np.ones((4, 4)), (30, 10), DecodeRecipe(32, "crop"))
    assert np.isnan(laid[:, :10]).all()
    assert np.isnan(laid[:, 20:]).all()
    assert (laid[:, 10:20] == 1).all()
    shown = np.asarray(coloured(Image.new("RGB", (30, 10)), laid, 1.0))
    assert len(set(map(tuple, shown[:, 0]))) == 1
    assert (shown[0, 0] > shown[0, 15]).all()


def test_for_is_purple_against_is_orange_and_nothing_has_no_colour():
    values = np.array([[1.0, 0.0, -1.0]], np.float32)
    made = coloured(Image.new("RGB", (3, 1), "white"), values, 1.0)
    purple, white, orange = np.asarray(made)[0].tolist()
    assert purple[2] > purple[0] > purple[1]
    assert white == [255, 255, 255]
    assert orange[0] > orange[1] > orange[2]


def test_the_picture_stays_visible_below():
    image = Image.fromarray(np.array([[[0] * 3, [255] * 3]], np.uint8))
    dark, light = np.asarray(coloured(image, np.ones((1, 2)), 1.0)).astype(int)[0]
    assert (light - dark).min() > 20


def test_a_map_of_nothing_is_drawn():
    assert greatest(np.zeros((2, 2))) > 0
    image = Image.new("RGB", (40, 30))
    drawn = panels(image, [np.zeros((2, 2))] * 2, ["for", "instead"], DecodeRecipe(32))
    assert drawn.width > 120
    assert drawn.height > 30
