"""Settings of the public functions: at run time, and as type checkers see them."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import fields
from os import PathLike
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest

import pipeline
from pipeline.api.settings import ClassifySettings, FeaturesSettings, FinetuneSettings, filled
from pipeline.config import ClassifyConfig, FeaturesConfig, FinetuneConfig
from pipeline.errors import InputError
from tests.api.conftest import BASE

ROOT = Path(pipeline.__file__).parents[1]
# What the command line calls "separated by commas" or "with commas".
LISTS = {"only", "layers", "pooling", "view_policy", "heads", "prepare", "augment"}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"bakbone": "VGG16"}, "unknown setting of extract_features 'bakbone'; nearest: backbone"),
        ({"image_size": 32.5}, r"expected image_size as one side in pixels, .* received .*=32\.5"),
        ({"image_size": (32, 48)}, r"expected a square, .* received image_size=\(32, 48\): give"),
        ({"strict": 1}, "expected strict as True or False, received strict=1"),
        ({"backbone": None}, "expected backbone as a text, received backbone=None"),
        ({"backbone": ["VGG16"]}, r"expected backbone as a text, received backbone=\['VGG16'\]"),
        ({"layers": 3}, "expected layers as a text, or a list of texts, received layers=3"),
        ({"layers": ["top", 3]}, r"a list of texts, received layers=\['top', 3\]"),
        ({"cache": 3}, "expected cache as a path, received cache=3"),
        (
            {"batch_size": True},
            "expected batch_size as a whole number or None, received batch_size=True",
        ),
        ({"batch_size": 0}, "expected batch_size from 1 to 65536, received batch_size=0"),
        ({"progress": 3}, "expected progress as True, None or a function"),
        ({"backbone": "VGG17"}, "unknown backbone 'VGG17'; nearest: VGG1"),
    ],
)
def test_settings_that_cannot_be_used(folder, settings, told):
    with pytest.raises(InputError, match=told):
        pipeline.extract_features("digits", **{**BASE, **settings})


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("data", lambda: pipeline.extract_features(["digits"])),
        ("data", lambda: pipeline.extract_features("")),
        ("run", lambda: pipeline.load_run("")),
        ("data", lambda: pipeline.open_features(b"digits")),
        ("data", lambda: pipeline.train_classifier(None)),
        ("from_run", lambda: pipeline.fine_tune("digits", from_run=3)),
        ("run", lambda: pipeline.load_run(3)),
    ],
)
def test_what_is_no_path_is_told_by_its_name(name, call):
    with pytest.raises(InputError, match=f"expected {name} as a text or a path, received {name}="):
        call()


@pytest.mark.parametrize("name", ["cache", "runs", "root"])
def test_an_empty_text_is_no_path(name):
    with pytest.raises(InputError, match=f"expected {name} as a .* received {name}="):
        pipeline.train_classifier("digits", **{name: ""})


def test_a_field_that_has_another_name_is_unknown(folder):
    with pytest.raises(InputError, match="unknown setting of fine_tune 'source'"):
        pipeline.fine_tune("digits", source="best")


def test_numpy_numbers_lists_and_paths_are_settings(trained, folder):
    for size in (np.int64(32), (32, 32), "32x32"):
        settings = {"image_size": size, "layers": ["block3"], "cache": folder / "cache"}
        assert pipeline.extract_features(folder / "digits", **settings).computed == 0


@pytest.mark.parametrize(
    ("config", "typed", "left_out"),
    [
        (FeaturesConfig, FeaturesSettings, []),
        (ClassifyConfig, ClassifySettings, []),
        (FinetuneConfig, FinetuneSettings, ["source"]),
    ],
)
def test_type_checkers_see_the_fields_of_the_configs(config, typed, left_out):
    types = get_type_hints(config)
    hints = {one.name: types[one.name] for one in fields(config) if one.name not in left_out}
    seen = get_type_hints(typed)
    assert list(seen) == list(hints)
    for name, hint in hints.items():
        assert options(seen[name]) == options(hint) - {Path} | wider(name, hint), name
    assert not typed.__required_keys__


def options(hint):
    return set(get_args(hint)) or {hint}


def wider(name, hint):
    """What a program may give beside what the dataclass holds."""
    if Path in options(hint):
        return {str, PathLike[str]}
    if name == "image_size":
        return {tuple[int, int]}
    if name in ("root", "corrections"):
        return {PathLike[str]}
    return {Sequence[str]} if name in LISTS else set()


@pytest.mark.parametrize("name", sorted(LISTS))
def test_a_list_is_a_text_with_commas(name):
    config = FinetuneConfig if name == "augment" else ClassifyConfig
    values = ["flip", "shift"]
    assert getattr(filled(config, {name: values}, "it"), name) == "flip,shift"
    assert filled(config, {name: values}, "it") == filled(config, {name: "flip,shift"}, "it")


def test_a_root_is_a_path_too(tmp_path):
    assert filled(FeaturesConfig, {"root": tmp_path}, "it").root == str(tmp_path)


SOUND = """
from pathlib import Path

