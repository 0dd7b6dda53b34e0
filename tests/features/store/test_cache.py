import json
import os
from dataclasses import replace

import h5py
import numpy as np
import pytest

from pipeline.errors import DamagedShardError, NewerFormatError, StoreError
from pipeline.features.store import FeatureCache, Recipe
from pipeline.features.store.reader import read_index
from pipeline.features.store.shard import FORMAT_VERSION
from tests.stored import RECIPE, A, B, digests, features, fill, shard_of


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tmp_path / "features", RECIPE)


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


def test_no_rows_are_an_empty_array_of_the_right_shape(cache):
    fill(cache, 1)
    assert cache.read(B, digests()).shape == (0, 2, 2, 3)
    assert cache.row_shape(A) == (5,)


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


def test_shard_whose_recipe_merely_covers_ours_is_not_read_in_a_folder_of_another(cache):
    """Each shard says what it was made with, and the folder says the same."""
    narrow = FeatureCache(cache.root, replace(RECIPE, cuts=(A,)))
    with narrow.writer("tensorflow", {}) as writer:
        writer.add(digests(1), {A: features(1)[A]})
    fill(cache, 2)
    shard_of(cache).rename(narrow.folder / "shard-moved.h5")
    narrow.refresh()
    assert narrow.has(digests(1, 2)).tolist() == [True, False]


def test_lost_recipe_file_loses_no_rows(cache):
    fill(cache, 1)
    (cache.folder / "recipe.json").unlink()
    cache.refresh()
    assert cache.has(digests(1)).all()
    fill(cache, 2)
    assert (cache.folder / "recipe.json").exists()


@pytest.mark.parametrize("change", ["{", None])
def test_altered_recipe_file_is_told_or_set_aside_and_loses_no_rows(cache, change):
    fill(cache, 1)
    path = cache.folder / "recipe.json"
    path.write_text(path.read_text().replace("VGG16", "VGG17") if change is None else change)
    with pytest.raises(DamagedShardError, match=r"expected .*recipe.*`pipeline verify`"):
        FeatureCache(cache.root, RECIPE)
    again = FeatureCache(cache.root, RECIPE, set_aside_damaged=True)
    assert again.has(digests(1)).all()
    assert (cache.folder / "damaged-recipe.json").exists()


def test_sources_name_the_folders_that_serve(cache):
    fill(cache, 1, 2)
    narrow = FeatureCache(cache.root, replace(RECIPE, cuts=(A,)))
    with narrow.writer("tensorflow", {}) as writer:
        writer.add(digests(3), {A: features(3)[A]})
    narrow.refresh()
    found = narrow.sources(digests(1, 2, 3, 4))
    assert found == {cache.recipe.id: 2, narrow.recipe.id: 1}


def test_setting_aside_twice_keeps_both(cache):
    fill(cache, 1)
    path = shard_of(cache)
    for size in (100, 200):
        path.write_bytes(bytes(size))
        FeatureCache(cache.root, RECIPE, set_aside_damaged=True)
    sizes = {other.name: other.stat().st_size for other in cache.folder.glob("damaged-*")}
    assert sizes == {f"damaged-{path.name}": 100, f"damaged-2-{path.name}": 200}


def test_layout_is_the_documented_one(cache):
    fill(cache, 1, 2)
    with h5py.File(shard_of(cache)) as file:
        assert file["digest"].shape == (2, 32)
        assert file["digest"].dtype == np.uint8
        assert file["view"][:].tolist() == [0, 0]
        assert file["features/layer_a"].shape == (2, 5)
        assert file["features/layer_b"].shape == (2, 2, 2, 3)
        assert all(file[f"features/{name}"].fletcher32 for name in ("layer_a", "layer_b"))
        assert file.attrs["format"] == b"bottleneck-features"
        assert file.attrs["format_version"] == FORMAT_VERSION
        assert Recipe.from_dict(json.loads(file.attrs["recipe"])) == RECIPE
        assert file.attrs["engine"] == b"tensorflow"
        assert file.attrs["n_rows"] == 2
    assert json.loads((cache.folder / "recipe.json").read_text())["backbone"] == "VGG16"


