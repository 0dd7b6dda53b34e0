import hashlib
import json
import os
import shutil
import time
from dataclasses import replace

import h5py
import numpy as np
import pytest

from pipeline.cli import run
from pipeline.cli.show.store import verification
from pipeline.errors import InputError, StoreError
from pipeline.features.store import FeatureCache
from pipeline.features.store.shard import FORMAT_VERSION
from pipeline.features.verify import verify
from tests.conftest import Told
from tests.features.store.test_durability import printed, small_disk
from tests.stored import RECIPE, A, assert_holds, digests, features, fill, shard_of

OTHER = replace(RECIPE, image_size=64)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "features"


@pytest.fixture
def cache(root):
    cache = FeatureCache(root, RECIPE)
    fill(cache, *range(50))
    return cache


def spoil(path, needle):
    data = bytearray(path.read_bytes())
    data[data.index(needle)] ^= 1
    path.write_bytes(data)


def make_model(root, name, content=b"weights"):
    folder = root / "models" / name
    folder.mkdir(parents=True)
    (folder / "model.xml").write_bytes(b"<net/>")
    (folder / "model.bin").write_bytes(content)
    (folder / "model.json").write_text(json.dumps(description(content)))
    return folder


def description(content):
    files = {"model.xml": b"<net/>", "model.bin": content}
    return {
        "format": "bottleneck-model",
        "format_version": 1,
        "identity": {},
        "differences": {"top": 0.0},
        "limit": 1e-4,
        "openvino": "2026.4",
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }


def test_sound_cache_is_counted_and_not_changed(root, cache):
    fill(cache, 50, 51)
    other = FeatureCache(root, OTHER)
    fill(other, 1)
    make_model(root, "base")
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    result = verify(root)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    assert (result.shards, result.rows, result.models) == (3, 53, 1)
    assert (result.bad, result.newer, result.mended, result.leftovers_removed) == ([], [], [], 0)
    assert {row["id"]: row["rows"] for row in result.recipes} == {cache.recipe.id: 52, OTHER.id: 1}
    assert result.bytes == sum(path.stat().st_size for path in root.rglob("*.h5"))
    json.dumps(result.to_dict())


def test_flipped_bit_is_found_wherever_it_is_and_the_shard_is_set_aside(root, cache):
    path = shard_of(cache)
    spoil(path, features(*range(50))[A].tobytes())
    fill(cache, 77)
    result = verify(root)
    (bad,) = result.bad
    assert bad["path"] == str(path)
    assert bad["set_aside"] == str(path.with_name(f"damaged-{path.name}"))
    assert "damaged file" in bad["reason"]
    assert (result.shards, result.rows) == (1, 1)
    again = FeatureCache(root, RECIPE)
    assert again.has(digests(1, 77)).tolist() == [False, True]
    assert verify(root).bad == []


def test_features_that_are_not_finite_are_bad(root, cache):
    with h5py.File(shard_of(cache), "r+") as file:
        values = file["features/layer_a"][:]
        values[3] = np.nan
        del file["features/layer_a"], file.attrs["checksum"]
        file.create_dataset("features/layer_a", data=values, chunks=(50, 5), fletcher32=True)
    (bad,) = verify(root).bad
    assert "features that are not finite among the rows from 0" in bad["reason"]


def test_shard_of_another_recipe_is_set_aside_with_its_rows(root, cache):
    other = FeatureCache(root, OTHER)
    fill(other, 1, 2)
    shard_of(other).rename(cache.folder / "shard-moved.h5")
    (bad,) = verify(root).bad
    assert f"received one of {OTHER.id}" in bad["reason"]
    assert bad["rows"] == 2
    assert (cache.folder / "damaged-shard-moved.h5").exists()


@pytest.mark.parametrize("text", ["{", None])
def test_altered_recipe_is_written_again_from_the_shards(root, cache, text):
    path = cache.folder / "recipe.json"
    whole = path.read_text()
    path.write_text(whole.replace("VGG16", "VGG19") if text is None else text)
    result = verify(root)
    assert [bad["path"] for bad in result.bad] == [str(path)]
    assert result.mended == [str(path)]
    assert path.read_text() == whole
    assert (cache.folder / "damaged-recipe.json").exists()
    assert_holds(FeatureCache(root, RECIPE), *range(50))


