"""Where converted models are kept: in the user's cache, else beside the features."""

import os

import numpy as np
import openvino as ov
import pytest

from pipeline.backbones.engines import GivenNetwork
from pipeline.backbones.engines.kept import (
    VARIABLE,
    ComparedModel,
    bring,
    find_kept,
    models_cache,
    place_of,
)

ops = ov.opset13
NETWORK = GivenNetwork("small", {"precision": "float32"}, ("one",), lambda: None)
INT8 = GivenNetwork("small", {"precision": "int8:" + 64 * "0"}, ("one",), lambda: None)


def model():
    images = ops.parameter([-1, 4, 4, 3], np.uint8, name="images")
    result = ops.result(ops.convert(images, "f32"))
    result.output(0).set_names({"one"})
    return ov.Model([result], [images], "small")


def compared():
    return ComparedModel(NETWORK, model(), {"one": 0.0}, 1e-4)


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Return the folder beside the features and that of the machine."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "home/machine"))
    return tmp_path / "features/models", tmp_path / "home/machine"


def test_one_model_serves_every_cache(places, tmp_path):
    beside, machine = places
    compared().keep_somewhere(beside)
    assert not beside.exists()
    for folder in (beside, tmp_path / "other/models"):
        assert find_kept(folder, NETWORK).folder.parent == machine


def test_what_lies_beside_the_features_is_used_first(places):
    for place in places:
        compared().keep(place)
    assert find_kept(places[0], NETWORK).folder.parent == places[0]


def test_what_is_made_from_pictures_stays_beside_their_features(places):
    assert place_of(places[0], INT8) == places[0]
    assert place_of(places[0], NETWORK) == places[1]


def test_without_a_place_of_the_machine_it_is_as_it_was(places, monkeypatch):
    monkeypatch.setenv(VARIABLE, "")
    compared().keep_somewhere(places[0])
    assert find_kept(places[0], NETWORK).folder.parent == places[0]
    assert not places[1].exists()


def test_a_machine_that_cannot_be_written_is_said(places, caplog):
    beside, machine = places
    machine.parent.write_text("a file")
    compared().keep_somewhere(beside)
    (said,) = caplog.messages
    assert said.startswith(f"cannot keep the converted model in {machine}: ")
    assert said.endswith(f"; it is kept in {beside}")
    assert find_kept(beside, NETWORK).accepted


def test_where_nothing_can_be_written_it_is_said_and_that_is_all(places, caplog):
    for place in places:
        place.parent.write_text("a file")
    compared().keep_somewhere(places[0])
    assert "name another folder with --cache" in caplog.messages[-1]


def test_others_find_what_was_brought(places, monkeypatch):
    compared().keep_somewhere(places[0])
    bring(places[0], NETWORK)
    monkeypatch.setenv(VARIABLE, str(places[1].parent / "another machine"))
    assert find_kept(places[0], NETWORK).damage() is None
    bring(places[0], NETWORK)


@pytest.mark.parametrize(
    ("system", "changes", "expected"),
    [
        ("linux", {}, "{home}/.cache"),
        ("darwin", {}, "{home}/Library/Caches"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local"),
        ("linux", {"XDG_CACHE_HOME": "/elsewhere"}, "/elsewhere"),
    ],
)
def test_the_users_cache_is_where_the_platform_has_it(
    tmp_path, monkeypatch, system, changes, expected
):
    for name in (VARIABLE, "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"HOME": str(tmp_path)} | changes).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.platform", system)
    assert str(models_cache()) == f"{expected.format(home=tmp_path)}/bottleneck-pipeline/models"


def test_who_has_no_home_has_no_cache(monkeypatch):
    for name in (VARIABLE, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert models_cache() is None


def test_a_folder_that_may_not_be_looked_into_is_passed_over(places, monkeypatch):
    places[1].mkdir(parents=True)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert models_cache() is None
