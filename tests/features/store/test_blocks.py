"""Blocks: every row once, in the order of the shards, from chunks that are checked."""

from dataclasses import replace
from itertools import chain

import h5py
import numpy as np
import pytest

from pipeline.errors import DamagedShardError, StoreError
from pipeline.features.store import FeatureCache
from pipeline.features.store import blocks as blocks_module
from pipeline.features.store import reader as gather_module
from pipeline.features.store.blocks import ChainedBlocks
from tests.stored import RECIPE, A, B, digests, features, fill

NARROW = replace(RECIPE, cuts=(A,))


@pytest.fixture
def cache(tmp_path):
    cache = FeatureCache(tmp_path, RECIPE)
    for first in (0, 10, 20):
        fill(cache, *range(first, first + 10))
    return cache


def joined(numbers):
    """What both cuts of `stored` hold for these numbers, flat and side by side."""
    made = features(*numbers)
    return np.concatenate([made[A], made[B].reshape(len(numbers), -1)], axis=1)


@pytest.mark.parametrize("n_rows", [None, 1, 4, 7, 100])
def test_every_place_comes_once_with_its_features(cache, n_rows):
    numbers = np.random.default_rng(0).permutation(30)[:23]
    source = cache.blocks((A, B), digests(*numbers), n_rows=n_rows)
    assert (source.n_rows, source.n_features) == (23, 5 + 12)
    read = list(source)
    assert max(len(rows) for _, rows in read) <= (n_rows or 23)
    places = np.concatenate([places for places, _ in read])
    assert sorted(places) == list(range(23))
    rows = np.concatenate([rows for _, rows in read])
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, joined(numbers[places]))


def test_order_is_that_of_the_shards_and_always_the_same(cache):
    source = cache.blocks((A,), digests(*range(29, -1, -1)), n_rows=4)
    first, again = ([places.tolist() for places, _ in source] for _ in range(2))
    assert first == again
    numbers = 29 - np.concatenate(first)
    for shard in numbers.reshape(3, 10):  # one shard after another, its rows ascending
        assert shard.tolist() == list(range(shard[0], shard[0] + 10))


def test_copies_of_a_picture_each_get_their_row(cache):
    ((places, rows),) = cache.blocks((A,), digests(3, 25, 3, 3))
    assert sorted(places) == [0, 1, 2, 3]
    np.testing.assert_array_equal(rows, features(*np.array([3, 25, 3, 3])[places])[A])


def test_blocks_of_no_rows_are_none(cache):
    source = cache.blocks((A,), digests())
    assert (list(source), list(source.shuffled(0)), source.n_rows) == ([], [], 0)


def test_missing_rows_are_told_before_anything_is_read(cache):
    with pytest.raises(StoreError, match=r"expected features of all 2 pictures .* 1 are missing"):
        cache.blocks((A,), digests(1, 77))


def wide(tmp_path, n):
    """Rows of 256 KiB in one shard, in chunks of four."""
    cache = FeatureCache(tmp_path, NARROW)
    values = np.arange(n, dtype=np.float32)[:, None] + np.zeros((1, 65536), np.float32)
    with cache.writer("openvino", {}) as writer:
        writer.add(digests(*range(n)), {A: values})
    cache.refresh()
    return cache


def test_every_chunk_is_read_and_checked_once_a_pass(tmp_path, monkeypatch):
    source = wide(tmp_path, 22).blocks((A,), digests(*range(22)), n_rows=10)
    read = []
    original = gather_module.read_rows
    monkeypatch.setattr(
        gather_module, "read_rows", lambda *args: read.append(args[2].tolist()) or original(*args)
    )
    assert [len(rows) for _, rows in source] == [8, 8, 6]
    assert read == [list(range(8)), list(range(8, 16)), list(range(16, 22))]


def test_shuffled_blocks_hold_whole_chunks_in_a_drawn_order(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks_module, "SHUFFLED_BYTES", 8 * 65536 * 4)
    source = wide(tmp_path, 40).blocks((A,), digests(*range(40)))
    drawn, again, other = (
        [places.tolist() for places, _ in source.shuffled(seed)] for seed in (1, 1, 2)
    )
    assert drawn == again != other
    assert [len(places) for places in drawn] == [8] * 5
    assert sorted(chain.from_iterable(drawn)) == list(range(40))
    for places in drawn:
        assert all(places[i : i + 4] == list(range(places[i], places[i] + 4)) for i in (0, 4))
    for places, rows in source.shuffled(1):
        np.testing.assert_array_equal(rows[:, 0], places)


def test_damage_is_found_and_left_where_it_is(tmp_path):
    cache = wide(tmp_path, 8)
    source = cache.blocks((A,), digests(*range(8)), n_rows=4)
    (path,) = cache.folder.glob("shard-*.h5")
    with h5py.File(path, "r+") as file:
        file["features/layer_a"][6, 0] = 99.0
    blocks = iter(source)
    places, _ = next(blocks)
    assert places.tolist() == [0, 1, 2, 3]
    with pytest.raises(DamagedShardError, match=r"rows from 4 of .* do not match their checksum"):
        next(blocks)
    assert path.is_file()


def test_shards_published_later_change_nothing(cache):
    source = cache.blocks((A,), digests(*range(30)), n_rows=7)
    before = [(places.tolist(), rows.tolist()) for places, rows in source]
    for first in (40, 50, 60):
        fill(cache, *range(first, first + 10))
    assert [(places.tolist(), rows.tolist()) for places, rows in source] == before


def test_chained_blocks_count_on(cache):
    parts = [cache.blocks((A,), digests(*numbers), n_rows=3) for numbers in (range(9), (20, 5))]
    whole = ChainedBlocks(parts)
    assert (whole.n_rows, whole.n_features) == (11, 5)
    expected = features(*range(9), 20, 5)[A]
    for source in (whole, whole.shuffled(3)):
        places, rows = (np.concatenate(part) for part in zip(*source, strict=True))
        assert sorted(places) == list(range(11))
        np.testing.assert_array_equal(rows, expected[places])


def test_float16_is_handed_out_as_float32(tmp_path):
    cache = FeatureCache(tmp_path, replace(NARROW, dtype="float16"))
    with cache.writer("openvino", {}) as writer:
        writer.add(digests(1, 2), {A: np.float32([[0.1], [3]])})
    cache.refresh()
    ((_, rows),) = cache.blocks((A,), digests(2, 1))
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(np.sort(rows, axis=0), np.float32([[np.float16(0.1)], [3]]))
