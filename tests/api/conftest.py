"""Three of the digits, what the examples make of them, and a run of each of two heads."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import pipeline
from pipeline.cli import run
from pipeline.images import write_digits

BASE = {"image_size": 32, "layers": "block3", "cache": "cache"}
FLAGS = ["--image-size", "32", "--layers", "block3", "--cache", "cache"]


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Converted bases, which all files of tests share: to convert takes longer than any test."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def root(tmp_path_factory, models):
    """Folder with 24 pictures to train on and 8 to test of each of three digits."""
    root = tmp_path_factory.mktemp("api")
    (root / "cache").mkdir()
    (root / "cache" / "models").symlink_to(models)
    write_digits(root / "all")
    for split, count in (("train", 24), ("test", 8)):
        for name in "012":
            (root / "digits" / split / name).mkdir(parents=True)
            for path in sorted((root / "all" / split / name).iterdir())[:count]:
                shutil.copy(path, root / "digits" / split / name)
    shutil.rmtree(root / "all")
    return root


@pytest.fixture
def folder(root, monkeypatch):
    """The folder that is worked in."""
    monkeypatch.chdir(root)
    return root


@pytest.fixture(scope="module")
def first_training(root):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        return pipeline.train_classifier("digits", heads=["logistic", "knn"], folds=3, **BASE)


@pytest.fixture
def trained(folder, first_training):
    return first_training


@pytest.fixture
def opened(trained):
    return pipeline.open_features("digits", **BASE)


def answer(capsys, *arguments):
    """Run a command and return its ``--json`` value."""
    capsys.readouterr()
    assert run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def pixels(paths):
    return [np.asarray(Image.open(path).convert("RGB")) for path in paths]


def snapshot(*folders):
    """Return what lies in folders: names, times and contents."""
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for folder in folders
        for path in (folder, *folder.rglob("*"))
    }
