"""Stage 1 as a function does what the command does, and open features say what is missing."""

import shutil

import numpy as np
import pytest
from PIL import Image

import pipeline
from pipeline.errors import DataError, InputError
from tests.api.conftest import BASE, FLAGS, answer


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
    with pytest.raises(DataError, match=r"strict=True\), 1 have none, first train/0/broken.png"):
        pipeline.open_features("broken", **BASE, strict=True)