import numpy as np

import pipeline

done: pipeline.Extraction = pipeline.extract_features(
    Path("digits"), progress=True, layers=["top", "block3"], image_size=None, cache="cache"
)
features: pipeline.OpenedFeatures = pipeline.open_features("digits", layers="top,block3", views=2)
X: np.ndarray = features.split("train").X
trained: pipeline.Trained = pipeline.train_classifier(
    "digits", heads=("lda", "knn"), max_error=1, runs=Path("runs")
)
head: pipeline.TrainedHead = trained.best
run: pipeline.Run = pipeline.load_run(head.run, cache=Path("cache"))
tuned: pipeline.FineTuned = pipeline.fine_tune("digits", from_run=run, epochs=2, augment=["flip"])
try:
    tuned.run.predict("digits/test")
except pipeline.DataError as error:
    print(pipeline.__version__, error)
"""
FAULTY = """
import pipeline

pipeline.extract_features("digits", bakbone="VGG16")
pipeline.extract_features("digits", image_size=32.5)
pipeline.open_features("digits", progress=True)
pipeline.train_classifier("digits", heads=3)
pipeline.train_classifier("digits", cache=7)
pipeline.fine_tune("digits", source="best")
pipeline.load_run("best", batch_size=None)
pipeline.classify_all
"""
WRONG = {
    4: 'Unexpected keyword argument "bakbone" for "extract_features"',
    5: 'has incompatible type "float"; expected "int | str | tuple[int, int] | None"',
    6: 'Unexpected keyword argument "progress" for "open_features"',
    7: 'has incompatible type "int"; expected "str | Sequence[str]"',
    8: 'has incompatible type "int"; expected "str | PathLike[str]"',
    9: 'Unexpected keyword argument "source" for "fine_tune"',
    10: 'has incompatible type "None"; expected "int"',
    11: 'Module has no attribute "classify_all"',
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What mypy says of the two scripts: {file name: {line: message}}."""
    folder = tmp_path_factory.mktemp("typed")
    (folder / "sound.py").write_text(SOUND)
    (folder / "faulty.py").write_text(FAULTY)
    process = subprocess.run(
        [sys.executable, "-m", "mypy", *sorted(map(str, folder.iterdir()))],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert process.returncode == 1, process.stderr
    lines = (line.split(":", 2) for line in process.stdout.splitlines() if ": error: " in line)
    messages = {"sound.py": {}, "faulty.py": {}}
    for path, number, message in lines:
        messages[Path(path).name][int(number)] = message
    return messages


def test_mypy_passes_a_sound_script(found):
    assert found["sound.py"] == {}


def test_mypy_sees_unknown_settings_and_wrong_types(found):
    assert found["faulty.py"].keys() == WRONG.keys()
    for line, message in WRONG.items():
        assert message in found["faulty.py"][line]
