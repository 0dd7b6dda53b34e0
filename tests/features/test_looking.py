"""Who only looks changes nothing: no file is written or renamed, no folder made."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from pipeline.cli import run
from pipeline.config import FeaturesConfig
from pipeline.features.base import frozen_base
from pipeline.features.store import FeatureCache
from pipeline.images import index

LOOKING = (["explain"], ["export-features", "--out", "OUT"])


def snapshot(folder):
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in (folder, *folder.rglob("*"))
    }


def command(words, pictures, tmp_path):
    more = [str(tmp_path / "out.npz") if word == "OUT" else word for word in words[1:]]
    cache = ["--cache", str(tmp_path / "features")]
    return [words[0], str(pictures), *more, *cache, "--image-size", "64", "--json"]


@pytest.fixture
def cached(pictures, tmp_path):
    """Made features of all pictures, and a shard that is damaged in a folder of its own."""
    config = FeaturesConfig(cache=tmp_path / "features", image_size=64)
    dataset, base = index(pictures), frozen_base(config)
    values = np.ones((len(dataset), 3), np.float32)
    with FeatureCache(config.cache, base.recipe).writer("openvino", {}) as writer:
        writer.add(dataset.digests, dict.fromkeys(base.recipe.cuts, values))
    return pictures


@pytest.mark.parametrize("words", LOOKING, ids=" ".join)
def test_looking_changes_nothing(cached, tmp_path, capsys, words):
    before = snapshot(tmp_path / "features")
    assert run(command(words, cached, tmp_path)) == 0
    assert json.loads(capsys.readouterr().out)
    assert snapshot(tmp_path / "features") == before


@pytest.mark.parametrize("words", LOOKING, ids=" ".join)
def test_looking_at_a_pool(cached, tmp_path, capsys, words):
    pool = tmp_path / "loose"
    pool.mkdir()
    for number, path in enumerate(sorted(cached.rglob("*.png"))):
        shutil.copy(path, pool / f"{number}.png")
    before = snapshot(tmp_path / "features")
    for place, more in ((pool, []), (cached, ["--unlabelled"])):
        assert run([*command(words, place, tmp_path), *more]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told.get("rows", told.get("cached")) > 0
        (tmp_path / "out.npz").unlink(missing_ok=True)
    assert snapshot(tmp_path / "features") == before
    (pool / "a").mkdir()
    (pool / "0.png").rename(pool / "a" / "0.png")
    assert run(command(words, pool, tmp_path)) == 2
    assert "or --unlabelled to take them without labels" in capsys.readouterr().err


@pytest.mark.parametrize("words", LOOKING, ids=" ".join)
def test_looking_leaves_what_is_damaged_where_it_is(cached, tmp_path, capsys, words):
    (shard,) = (tmp_path / "features").rglob("shard-*.h5")
    data = bytearray(shard.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    shard.write_bytes(data)
    before = snapshot(tmp_path / "features")
    assert run(command(words, cached, tmp_path)) == 2
    assert "received a damaged file" in capsys.readouterr().err
    assert snapshot(tmp_path / "features") == before
    assert not (tmp_path / "out.npz").exists()


@pytest.mark.parametrize("words", [["classify", "--heads", "ridge"], ["check"]], ids=" ".join)
def test_only_features_and_verify_set_aside(cached, tmp_path, capsys, words):
    (shard,) = (tmp_path / "features").rglob("shard-*.h5")
    shard.write_bytes(shard.read_bytes()[:-100])
    cache = ["--cache", str(tmp_path / "features")]
    assert run([words[0], str(cached), *words[1:], *cache, "--image-size", "64"]) == 2
    said = capsys.readouterr().err
    assert f"run `pipeline verify --cache {tmp_path / 'features'}`, which sets it aside" in said
    assert shard.is_file()
    assert run(["verify", *cache]) == 1
    assert not shard.exists()
    assert len(list(shard.parent.glob("damaged-*"))) == 1


@pytest.mark.parametrize("words", LOOKING, ids=" ".join)
def test_looking_makes_no_cache(pictures, tmp_path, capsys, words):
    run(command(words, pictures, tmp_path))
    assert not (tmp_path / "features").exists()


@pytest.mark.parametrize("words", LOOKING, ids=" ".join)
def test_looking_fetches_no_weights(pictures, tmp_path, capsys, monkeypatch, words):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    line = [*command(words, pictures, tmp_path), "--backbone", "VGG16"]
    assert run(line) == 2
    assert "looking downloads nothing" in capsys.readouterr().err
    assert not (tmp_path / "keras").exists()


@pytest.mark.parametrize("words", LOOKING, ids=" ".join)
def test_looking_needs_no_tensorflow(cached, tmp_path, words):
    script = (
        "import sys\nfrom pipeline.cli import run\n"
        f"assert run({command(words, cached, tmp_path)!r}) == 0\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)


def test_a_bad_target_shows_before_any_picture_is_read(pictures, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("pipeline.api.stages.index", None)
    line = command(["export-features", "--out", str(tmp_path / "x.txt")], pictures, tmp_path)
    assert run(line) == 2
    assert "unknown" in capsys.readouterr().err
    assert run([*command(LOOKING[0], pictures, tmp_path), "--layers", "blokk5"]) == 2