STRAYS = {
    "damaged-": "was set aside, and is never read; remove it",
    ".hidden-": "which its recipe says, received",
    "copy of ": "which its recipe says, received",
}


@pytest.mark.parametrize("prefix", STRAYS)
def test_folder_under_another_name_is_told_and_never_read(root, cache, prefix, capsys):
    stray = root / f"{prefix}{RECIPE.id}"
    shutil.copytree(cache.folder, stray)
    shard_of(cache).unlink()
    before = {path: path.read_bytes() for path in stray.iterdir()}
    for recipe in (RECIPE, replace(RECIPE, cuts=(A,))):
        assert len(FeatureCache(root, recipe, set_aside_damaged=True)) == 0
    result = verify(root)
    assert [item["path"] for item in result.strays] == [str(stray)]
    assert (result.shards, result.rows, result.bad) == (0, 0, [])
    assert {path: path.read_bytes() for path in stray.iterdir()} == before
    verification(result.to_dict())
    assert STRAYS[prefix] in capsys.readouterr().out


def test_stray_that_lost_its_recipe_is_known_by_its_shards(root, cache):
    stray = cache.folder.rename(root / "renamed")
    (stray / "recipe.json").unlink()
    (item,) = verify(root).strays
    assert f"expected the name {RECIPE.id}" in item["reason"]
    assert list(stray.glob("shard-*.h5"))


def test_rows_of_two_shapes_are_told_and_left(root, cache):
    wide = features(77)
    wide[A] = np.ones((1, 6), np.float32)
    before = set(cache.folder.glob("shard-*"))
    with cache.writer("tensorflow", {}) as writer:
        writer.add(digests(77), wide)
    (odd,) = set(cache.folder.glob("shard-*")) - before
    (bad,) = verify(root).bad
    assert (bad["path"], bad["set_aside"]) == (str(odd), None)
    assert "than in most shards; one of them is not what its recipe says: move" in bad["reason"]
    assert odd.is_file()


