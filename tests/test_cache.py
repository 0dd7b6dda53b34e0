import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import h5py
import numpy as np
import pytest

from pipeline.errors import DamagedShardError, NewerFormatError, StoreError
from pipeline.store import FeatureCache, Recipe
from pipeline.store.shard import FORMAT_VERSION

A, B = ("layer_a", "avg"), ("layer_b", "none")
RECIPE = Recipe(
    backbone="VGG16",
    weights="00" * 32,
    cuts=(A, B),
    image_size=32,
    preprocessing="caffe",
    decoding={"version": 1},
    view={"policy": "clean"},
)


def digests(*numbers):
    """Digests that end in zero bytes, which a careless string comparison would cut off."""
    return np.array([[n % 256, n // 256, *[0] * 30] for n in numbers], np.uint8)


def features(*numbers):
    values = np.array(numbers, np.float32)
    return {
        A: values[:, None] + np.arange(5, dtype=np.float32),
        B: np.tile(values[:, None, None, None], (1, 2, 2, 3)),
    }


def fill(cache, *numbers):
    with cache.writer("tensorflow", {"numpy": "2"}) as writer:
        writer.add(digests(*numbers), features(*numbers))
    cache.refresh()


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tmp_path / "features", RECIPE)


def shard_of(cache):
    (path,) = cache.folder.glob("shard-*.h5")
    return path


def test_rows_come_back_aligned_in_the_order_asked_for(cache):
    fill(cache, 1, 2, 3)
    fill(cache, 300, 4)
    wanted = [4, 1, 300, 3, 1]
    np.testing.assert_array_equal(cache.read(A, digests(*wanted)), features(*wanted)[A])
    np.testing.assert_array_equal(cache.read(B, digests(*wanted)), features(*wanted)[B])


def test_many_shards_and_sparse_reads(cache):
    for start in range(0, 400, 100):
        fill(cache, *range(start, start + 100))
    wanted = [399, 7, 101, 250]
    np.testing.assert_array_equal(cache.read(A, digests(*wanted)), features(*wanted)[A])
    assert len(cache) == 400


def test_opening_writes_nothing(tmp_path):
    cache = FeatureCache(tmp_path / "none", RECIPE)
    assert len(cache) == 0
    assert not cache.has(digests(1)).any()
    assert not (tmp_path / "none").exists()


def test_missing_rows_are_an_error_never_zeros(cache):
    fill(cache, 1)
    with pytest.raises(StoreError, match=r"expected features of all 2 pictures .* 1 are missing"):
        cache.read(A, digests(1, 2))


def test_rows_written_twice_count_once(cache):
    fill(cache, 1, 2)
    fill(cache, 2, 3)
    assert len(cache) == 3


def test_wider_recipe_serves_a_narrower_one(cache):
    fill(cache, 1, 2)
    narrow = FeatureCache(cache.root, replace(RECIPE, cuts=(A,)))
    np.testing.assert_array_equal(narrow.read(A, digests(2)), features(2)[A])
    assert not narrow.folder.exists()


@pytest.mark.parametrize("change", [{"weights": "11" * 32}, {"image_size": 64}])
def test_another_recipe_is_never_read(cache, change):
    fill(cache, 1)
    assert not FeatureCache(cache.root, replace(RECIPE, **change)).has(digests(1)).any()


def test_a_shard_of_another_recipe_in_our_folder_is_never_read(cache):
    other = FeatureCache(cache.root, replace(RECIPE, image_size=64))
    fill(other, 1)
    fill(cache, 2)
    shard_of(other).rename(cache.folder / "shard-moved.h5")
    cache.refresh()
    assert cache.has(digests(1, 2)).tolist() == [False, True]


def test_layout_is_the_documented_one(cache):
    fill(cache, 1, 2)
    with h5py.File(shard_of(cache)) as file:
        assert file["digest"].shape == (2, 32)
        assert file["digest"].dtype == np.uint8
        assert file["view"][:].tolist() == [0, 0]
        assert file["features/layer_a"].shape == (2, 5)
        assert file["features/layer_b"].shape == (2, 2, 2, 3)
        assert all(file[f"features/{name}"].fletcher32 for name in ("layer_a", "layer_b"))
        assert file.attrs["format"] == "bottleneck-features"
        assert file.attrs["format_version"] == FORMAT_VERSION
        assert Recipe.from_dict(json.loads(file.attrs["recipe"])) == RECIPE
        assert file.attrs["engine"] == "tensorflow"
        assert file.attrs["n_rows"] == 2
    assert json.loads((cache.folder / "recipe.json").read_text())["backbone"] == "VGG16"


def flip(path, needle):
    data = bytearray(path.read_bytes())
    data[data.index(needle)] ^= 1
    path.write_bytes(data)


def test_flipped_bit_in_features_is_found_on_reading(cache):
    fill(cache, *range(50))
    flip(shard_of(cache), features(17)[A].tobytes())
    with pytest.raises(DamagedShardError, match="expected a whole shard, received a damaged file"):
        cache.read(A, digests(*range(50)))
    again = FeatureCache(cache.root, RECIPE)
    assert not again.has(digests(*range(50))).any()
    assert len(list(cache.folder.glob("damaged-*"))) == 1


def test_flipped_bit_in_digests_is_found_on_opening(cache):
    fill(cache, 77)
    flip(shard_of(cache), digests(77).tobytes())
    with pytest.raises(DamagedShardError, match="damaged file"):
        cache.refresh()


@pytest.mark.parametrize("size", [0, 100, 3000])
def test_truncated_shard_is_set_aside_and_the_rest_is_kept(cache, size):
    fill(cache, 1)
    first = shard_of(cache)
    fill(cache, 2)
    os.truncate(first, size)
    again = FeatureCache(cache.root, RECIPE, set_aside_damaged=True)
    assert again.has(digests(1, 2)).tolist() == [False, True]
    assert [path.name for path in cache.folder.glob("damaged-*")] == [f"damaged-{first.name}"]


def test_foreign_hdf5_file_is_refused(cache):
    fill(cache, 1)
    with h5py.File(cache.folder / "shard-foreign.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(DamagedShardError, match="expected an HDF5 file with format="):
        cache.refresh()


def snapshot(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("where", ["shard", "recipe"])
def test_newer_format_is_refused_and_nothing_is_changed(cache, where):
    fill(cache, 1)
    if where == "shard":
        with h5py.File(shard_of(cache), "r+") as file:
            file.attrs["format_version"] = FORMAT_VERSION + 1
    else:
        path = cache.folder / "recipe.json"
        value = json.loads(path.read_text())
        path.write_text(json.dumps({**value, "format_version": FORMAT_VERSION + 1}))
    before = snapshot(cache.root)
    with pytest.raises(NewerFormatError, match=rf"received version {FORMAT_VERSION + 1}"):
        FeatureCache(cache.root, RECIPE, set_aside_damaged=True)
    assert snapshot(cache.root) == before


def test_exception_while_filling_keeps_what_was_computed(cache):
    def interrupted():
        with cache.writer("tensorflow", {}) as writer:
            writer.add(digests(1), features(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    cache.refresh()
    assert cache.has(digests(1)).all()


def test_unwritable_folder_is_one_sentence(tmp_path):
    (tmp_path / "features").write_text("a file where the folder should be")
    cache = FeatureCache(tmp_path / "features", RECIPE)
    with pytest.raises(StoreError, match=r"cannot write .*what is finished stays"):
        cache.writer("tensorflow", {}).__enter__()


def test_disk_full_says_so_and_leaves_nothing_half(tmp_path):
    """A real limit on the size of files stands in for a full disk: the same error path of write."""
    script = textwrap.dedent(
        """
        import resource, signal, sys
        from pathlib import Path
        sys.path.insert(0, sys.argv[2])
        from test_cache import A, B, RECIPE, digests, features
        from pipeline.store import FeatureCache
        from pipeline.errors import StoreError
        cache = FeatureCache(Path(sys.argv[1]), RECIPE)
        with cache.writer("tensorflow", {}) as writer:
            writer.add(digests(1), features(1))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            with cache.writer("tensorflow", {}) as writer:
                writer.add(digests(*range(5000)), features(*range(5000)))
        except StoreError as error:
            print(error)
        """
    )
    process = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "f"), os.path.dirname(__file__)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cannot write" in process.stdout, process.stdout + process.stderr
    cache = FeatureCache(tmp_path / "f", RECIPE)
    assert cache.has(digests(1)).all()
    assert len(cache) == 1
    assert not list(cache.folder.glob(".tmp-*"))


def test_sigkill_leaves_only_whole_shards(tmp_path):
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        sys.path.insert(0, sys.argv[2])
        from test_cache import RECIPE, digests, features
        from pipeline.store import FeatureCache
        cache = FeatureCache(Path(sys.argv[1]), RECIPE)
        print("ready", flush=True)
        for start in range(0, 60000, 50):
            with cache.writer("tensorflow", {}) as writer:
                numbers = range(start, start + 50)
                writer.add(digests(*numbers), features(*numbers))
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "f"), os.path.dirname(__file__)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    while len(list(tmp_path.glob("f/*/shard-*.h5"))) < 5:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    cache = FeatureCache(tmp_path / "f", RECIPE)
    assert len(cache) > 0
    assert len(cache) % 50 == 0
    numbers = range(len(cache))
    np.testing.assert_array_equal(cache.read(A, digests(*numbers)), features(*numbers)[A])


def test_quarantine_is_remembered(cache):
    cache.quarantine({"ab": "truncated"})
    cache.quarantine({"cd": "not a picture"})
    again = FeatureCache(cache.root, RECIPE)
    assert again.quarantined == {"ab": "truncated", "cd": "not a picture"}


def test_damaged_quarantine_is_one_sentence(cache):
    cache.quarantine({"ab": "truncated"})
    (path,) = cache.folder.glob("quarantine-*.json")
    path.write_text("{")
    with pytest.raises(StoreError, match=r"expected JSON in .*move that file away"):
        FeatureCache(cache.root, RECIPE)
