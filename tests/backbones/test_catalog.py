"""The catalog against models built by the installed Keras.

One member per family; ``benchmarks/check_catalog.py`` runs the same tests on every row.
"""

import os

import keras
import numpy as np
import pytest
from keras.src.utils import file_utils

from pipeline.backbones import BACKBONES, parse_backbone, resolve_weights
from pipeline.backbones.build import build_base
from pipeline.backbones.keras_graph import graph_of
from pipeline.backbones.numpy_graph import computed
from pipeline.system.startup import compile_openvino

EXACT = {"INFERENCE_PRECISION_HINT": "f32"}

ONE_PER_FAMILY = [
    "VGG16",
    "ResNet50",
    "ResNet50V2",
    "DenseNet121",
    "InceptionV3",
    "Xception",
    "MobileNet(alpha=0.25)",
    "MobileNetV2(alpha=0.35)",
    "MobileNetV3Small",
    "MobileNetV3Small(minimalistic=True)",
    "NASNetMobile",
    "EfficientNetB0",
    "EfficientNetV2B0",
    "ConvNeXtTiny",
]
LITE = ["EfficientNetLite0", "EfficientNetLite1", "EfficientNetLite2"]
WHOLE = [name for name in BACKBONES if name not in LITE]
VARIANTS = [text for text in ONE_PER_FAMILY if "(" in text]
CHECKED = [*WHOLE, *VARIANTS] if os.environ.get("PIPELINE_WHOLE_CATALOG") else ONE_PER_FAMILY


def test_the_catalog_has_every_constructor_of_keras():
    constructors = {
        name
        for name in dir(keras.applications)
        if callable(getattr(keras.applications, name)) and name[0].isupper()
    }
    assert constructors == set(WHOLE)
    assert len(WHOLE) == 40


@pytest.fixture(autouse=True)
def _used_session():
    """Make sure that automatic names do not happen to start from zero."""
    keras.layers.Conv2D(1, 1)
    keras.layers.Activation("relu")
    keras.layers.ReLU()
    keras.layers.Add()


@pytest.mark.parametrize("text", [*CHECKED, *LITE])
def test_rows_describe_the_base(text):
    spec = parse_backbone(text)
    row = spec.backbone
    base = build_base(spec, resolve_weights(spec, "none"), row.min_size)
    names = [layer.name for layer in base.layers]
    assert names[-1] == spec.top_layer
    blocks = [names.index(layer) for layer in row.blocks]
    assert blocks == sorted(blocks)
    assert not set(names) & set(spec.top_layers)
    if not spec.arguments:
        assert base.count_params() == row.n_parameters
    size = row.min_size
    images = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)
    written = graph_of(base, ["top"])
    expected = np.asarray(base(images.astype(np.float32)))
    for found in (computed(written, images), compile_openvino(written, EXACT)(images).values()):
        (found,) = found
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


class _Asked(Exception):  # noqa: N818 - not an error: it stops Keras once we know the file
    pass


def _file_asked_for(monkeypatch, spec, include_top):
    """Return the name of the file that Keras would load, and the model built until then."""
    models = []

    def get_file(name, *_args, **_kwargs):
        raise _Asked(name)

    def functional(*args, **kwargs):
        models.append(original(*args, **kwargs))
        return models[-1]

    module = getattr(
        keras.src.applications,
        "resnet"
        if "resnet" in spec.backbone.module and "inception" not in spec.backbone.module
        else spec.backbone.module,
    )
    original = module.Functional
    monkeypatch.setattr(file_utils, "get_file", get_file)
    monkeypatch.setattr(module, "Functional", functional)
    size = spec.backbone.input_size
    with pytest.raises(_Asked) as asked:
        getattr(keras.applications, spec.backbone.name)(
            include_top=include_top, input_shape=(size, size, 3), **spec.arguments
        )
    return str(asked.value), models[-1]


@pytest.mark.parametrize("text", CHECKED)
def test_rows_name_the_files_that_keras_loads(text, monkeypatch):
    spec = parse_backbone(text)
    keras.utils.clear_session()
    name, model = _file_asked_for(monkeypatch, spec, include_top=True)
    assert name == spec.weights_file(include_top=True)
    assert model.input_shape[1] == spec.backbone.input_size
    # The layers of the top, under the names that Keras gives in a fresh session.
    names = [layer.name for layer in model.layers]
    assert tuple(names[-len(spec.top_layers) :]) == spec.top_layers
    if spec.backbone.module != "convnext":  # which has another last layer without its top
        assert names[-len(spec.top_layers) - 1] == spec.top_layer


@pytest.mark.skipif(CHECKED is ONE_PER_FAMILY, reason="a slow part of benchmarks/check_catalog.py")
@pytest.mark.parametrize("text", CHECKED)
def test_rows_name_the_files_without_top(text, monkeypatch):
    spec = parse_backbone(text)
    name, _ = _file_asked_for(monkeypatch, spec, include_top=False)
    assert name == spec.weights_file()


@pytest.mark.parametrize("text", CHECKED)
def test_min_size_is_the_smallest_that_keras_accepts(text):
    spec = parse_backbone(text)
    size = spec.backbone.min_size - 1
    with pytest.raises(ValueError, match=f"at least {spec.backbone.min_size}"):
        getattr(keras.applications, spec.backbone.name)(
            include_top=False, weights=None, input_shape=(size, size, 3), **spec.arguments
        )