def test_exit_code_says_whether_there_was_damage(root, cache, capsys):
    assert run(["verify", "--cache", str(root)]) == 0
    spoil(shard_of(cache), features(*range(50))[A].tobytes())
    fill(cache, 77)
    capsys.readouterr()
    assert run(["verify", "--cache", str(root)]) == 1
    assert "run `pipeline features DATA` as before: what was" in capsys.readouterr().out
    assert run(["verify", "--cache", str(root), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bad"] == []


def test_lost_recipe_is_written_again(root, cache):
    path = cache.folder / "recipe.json"
    path.unlink()
    result = verify(root)
    assert (result.bad, result.mended, result.rows) == ([], [str(path)], 50)


def test_newer_shards_and_recipes_are_reported_and_left_alone(root, cache):
    with h5py.File(shard_of(cache), "r+") as file:
        file.attrs["format_version"] = FORMAT_VERSION + 1
    other = FeatureCache(root, OTHER)
    fill(other, 1)
    path = other.folder / "recipe.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 99}))
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    result = verify(root)
    assert {item["path"] for item in result.newer} == {str(shard_of(cache)), str(path)}
    assert result.bad == []
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_damaged_quarantine_is_set_aside(root, cache):
    cache.quarantine({"ab" * 32: "truncated"})
    (path,) = cache.folder.glob("quarantine-*")
    path.write_text("[")
    (bad,) = verify(root).bad
    assert bad["path"] == str(path)
    assert FeatureCache(root, RECIPE).quarantined == {}


@pytest.mark.parametrize("damage", ["bytes", "lost", "json", "elsewhere"])
def test_damaged_model_is_set_aside_as_a_whole(root, cache, damage):
    good, folder = make_model(root, "good"), make_model(root, "bad")
    if damage == "bytes":
        (folder / "model.bin").write_bytes(b"Weights")
    elif damage == "lost":
        (folder / "model.bin").unlink()
    elif damage == "json":
        (folder / "model.json").write_text("{")
    else:
        foreign = description(b"weights") | {"files": {"../good/model.bin": "0"}}
        (folder / "model.json").write_text(json.dumps(foreign))
    result = verify(root)
    assert result.models == 1
    assert good.is_dir()
    assert [bad["path"] for bad in result.bad] == [str(folder)]
    assert (root / "models" / "damaged-bad" / "model.json").exists()
    assert verify(root).bad == []


def test_memory_of_a_refused_model_is_no_model(root, cache):
    folder = make_model(root, "refused")
    refused = description(b"") | {"files": {}, "differences": {"top": 1.0}}
    (folder / "model.json").write_text(json.dumps(refused))
    for name in ("model.xml", "model.bin"):
        (folder / name).unlink()
    result = verify(root)
    assert (result.models, result.bad) == (0, [])


def test_leftovers_of_killed_processes_go_when_they_are_old(root, cache):
    old, young = f".tmp-{'0' * 32}-shard-x.h5", f".tmp-{'1' * 32}-shard-x.h5"
    theirs = ".tmp-notes"
    for name in (old, young, theirs):
        (cache.folder / name).write_text("x")
    model = root / "models" / f".tmp-{'2' * 32}"
    model.mkdir(parents=True)
    (model / "model.bin").write_text("x")
    index, begun = (root / name / f".tmp-{'3' * 32}-x" for name in ("index", "Base-begun"))
    for path in (index, begun):
        path.parent.mkdir()
        path.write_text("x")
    long_ago = time.time() - 3700
    stale = (cache.folder / old, cache.folder / theirs, model / "model.bin", model, index, begun)
    for path in stale:
        os.utime(path, (long_ago, long_ago))
    assert verify(root).leftovers_removed == 4
    names = {path.name for path in root.rglob(".tmp-*")}
    assert names == {young, theirs}


def test_progress_ends_at_the_size_of_everything(root, cache):
    make_model(root, "base")
    told = Told()
    verify(root, told)
    seen = [(done, total) for _, done, total, _ in told.calls]
    total = shard_of(cache).stat().st_size + sum(
        path.stat().st_size for path in (root / "models").rglob("*.*")
    )
    assert seen[-1] == (total, total)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize("kind", [ValueError, KeyError, OSError, StoreError])
def test_what_is_told_and_fails_does_not_make_a_shard_damaged(root, cache, kind):
    class Failing(Told):
        def advance(self, *told, **more):
            raise kind("the terminal is gone")

    with pytest.raises(kind, match="the terminal is gone"):
        verify(root, Failing())
    assert shard_of(cache).is_file()
    assert not list(root.rglob("damaged-*"))


def test_no_cache_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"expected the folder of a feature cache, received cache"):
        verify(tmp_path / "nowhere")


def test_a_folder_in_which_there_is_nothing_to_check(tmp_path):
    with pytest.raises(InputError, match=r"expected features in cache=.*, received a folder with"):
        verify(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "index").mkdir()
    with pytest.raises(InputError, match="received a folder without any; `pipeline features DATA`"):
        verify(tmp_path)


def test_read_only_cache_is_reported_and_says_so(tmp_path):
    script = """
    import subprocess
    from pipeline.features.verify import verify
    fill(cache, *range(50))
    (path,) = cache.folder.glob("shard-*.h5")
    path.write_bytes(path.read_bytes()[:-100])
    subprocess.run(["mount", "-o", "remount,ro", sys.argv[1]], check=True)
    (bad,) = verify(cache.root).bad
    print(bad["set_aside"], bad["reason"])
    """
    said = printed(script, tmp_path, before=small_disk(tmp_path, "1m"))
    assert said.startswith("None expected a whole shard")
    assert "Read-only file system; move it away yourself" in said


def test_what_people_see(root, cache, capsys):
    spoil(shard_of(cache), features(*range(50))[A].tobytes())
    verification(verify(root).to_dict())
    said = capsys.readouterr().out
    assert "sound: 0 shards with 0 rows (0 bytes), 0 converted models" in said
    assert "bad, set aside as" in said
