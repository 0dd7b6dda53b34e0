"""Bases whose model another process makes: no TensorFlow here, the same features."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.backbones.build import build_base, build_classifier
from pipeline.backbones.catalog import parse_backbone
from pipeline.backbones.cuts import Cut
from pipeline.backbones.engines import find_kept, open_engine
from pipeline.backbones.engines.apart import made_apart
from pipeline.backbones.numpy_graph import computed
from pipeline.backbones.weights import resolve_weights
from pipeline.config import FeaturesConfig
from pipeline.errors import WeightsError
from pipeline.features.base import resolve

ROOT = Path(__file__).resolve().parents[3]
SIZE, NAME = 32, "MobileNet(alpha=0.25)"


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "random.weights.h5"
    spec = parse_backbone(NAME)
    build_base(spec, resolve_weights(spec, "none", seed=3), SIZE).save_weights(path)
    return path


def base(weights, **settings):
    settings = {"backbone": NAME, "image_size": SIZE, "layers": "block2,top"} | settings
    return resolve(FeaturesConfig(weights=str(weights), cache=weights.parent / "cache", **settings))


def test_features_are_those_of_tensorflow(weights, tmp_path):
    one = base(weights, pooling="avg,gem,none")
    images = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), np.uint8)
    found = next(open_engine(one, "auto", "float32", 4, tmp_path).run([images]))
    assert max(find_kept(tmp_path, one).differences.values()) < 1e-4
    for ours, theirs in zip(found, one.build()(images.astype(np.float32)), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * np.abs(theirs).max())


def test_the_classifier_of_a_base_is_one_more_cut(tmp_path):
    spec = parse_backbone(NAME)
    model = build_base(spec, resolve_weights(spec, "none"), 224, include_top=True)
    for weight in model.weights[-2:]:  # or all classes would be as likely
        weight.assign(np.random.default_rng(0).normal(0, 3, weight.shape))
    model.save_weights(path := tmp_path / "top.weights.h5")
    source = resolve_weights(spec, str(path), include_top=True)
    made = made_apart(spec, source, 224, [Cut(spec.top_layers[-1])], ["probabilities"])
    images = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
    expected = build_classifier(spec, source, 224)(images.astype(np.float32))
    assert 0.1 < np.max(expected) < 1
    np.testing.assert_allclose(computed(made, images)[0], expected, atol=1e-4)


def test_nothing_is_sent_to_anybody(weights, tmp_path, monkeypatch):
    """OpenVINO's telemetry notes in the home folder whom it has told of."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert base(weights).direct() is not None
    assert {path.name for path in tmp_path.iterdir()} <= {".keras"}


def test_nothing_of_it_is_imported_here(weights, tmp_path):
    script = f"""
import sys
from pathlib import Path
from pipeline.backbones.engines import open_engine
from pipeline.config import FeaturesConfig
from pipeline.features.base import resolve
settings = FeaturesConfig(weights={str(weights)!r}, backbone={NAME!r}, image_size={SIZE})
engine = open_engine(resolve(settings), "auto", "float32", 4, Path({str(tmp_path)!r}))
print(engine.name, sorted({{"keras", "tensorflow", "jax"}} & set(sys.modules)))
"""
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert run.stdout.strip() == "openvino []", run.stderr


def test_weights_that_do_not_fit_are_said_as_ever(weights, tmp_path):
    with pytest.raises(WeightsError, match=r"expected weights of VGG16|VGG16"):
        open_engine(base(weights, backbone="VGG16"), "auto", "float32", 4, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["frozen", "executable"])
def test_inside_another_program_tensorflow_converts(weights, tmp_path, monkeypatch, name):
    """Its executable is no Python, that could be told what to do."""
    monkeypatch.setattr(sys, name, "" if name == "executable" else True, raising=False)
    assert base(weights).direct() is None
    assert open_engine(base(weights), "openvino", "float32", 4, tmp_path).name == "openvino"


def test_what_another_process_cannot_make_it_does_not_make(weights):
    assert base(weights, layers="conv_pw_1").with_cuts([Cut("nowhere")]).direct() is None
