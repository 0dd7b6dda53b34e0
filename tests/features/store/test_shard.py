"""Whatever happens to a byte of a shard: it is found, or nothing that is read changes."""

import signal

import h5py
import numpy as np
import pytest

from pipeline.errors import DamagedShardError
from pipeline.features.store import FeatureCache
from pipeline.features.store.checksum import CHUNK_SUMS, FILE_SUM
from tests.stored import RECIPE, A, B, assert_holds, digests, features, fill, shard_of

NUMBERS = range(40)
N_POSITIONS = 500


@pytest.fixture
def cache(tmp_path):
    cache = FeatureCache(tmp_path, RECIPE)
    fill(cache, *NUMBERS)
    return cache


@pytest.fixture
def alarm():
    """Ends the tests if HDF5 never returns; in C it hears no gentler word."""
    signal.alarm(300)
    yield
    signal.alarm(0)


def make_earlier(path):
    """Turn a shard into one without checksums of ours, with texts of variable length."""
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        del file.attrs[FILE_SUM]
        for name in ("format", "recipe", "versions", "engine"):
            text = file.attrs[name].decode()
            del file.attrs[name]
            file.attrs[name] = text
        for name in ("digest", "view", "features/layer_a", "features/layer_b"):
            del file[name].attrs[CHUNK_SUMS]


def outcome(root, *, engine=True):
    """Open and read everything: ``damaged``, ``unused`` or ``same``; anything else raises."""
    try:
        cache = FeatureCache(root, RECIPE)
        if not len(cache):
            return "unused"
        assert len(cache) == len(NUMBERS)
        assert_holds(cache, *NUMBERS)
        assert not engine or cache.engines() == {"tensorflow": len(NUMBERS)}
    except DamagedShardError:
        return "damaged"
    return "same"


def positions(n_bytes, seed):
    rng = np.random.default_rng(seed)
    even = np.linspace(0, n_bytes - 1, N_POSITIONS // 2).astype(int)
    return np.concatenate([even, rng.integers(0, n_bytes, N_POSITIONS // 2)]).tolist()


def flip_all(cache, where, **options):
    """Flip one bit at each position in turn; return how each ended."""
    path = shard_of(cache)
    whole = path.read_bytes()
    assert outcome(cache.root) == "same"
    found = {}
    for position in where:
        altered = bytearray(whole)
        altered[position] ^= 1 << (position % 8)
        path.write_bytes(altered)
        found[position] = outcome(cache.root, **options)
        for aside in cache.folder.glob("damaged-*"):
            aside.unlink()
    path.write_bytes(whole)
    return found


def test_every_flipped_bit_is_found_or_changes_nothing(cache, alarm):
    found = flip_all(cache, positions(shard_of(cache).stat().st_size, seed=0))
    assert set(found.values()) <= {"damaged", "same"}
    assert list(found.values()).count("damaged") > 0.9 * len(found)


def test_no_flipped_bit_of_an_earlier_shard_is_read_or_hangs(cache, alarm):
    """Their texts are not checksummed: a recipe that was altered is not ours any more."""
    make_earlier(shard_of(cache))
    heap = shard_of(cache).read_bytes().index(b"GCOL")
    where = positions(shard_of(cache).stat().st_size, seed=1) + list(range(heap, heap + 48))
    found = flip_all(cache, where, engine=False)
    assert set(found.values()) <= {"damaged", "same", "unused"}


def hole(path, array, with_checksum):
    """Make a chunk all zeros, as a hole in a file is; HDF5's own checksum follows the data."""
    data = bytearray(path.read_bytes())
    begin = data.index(array.tobytes())
    end = begin + array.nbytes + (4 if with_checksum else 0)
    data[begin:end] = bytes(end - begin)
    path.write_bytes(data)


@pytest.mark.parametrize("with_checksum", [False, True])
def test_hole_in_the_file_is_never_read_as_zeros(cache, with_checksum):
    hole(shard_of(cache), features(*NUMBERS)[A], with_checksum)
    with pytest.raises(DamagedShardError, match=r"damaged file .*computes its rows again"):
        cache.read(A, digests(*NUMBERS))


def test_hole_in_the_digests_is_found_on_opening(cache):
    hole(shard_of(cache), digests(*NUMBERS), with_checksum=True)
    with pytest.raises(DamagedShardError, match="rows from 0 of /digest do not match"):
        FeatureCache(cache.root, RECIPE)


def test_zeros_that_became_ones_are_found(tmp_path):
    """Fletcher-32 cannot tell 0x0000 from 0xFFFF, and features are full of zeros."""
    cache = FeatureCache(tmp_path, RECIPE)
    values = {A: np.zeros((4, 5), np.float32), B: np.ones((4, 2, 2, 3), np.float32)}
    values[A][0] = 1
    with cache.writer("tensorflow", {}) as writer:
        writer.add(digests(1, 2, 3, 4), values)
    cache.refresh()
    path = shard_of(cache)
    with h5py.File(path) as file:
        begin = file["features/layer_a"].id.get_chunk_info(0).byte_offset
    data = bytearray(path.read_bytes())
    data[begin + 40 : begin + 48] = b"\xff" * 8
    path.write_bytes(data)
    with h5py.File(path) as file:
        assert np.isnan(file["features/layer_a"][2, 0])  # HDF5 holds it for whole
    with pytest.raises(DamagedShardError, match="rows from 0 of /features/layer_a do not match"):
        cache.read(A, digests(1))


@pytest.mark.parametrize(
    ("name", "value"), [("recipe", b"{}"), ("engine", b"openvino"), ("n_rows", 39)]
)
def test_altered_attribute_is_found_on_opening(cache, name, value):
    with h5py.File(shard_of(cache), "r+") as file:
        file.attrs[name] = value
    with pytest.raises(DamagedShardError, match="received a damaged file"):
        FeatureCache(cache.root, RECIPE)


def test_columns_of_two_shards_are_not_mixed(cache):
    """Each is whole by itself; together they would be somebody else's features."""
    with h5py.File(shard_of(cache), "r+") as file:
        digest = file["digest"][:][::-1]
        del file["digest"]
        file.create_dataset("digest", data=digest, chunks=(40, 32), fletcher32=True)
    with pytest.raises(DamagedShardError, match="its attributes do not match their checksum"):
        FeatureCache(cache.root, RECIPE)


def test_earlier_shard_without_our_checksums_is_read(cache):
    make_earlier(shard_of(cache))
    cache.refresh()
    assert_holds(cache, *NUMBERS)
    assert cache.engines() == {"tensorflow": len(NUMBERS)}


def test_heap_that_hdf5_would_walk_for_ever_is_found(cache, alarm):
    make_earlier(shard_of(cache))
    path = shard_of(cache)
    data = bytearray(path.read_bytes())
    begin = data.index(b"GCOL")
    data[begin + 16 : begin + 32] = bytes(16)  # an end that takes no space
    path.write_bytes(data)
    with pytest.raises(DamagedShardError, match=r"heap of texts at byte \d+ does not add up"):
        FeatureCache(cache.root, RECIPE)
