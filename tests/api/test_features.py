"""Stage 1 as a function does what the command does, and open features say what is missing."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import pipeline
from pipeline.errors import DamagedShardError, DataError, InputError, WeightsError
from tests.api.conftest import BASE, FLAGS, answer, snapshot


def test_features_are_those_of_the_command(trained, capsys):
    value = answer(capsys, "features", "digits", *FLAGS)
    done = pipeline.extract_features("digits", **BASE)
    assert (value["computed"], done.computed, done.images) == (0, 0, 96)
    assert done.recipe == value["recipe"]


def test_opened_features_are_the_exported_ones(opened, capsys):
    answer(capsys, "export-features", "digits", "--out", "out.npz", "--overwrite", *FLAGS)
    with np.load("out.npz") as file:
        np.testing.assert_array_equal(opened.X, file["X/block3"])
        np.testing.assert_array_equal(opened.y, file["y"])
        assert list(opened.paths) == file["path"].tolist() == sorted(opened.paths)
        np.testing.assert_array_equal(opened.splits, file["split"])
        assert opened.classes == tuple(file["classes"].tolist())
    assert opened.X.dtype == np.float32
    assert opened.shapes == {"block3": (opened.X.shape[1],)}
    assert opened.left_out == ()
    assert "96 pictures of 3 classes, train 72, test 24; 40 features of block3" in repr(opened)


def test_missing_features_are_counted(trained, folder):
    shutil.copytree("digits", "more", dirs_exist_ok=True)
    Image.new("RGB", (9, 9), (1, 2, 3)).save("more/train/0/new.png")
    with pytest.raises(InputError, match=r"all 97 pictures .* 1 are missing; call"):
        pipeline.open_features("more", **BASE)
    with pytest.raises(InputError, match=r"all 96 pictures .* 96 are missing"):
        pipeline.open_features("digits", **{**BASE, "layers": "top"})
    with pytest.raises(InputError, match=r"all 72 views .* 72 are missing"):
        pipeline.open_features("digits", **BASE, views=1)


def test_pictures_that_cannot_be_decoded_are_left_out(trained, folder):
    shutil.copytree("digits", "broken", dirs_exist_ok=True)
    (folder / "broken/train/0/broken.png").write_bytes(b"no picture")
    assert len(pipeline.extract_features("broken", **BASE).failed) == 1
    features = pipeline.open_features("broken", **BASE)
    assert (len(features), len(features.X)) == (96, 96)
    ((path, reason),) = features.left_out
    assert path == "train/0/broken.png"
    assert reason
    with pytest.raises(DataError, match=r"1 of 97 are not, first train/0/broken.png: not a"):
        pipeline.open_features("broken", **BASE, strict=True)


def test_opening_changes_nothing(trained, folder):
    shutil.rmtree("cache/index", ignore_errors=True)
    before = snapshot(folder)
    features = pipeline.open_features("digits", **BASE)
    assert len(features.split("train").X) == len(features.view(0)) - 24 == 72
    assert [len(y) for _, y in features.blocks(50)] == [50, 46]
    with pytest.raises(InputError, match="96 are missing"):
        pipeline.open_features("digits", **{**BASE, "cache": "nowhere"})
    assert snapshot(folder) == before


def test_opening_leaves_what_is_damaged_where_it_is(trained, folder, tmp_path):
    shutil.copytree("cache", tmp_path / "cache")
    features = pipeline.open_features("digits", **{**BASE, "cache": tmp_path / "cache"})
    for shard in tmp_path.rglob("shard-*.h5"):
        content = bytearray(shard.read_bytes())
        content[-200:] = bytes(200)
        shard.write_bytes(content)
    before = snapshot(tmp_path)
    with pytest.raises(DamagedShardError, match="received a damaged file"):
        _ = features.X
    with pytest.raises(DamagedShardError, match="received a damaged file"):
        _ = pipeline.open_features("digits", **{**BASE, "cache": tmp_path / "cache"}).X
    assert snapshot(tmp_path) == before


def test_opening_fetches_no_weights_and_needs_no_tensorflow(trained, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    with pytest.raises(WeightsError, match="looking downloads nothing"):
        pipeline.open_features("digits", **{**BASE, "backbone": "VGG16"})
    assert not (tmp_path / "keras").exists()
    script = f"""
import sys, pipeline
features = pipeline.open_features("digits", **{BASE!r})
print(features.X.shape, {{"tensorflow", "keras", "openvino"}} & set(sys.modules))
"""
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert process.stdout == "(96, 40) set()\n"
