"""A cache that was written by format version 1 is read by every later version, value for value."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.features.store import FeatureCache
from pipeline.features.store.folders import folders_of, read_recipe
from pipeline.features.verify import verify

GOLDEN = Path(__file__).parents[2] / "data" / "golden" / "store-v1"
POOLED, MAP = ("block4", "avg"), ("top", "none")
IDS = {
    "float32": "MobileNet(alpha=0.25)-block4+top-avg_none-9b9f8e7f3ad3",
    "float16": "MobileNet(alpha=0.25)-block4+top-avg_none-db644b6461dd",
}


def digests(*numbers):
    return np.array([[number] * 32 for number in numbers], np.uint8)


@pytest.fixture
def caches():
    recipes = [read_recipe(folder / "recipe.json") for folder in folders_of(GOLDEN)]
    return {recipe.dtype: FeatureCache(GOLDEN, recipe) for recipe in recipes}


def test_recipes_have_the_same_ids_as_then(caches):
    assert {dtype: cache.recipe.id for dtype, cache in caches.items()} == IDS
    assert all(cache.folder.is_dir() for cache in caches.values())


def test_clean_features_are_what_they_were(caches):
    cache = caches["float32"]
    assert len(cache) == 4
    assert cache.engines() == {"tensorflow": 2, "openvino": 2}
    read = cache.read(POOLED, digests(250, 1, 3))
    assert read.dtype == np.float32
    assert read.tolist() == [[250, 250.25, 250.5], [1, 1.25, 1.5], [3, 3.25, 3.5]]
    maps = cache.read(MAP, digests(2, 3))
    assert maps.shape == (2, 2, 2, 2)
    assert maps[:, 1, 0].tolist() == [[2, -2], [3, -3]]
    assert cache.reason(bytes([7] * 32)) == "truncated"


def test_views_are_what_they_were(caches):
    cache = caches["float16"]
    assert len(cache) == 3
    assert not cache.has(digests(1)).any()
    read = cache.read(POOLED, digests(1, 250, 1), np.array([2, 1, 1]))
    assert read.dtype == np.float16
    assert read.tolist() == [[1.25, 1.5, 1.75], [250.125, 250.375, 250.625], [1.125, 1.375, 1.625]]
    assert cache.read(MAP, digests(1), 2)[0, 0, 0].tolist() == [1.25, -1.25]


def test_verify_finds_it_sound(tmp_path):
    shutil.copytree(GOLDEN, tmp_path / "cache")
    result = verify(tmp_path / "cache")
    assert (result.shards, result.rows, result.bad) == (3, 7, [])
