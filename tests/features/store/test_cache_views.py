"""Rows are pictures and views; stored types; what may not be stored."""

import re
from dataclasses import replace

import h5py
import numpy as np
import pytest

from pipeline.errors import StoreError
from pipeline.features.store import FeatureCache
from pipeline.features.store.keys import row_keys
from tests.stored import RECIPE, A, assert_holds, digests, features, fill, shard_of

VIEWED = replace(RECIPE, cuts=(A,), view={"policy": "crop,flip", "seed": 0, "version": 1})
HALF = replace(RECIPE, cuts=(A,), dtype="float16")


@pytest.fixture
def viewed(tmp_path):
    return FeatureCache(tmp_path, VIEWED)


def add(cache, numbers, views, values):
    with cache.writer("openvino", {}) as writer:
        writer.add(digests(*numbers), {A: np.array(values, np.float32)}, np.array(views))
    cache.refresh()


def test_views_of_a_picture_are_rows_of_their_own(viewed):
    add(viewed, [1, 1, 2], [1, 2, 1], [[11], [12], [21]])
    add(viewed, [2], [2], [[22]])
    assert len(viewed) == 4
    assert viewed.has(digests(1, 2, 3), 2).tolist() == [True, True, False]
    assert viewed.has(digests(1, 1, 2), np.array([0, 1, 3])).tolist() == [False, True, False]
    assert viewed.read(A, digests(2, 1), 1).ravel().tolist() == [21, 11]
    mixed = viewed.read(A, digests(2, 1, 2), np.array([2, 2, 1]))
    assert mixed.ravel().tolist() == [22, 12, 21]


def test_missing_view_is_an_error_never_another_view(viewed):
    add(viewed, [1], [1], [[11]])
    with pytest.raises(StoreError, match="1 are missing"):
        viewed.read(A, digests(1))


def test_views_and_clean_pictures_are_apart(viewed):
    add(viewed, [1], [1], [[11]])
    clean = FeatureCache(viewed.root, RECIPE)
    assert not clean.has(digests(1)).any()
    fill(clean, 1)
    assert_holds(clean, 1)
    viewed.refresh()
    assert len(viewed) == 1


def test_keys_sort_by_digest_and_then_by_view():
    keys = row_keys(digests(2, 1, 1, 1), np.array([0, 256, 255, 70_000]))
    assert keys.dtype.itemsize == 36
    assert np.argsort(keys).tolist() == [2, 1, 3, 0]


def test_negative_views_are_our_mistake():
    with pytest.raises(AssertionError, match="view numbers count from 0"):
        row_keys(digests(1), -1)


def test_float16_is_stored_and_handed_out_as_such(tmp_path):
    cache = FeatureCache(tmp_path, HALF)
    add(cache, [1, 2], [0, 0], [[0.1, -65504.0], [3, 65519.9]])
    read = cache.read(A, digests(2, 1))
    assert read.dtype == np.float16
    np.testing.assert_array_equal(read, np.array([[3, 65504], [0.1, -65504]], np.float16))
    assert not FeatureCache(tmp_path, replace(HALF, dtype="float32")).has(digests(1)).any()


@pytest.mark.parametrize("value", [65520.0, -70000.0, 1e30])
def test_values_beyond_float16_are_refused_and_the_rest_is_kept(tmp_path, value):
    cache = FeatureCache(tmp_path, HALF)
    message = re.escape(f"received {value:.6g} from layer_a:avg; use --dtype float32")
    with cache.writer("openvino", {}) as writer:
        writer.add(digests(1), {A: np.float32([[1]])})
        with pytest.raises(StoreError, match=f"expected features from -65504 to 65504 .*{message}"):
            writer.add(digests(2, 3), {A: np.float32([[1], [value]])})
    cache.refresh()
    assert cache.has(digests(1, 2, 3)).tolist() == [True, False, False]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_are_refused(tmp_path, dtype, value):
    cache = FeatureCache(tmp_path, replace(HALF, dtype=dtype))
    picture = digests(3)[0].tobytes().hex()
    with (
        pytest.raises(StoreError, match=rf"expected finite features, .* layer_a:avg .*{picture}"),
        cache.writer("openvino", {}) as writer,
    ):
        writer.add(digests(2, 3), {A: np.float32([[1, 2], [value, 3]])})
    assert not list(cache.folder.glob("shard-*"))


def test_rows_are_read_chunk_by_chunk_in_any_order(tmp_path):
    """Rows of 256 KiB make chunks of four; the last one is not full."""
    cache = FeatureCache(tmp_path, replace(RECIPE, cuts=(A,)))
    values = np.arange(10, dtype=np.float32)[:, None] + np.zeros((1, 65536), np.float32)
    with cache.writer("openvino", {}) as writer:
        writer.add(digests(*range(10)), {A: values})
    cache.refresh()
    for wanted in ([9], [3, 9, 0, 3, 8], list(range(10)), list(range(9, -1, -1))):
        np.testing.assert_array_equal(cache.read(A, digests(*wanted)), values[wanted])
    with h5py.File(shard_of(cache)) as file:
        assert file["features/layer_a"].chunks == (4, 65536)


def test_features_are_aligned_with_fresh_random_rows(tmp_path):
    rng = np.random.default_rng(0)
    cache = FeatureCache(tmp_path, replace(RECIPE, cuts=(A,)))
    everything = rng.integers(0, 256, (600, 32), np.uint8)
    values = rng.random((600, 3), np.float32)
    for rows in np.split(rng.permutation(600), 6):
        with cache.writer("openvino", {}) as writer:
            writer.add(everything[rows], {A: values[rows]})
    cache.refresh()
    wanted = rng.integers(0, 600, 500)
    np.testing.assert_array_equal(cache.read(A, everything[wanted]), values[wanted])


def test_writer_makes_its_folder_again(tmp_path):
    cache = FeatureCache(tmp_path / "cache", RECIPE)
    with cache.writer("openvino", {}) as writer:
        writer.add(digests(1), features(1))
        (cache.folder / "recipe.json").unlink()
        cache.folder.rmdir()
        cache.root.rmdir()
    cache.refresh()
    assert_holds(cache, 1)
    assert (cache.folder / "recipe.json").exists()
