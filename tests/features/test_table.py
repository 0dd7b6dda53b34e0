"""A table's features in blocks are those that it reads at once."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.backbones.cuts import Cut
from pipeline.features.store import FeatureCache
from pipeline.features.table import FeatureTable
from pipeline.images import index
from tests.stored import RECIPE, A, B

JOINED = (Cut(*A), Cut(*B))
VIEWED = replace(RECIPE, view={"policy": "crop,flip", "seed": 0, "version": 1})


@pytest.fixture
def table(pictures, tmp_path):
    """Every picture and two views of it, with features that are drawn."""
    dataset, rng = index(pictures), np.random.default_rng(0)
    caches = [FeatureCache(tmp_path / "features", recipe) for recipe in (RECIPE, VIEWED)]
    for cache, views in zip(caches, ((0,), (1, 2)), strict=True):
        with cache.writer("openvino", {}) as writer:
            for view in views:
                n = len(dataset)
                drawn = {A: rng.random((n, 5)), B: rng.random((n, 2, 2, 3))}
                drawn = {cut: values.astype(np.float32) for cut, values in drawn.items()}
                writer.add(dataset.digests, drawn, np.full(n, view))
                writer.flush()
        cache.refresh()
    return FeatureTable(dataset, caches[0], None, caches[1], n_views=2)


def collected(blocks):
    rows = np.full((blocks.n_rows, blocks.n_features), np.nan, np.float32)
    for places, some in blocks:
        rows[places] = some
    return rows


@pytest.mark.parametrize("split", ["train", "test"])
def test_blocks_hold_the_features_of_the_rows(table, split):
    rows = table.rows(split)[::-1]
    blocks = table.blocks(JOINED, rows)
    np.testing.assert_array_equal(collected(blocks), table.features(JOINED, rows))


def test_blocks_with_views_hold_pictures_and_then_view_after_view(table):
    rows = table.rows("train")
    blocks = table.blocks(JOINED, rows, table.n_views)
    assert (blocks.n_rows, blocks.n_features) == (3 * len(rows), 17)
    np.testing.assert_array_equal(collected(blocks), table.with_views(JOINED, rows))


def test_bytes_are_those_that_are_held(table):
    n_train, n_all = len(table.rows("train")), len(table.dataset)
    assert table.n_bytes(JOINED) == 4 * 17 * (n_all + 2 * n_train)
    assert table.n_bytes(JOINED[:1]) == 4 * 5 * (n_all + 2 * n_train)