def flip(path, needle):
    data = bytearray(path.read_bytes())
    data[data.index(needle)] ^= 1
    path.write_bytes(data)


def test_flipped_bit_in_features_is_found_on_reading(cache):
    fill(cache, *range(50))
    flip(shard_of(cache), features(17)[A].tobytes())
    for mend in (False, True):  # reading changes nothing: `pipeline verify` does
        one = FeatureCache(cache.root, RECIPE, set_aside_damaged=mend)
        with pytest.raises(DamagedShardError, match=r"received a damaged .*`pipeline verify"):
            one.read(A, digests(*range(50)))
    assert shard_of(cache).is_file()


def test_a_cut_that_is_not_there_is_no_damage(cache):
    fill(cache, *range(5))
    mending = FeatureCache(cache.root, RECIPE, set_aside_damaged=True)
    with pytest.raises(ValueError, match=r"expected a cut of .*, received \('layer_z', 'avg'\)"):
        mending.read(("layer_z", "avg"), digests(1))
    with pytest.raises(ValueError, match="expected a cut of"):
        mending.row_shape(("layer_z", "avg"))
    assert shard_of(cache).is_file()


def test_refreshing_reads_only_what_came_since(cache, monkeypatch):
    fill(cache, 1, 2)
    before, read = shard_of(cache), []
    monkeypatch.setattr(
        "pipeline.features.store.cache.read_index",
        lambda path: read.append(path) or read_index(path),
    )
    fill(cache, 3)
    assert cache.has(digests(1, 2, 3)).all()
    assert len(read) == 1
    assert before not in read


def test_flipped_bit_in_digests_is_found_on_opening(cache):
    fill(cache, 77)
    flip(shard_of(cache), digests(77).tobytes())
    with pytest.raises(DamagedShardError, match="damaged file"):
        FeatureCache(cache.root, RECIPE)


@pytest.mark.parametrize("size", [0, 100, -1])
def test_truncated_shard_is_set_aside_and_the_rest_is_kept(cache, size):
    fill(cache, 1)
    first = shard_of(cache)
    fill(cache, 2)
    os.truncate(first, size if size >= 0 else first.stat().st_size + size)
    again = FeatureCache(cache.root, RECIPE, set_aside_damaged=True)
    assert again.has(digests(1, 2)).tolist() == [False, True]
    assert [path.name for path in cache.folder.glob("damaged-*")] == [f"damaged-{first.name}"]


def test_foreign_hdf5_file_is_refused(cache):
    fill(cache, 1)
    path = cache.folder / "shard-foreign.h5"
    for libver, words in (("earliest", "does not begin as a shard does"), ("v110", "format=b''")):
        with h5py.File(path, "w", libver=(libver, "v110")) as file:
            file["x"] = 1
        with pytest.raises(DamagedShardError, match=words):
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


BAD = {digests(1)[0].tobytes().hex(): "truncated", digests(300)[0].tobytes().hex(): "no picture"}


def test_quarantine_is_remembered(cache):
    for item in BAD.items():
        cache.quarantine(dict([item]))
    again = FeatureCache(cache.root, RECIPE)
    assert again.quarantined == BAD
    assert again.is_quarantined(digests(300, 2, 1, 44)).tolist() == [True, False, True, False]
    assert again.reason(digests(1)[0].tobytes()) == "truncated"
    assert again.reason(digests(2)[0].tobytes()) is None


def test_empty_quarantine_holds_nothing(cache):
    assert cache.is_quarantined(digests(1, 2)).tolist() == [False, False]


@pytest.mark.parametrize("text", ["{", '{"ab": "short"}', "[]", "3", '{"zz": 1}'])
def test_damaged_quarantine_is_one_sentence(cache, text):
    cache.quarantine(BAD)
    (path,) = cache.folder.glob("quarantine-*.json")
    path.write_text(text)
    with pytest.raises(DamagedShardError, match=r"expected JSON of .*move that file away"):
        FeatureCache(cache.root, RECIPE)
    assert FeatureCache(cache.root, RECIPE, set_aside_damaged=True).quarantined == {}
    assert (path.parent / f"damaged-{path.name}").exists()
