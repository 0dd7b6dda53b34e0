"""Scaling by version 2: the same whole numbers by every way, near to Pillow's."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from pipeline.images import RESIZE_MODES, DecodeRecipe, scale
from pipeline.images.scale import resize, size_of

RECIPE = DecodeRecipe(8)


def noise(width, height):
    return np.random.default_rng(width * height).integers(0, 256, (height, width, 3), np.uint8)


def black_and_white(width, height):
    return 255 * np.random.default_rng(width + height).integers(0, 2, (height, width, 3), np.uint8)


@pytest.fixture
def without_the_package(monkeypatch):
    monkeypatch.setattr(scale, "fast", None)


def levels():
    """Every set of instructions that this processor has, and none."""
    fast = pytest.importorskip("cykooz_resizer")
    known = fast.CpuExtensions
    best = fast.Resizer().cpu_extensions
    return {
        known.avx2: [known.none, known.sse4_1, known.avx2],
        known.sse4_1: [known.none, known.sse4_1],
        known.neon: [known.none, known.neon],
    }.get(best, [known.none])


# Width, height, result, box: shrinking, growing, both, a line, a part between pixels, a copy.
CASES = [
    (50, 37, (22, 22), None),
    (5, 7, (40, 30), None),
    (90, 3, (11, 12), None),
    (1, 400, (8, 8), None),
    (400, 1, (8, 1), None),
    (1, 1, (9, 9), None),
    (61, 40, (24, 24), (10.5, 0.0, 50.5, 40.0)),
    (64, 48, (17, 31), (3.3, 7.25, 40.1, 47.9)),
    (33, 21, (33, 21), None),
    (33, 21, (10, 21), None),
    (33, 21, (33, 10), None),
    (33, 21, (16, 8), (0.4, 0.3, 1.9, 1.2)),
    (1500, 1100, (20, 15), None),
]


@pytest.mark.parametrize("make", [noise, black_and_white])
@pytest.mark.parametrize(("width", "height", "size", "box"), CASES)
def test_all_ways_give_the_same_numbers(width, height, size, box, make, monkeypatch):
    """With the package at every set of instructions, in strips of a column, and without it."""
    pixels = make(width, height)
    found = []
    for level in levels():
        resizer = scale.fast.Resizer()
        resizer.cpu_extensions = level
        monkeypatch.setattr(scale._local, "resizer", resizer, raising=False)
        found.append(scale.scale(pixels, size, RECIPE, box))
    monkeypatch.setattr(scale, "_STRIP", 1 + 3 * height)
    found.append(scale.scale(pixels, size, RECIPE, box))
    monkeypatch.setattr(scale, "fast", None)
    found.append(scale.scale(Image.fromarray(pixels), size, RECIPE, box))
    monkeypatch.undo()
    monkeypatch.setattr(scale, "fast", None)
    slow = scale.scale(pixels, size, RECIPE, box)
    assert slow.shape == (size[1], size[0], 3)
    for one in found:
        np.testing.assert_array_equal(one, slow)


@pytest.mark.parametrize("mode", RESIZE_MODES)
@pytest.mark.parametrize("size", [(50, 37), (37, 50), (9, 300), (20, 20), (700, 411)])
def test_it_is_near_to_version_1(size, mode):
    pixels = noise(*size)
    old = resize(pixels, DecodeRecipe(24, mode, version=1)).astype(int)
    difference = resize(pixels, DecodeRecipe(24, mode)) - old
    assert np.abs(difference).max() <= 2
    assert abs(difference.mean()) <= 0.05


def test_one_colour_stays_that_colour():
    for value in (0, 1, 127, 254, 255):
        for width, height in ((640, 480), (3, 5)):
            pixels = np.full((height, width, 3), value, np.uint8)
            assert (resize(pixels, RECIPE) == value).all()


@pytest.mark.usefixtures("without_the_package")
def test_one_colour_stays_that_colour_without_the_package():
    test_one_colour_stays_that_colour()


def test_arrays_and_images_are_alike():
    pixels = noise(40, 30)
    image = Image.fromarray(pixels)
    assert size_of(pixels) == size_of(image) == (40, 30)
    for version in (1, 2):
        recipe = DecodeRecipe(8, version=version)
        np.testing.assert_array_equal(resize(pixels, recipe), resize(image, recipe))


def test_threads_agree():
    pictures = [noise(60 + n % 5, 40) for n in range(64)]
    alone = [resize(picture, RECIPE) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda picture: resize(picture, RECIPE), pictures))
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("before", [None, "7"])
def test_the_number_of_threads_of_others_is_left_alone(monkeypatch, before):
    pytest.importorskip("cykooz_resizer")
    if before is None:
        monkeypatch.delenv("RAYON_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("RAYON_NUM_THREADS", before)
    scale._work_alone()
    assert os.environ.get("RAYON_NUM_THREADS") == before
