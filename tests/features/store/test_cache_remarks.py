"""What is known of pictures beside their features: what they lost, and why some have none."""

import h5py
import numpy as np
import pytest

from pipeline.errors import DamagedShardError
from pipeline.features.store import FeatureCache
from pipeline.features.store.check import FolderCheck
from pipeline.images.sniff import READABLE
from tests.stored import RECIPE, digests, features, fill, shard_of


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tmp_path / "features", RECIPE)


def fill_remarked(cache, *numbers):
    """Every picture loses what its number says."""
    with cache.writer("tensorflow", {}) as writer:
        for number in numbers:
            remarks = np.array([(16, number, number + 1, 0)], np.int32)
            writer.add(digests(number), features(number), remarks=remarks)
    cache.refresh()


def test_remarks_come_back_with_their_pictures(cache):
    fill_remarked(cache, 1, 2, 3)
    fill(cache, 4)
    fill_remarked(cache, 300, 5)
    for one in (cache, FeatureCache(cache.root, RECIPE)):
        found = one.remarks(digests(5, 4, 9, 300, 1, 5))
        assert found.dtype == np.int32
        assert found[:, 1].tolist() == [5, 0, 0, 300, 1, 5]
        assert found[1].tolist() == found[2].tolist() == [0, 0, 0, 0]


def test_nothing_is_known_of_nothing(cache):
    assert cache.remarks(digests(1, 2)).tolist() == [[0] * 4] * 2
    fill(cache, 1)
    assert cache.remarks(digests()).shape == (0, 4)
    with h5py.File(shard_of(cache)) as file:
        assert "remark" not in file


def test_a_reader_that_does_not_know_them_misses_nothing(cache):
    """The checksum of a shard is over what earlier versions look for."""
    fill_remarked(cache, 1, 2)
    with h5py.File(shard_of(cache), "r+") as file:
        assert file["remark"][:].tolist() == [[16, 1, 2, 0], [16, 2, 3, 0]]
        del file["remark"]
    again = FeatureCache(cache.root, RECIPE)
    assert again.has(digests(1, 2)).all()
    assert not again.remarks(digests(1, 2)).any()


def test_damage_to_them_is_found(cache):
    fill_remarked(cache, 7)
    path = shard_of(cache)
    data = bytearray(path.read_bytes())
    data[data.index(np.array([16, 7, 8, 0], "<i4").tobytes())] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedShardError, match="damaged file"):
        FeatureCache(cache.root, RECIPE)
    check = FolderCheck(cache.folder)
    list(check.read())
    assert len(check.bad) == 1


def test_too_few_remarks_are_damage(cache):
    fill_remarked(cache, 1, 2)
    with h5py.File(shard_of(cache), "r+") as file:
        del file["remark"]
        file.create_dataset("remark", data=np.zeros((1, 4), np.int32), chunks=(1, 4))
    with pytest.raises(DamagedShardError, match="expected a whole shard, received a damaged file"):
        FeatureCache(cache.root, RECIPE)


def test_reasons_that_hold_no_more_are_forgotten(cache):
    """A later version reads more formats: what it could not read is tried again."""
    kept = f"not a picture in a known format: expected one of {READABLE}"
    old = "not a picture in a known format: expected one of JPEG, PNG"
    first, second, third = (digests(number)[0].tobytes() for number in (1, 2, 3))
    cache.quarantine({first.hex(): kept, second.hex(): old, third.hex(): "damaged file"})
    again = FeatureCache(cache.root, RECIPE)
    assert again.is_quarantined(digests(1, 2, 3)).tolist() == [True, False, True]
    assert again.reason(second) is None
    again.quarantine({second.hex(): kept})
    assert FeatureCache(cache.root, RECIPE).reason(second) == kept
