"""Extractors, bases and classifiers: real Keras models at small sizes."""

import random

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from pipeline.backbones import Cut, class_names, parse_backbone, resolve_weights, summarize
from pipeline.backbones.build import build_base, build_classifier, build_extractor
from pipeline.errors import InputError, UnknownNameError
from tests.backbones.test_backbones import preprocess

MOBILENET = parse_backbone("MobileNet(alpha=0.25)")
NONE = resolve_weights(MOBILENET, "none", 3)


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)


def run(model, images):
    outputs = model(images, training=False)
    return [np.asarray(o) for o in (outputs if isinstance(outputs, list) else [outputs])]


def test_poolings_are_what_they_say(images):
    poolings = ("none", "avg", "max", "avg+max", "gem")
    model = build_extractor(MOBILENET, NONE, 64, [Cut("block3", pooling) for pooling in poolings])
    spatial, *pooled = run(model, images)
    average, maximum = spatial.mean((1, 2)), spatial.max((1, 2))
    expected = [
        average,
        maximum,
        np.concatenate([average, maximum], axis=1),
        (np.maximum(spatial, 1e-6) ** 3).mean((1, 2)) ** (1 / 3),
    ]
    assert spatial.shape == (2, 8, 8, 64)
    for got, wanted in zip(pooled, expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_outputs_come_in_the_order_of_the_cuts(images):
    cuts = [Cut("top"), Cut("block1", "max"), Cut("conv_pw_6_relu"), Cut("top", "none")]
    model = build_extractor(MOBILENET, NONE, 64, cuts)
    assert isinstance(model.outputs, list)
    assert [output.shape for output in model.outputs] == [
        (None, 256),
        (None, 16),
        (None, 128),
        (None, 2, 2, 256),
    ]
    assert {output.dtype for output in model.outputs} == {"float32"}
    assert (model.inputs[0].shape, model.inputs[0].dtype) == ((None, 64, 64, 3), "float32")
    assert model.inputs[0].name == "images"
    (single,) = run(build_extractor(MOBILENET, NONE, 64, cuts[:1]), images)
    np.testing.assert_array_equal(single, run(model, images)[0])


def test_layers_are_flat_and_those_above_the_cut_are_gone():
    model = build_extractor(MOBILENET, NONE, 64, [Cut("block3")])
    assert model.get_layer("conv_pw_5_relu").output.shape == (None, 8, 8, 64)
    assert "conv_pw_6" not in [layer.name for layer in model.layers]
    assert not [layer for layer in model.layers if isinstance(layer, keras.Model)]


def test_random_weights_leave_the_programs_own_draws_alone():
    random.seed(5)
    np.random.seed(5)
    expected = random.random(), np.random.random()
    random.seed(5)
    np.random.seed(5)
    build_base(MOBILENET, resolve_weights(MOBILENET, "none", seed=1), 32)
    assert (random.random(), np.random.random()) == expected


def test_same_seed_same_weights_and_another_seed_others(images):
    def features(seed):
        source = resolve_weights(MOBILENET, "none", seed)
        return run(build_extractor(MOBILENET, source, 64, [Cut("block1")]), images)[0]

    np.testing.assert_array_equal(features(3), features(3))
    assert np.abs(features(3) - features(4)).max() > 1e-3


@pytest.mark.parametrize("name", ["MobileNet(alpha=0.25)", "VGG16"])
def test_an_extractor_is_preprocessing_then_base(name):
    spec = parse_backbone(name)
    source = resolve_weights(spec, "none", 1)
    images = np.random.default_rng(1).uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)
    (features,) = run(build_extractor(spec, source, 32, [Cut("top", "none")]), images)
    base = build_base(spec, source, 32)
    prepared = preprocess(images, spec.backbone.preprocessing)
    np.testing.assert_allclose(features, base(prepared).numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras' saving
@pytest.mark.parametrize("name", ["MobileNet(alpha=0.25)", "VGG16"])
def test_a_saved_extractor_loads_in_safe_mode(name, tmp_path):
    spec = parse_backbone(name)
    source = resolve_weights(spec, "none", 1)
    cuts = [Cut("top", "gem"), Cut("block2", "avg+max")]
    model = build_extractor(spec, source, 32, cuts)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    images = np.random.default_rng(1).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    for got, wanted in zip(run(loaded, images), run(model, images), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_automatic_names_do_not_depend_on_the_session():
    spec = parse_backbone("MobileNetV3Small")
    source = resolve_weights(spec, "none", 1)
    first, second = (build_extractor(spec, source, 32, [Cut("top")]) for _ in range(2))
    names = [layer.name for layer in first.layers]
    assert names == [layer.name for layer in second.layers]
    assert "activation_17" in names


def test_mixed_precision_keeps_float32_at_both_ends(images):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = build_extractor(MOBILENET, NONE, 64, [Cut("top"), Cut("block2", "none")])
        classifier = build_classifier(MOBILENET, NONE, 64)
    finally:
        keras.config.set_dtype_policy("float32")
    assert {output.dtype for output in model.outputs} == {"float32"}
    assert model.get_layer("preprocessing").compute_dtype == "float32"
    assert model.get_layer("conv1").compute_dtype == "float16"
    exact = build_extractor(MOBILENET, NONE, 64, [Cut("top"), Cut("block2", "none")])
    for got, wanted in zip(run(model, images), run(exact, images), strict=True):
        np.testing.assert_allclose(got, wanted, atol=0.05)
    assert classifier.output.dtype == "float32"


def test_cuts_in_the_top_are_vectors_whatever_the_pooling():
    spec = parse_backbone("VGG16")
    source = resolve_weights(spec, "none", 0, include_top=True)
    assert spec.needs_top("fc2")
    model = build_extractor(spec, source, 224, [Cut("fc2", "max"), Cut("top", "avg")])
    assert [output.shape for output in model.outputs] == [(None, 4096), (None, 512)]
    with pytest.raises(InputError, match="fully connected layers of VGG16 need image_size=224"):
        build_extractor(spec, source, 64, [Cut("fc2")])


def test_an_unknown_layer_lists_the_cut_points():
    message = (
        r"unknown layer 'block9'; nearest: block.*cut points of MobileNet\(alpha=0.25\): "
        r"block1 = conv_pw_1_relu.*top = conv_pw_13_relu.*pipeline summary"
    )
    with pytest.raises(UnknownNameError, match=message):
        build_extractor(MOBILENET, NONE, 64, [Cut("block9")])


def test_a_too_small_input_is_refused():
    with pytest.raises(InputError, match="at least 32 pixels a side, received image_size=31"):
        build_base(MOBILENET, NONE, 31)


def test_summary_lists_layers_and_cut_points():
    rows = {row.name: row for row in summarize(MOBILENET, 64).layers}
    assert rows["conv_pw_13_relu"].cut_points == ("block5", "top")
    assert rows["conv_pw_5_relu"].output_shape == (8, 8, 64)
    assert rows["conv1"].n_parameters == 3 * 3 * 3 * 8
    assert rows["conv1"].class_name == "Conv2D"
    assert summarize(MOBILENET, 64).parameters == 218_544


@pytest.mark.parametrize(
    ("text", "with_top"),
    [
        ("MobileNet", 4_253_864),
        ("MobileNet(alpha=0.25)", 475_544),
        ("MobileNetV3Small", 2_554_968),
        ("EfficientNetLite0", 4_694_024),
    ],
)
def test_summary_with_the_top_counts_as_keras_does(text, with_top):
    spec = parse_backbone(text)
    found = summarize(spec, 32, include_top=True)
    assert found.parameters == with_top
    in_top = tuple(row.name for row in found.layers if row.in_top)
    assert sorted(in_top) == sorted(spec.top_layers)
    assert found.layers[-1].in_top
    assert found.layers[-1].output_shape == (1000,)
    if not spec.arguments:
        assert found.parameters_without_top == spec.backbone.n_parameters


def test_the_packaged_weights_know_what_is_in_a_picture():
    """china.jpg shows a temple roof, flower.jpg a composite flower."""
    spec = parse_backbone("EfficientNetLite0")
    source = resolve_weights(spec, "default", include_top=True)
    model = build_classifier(spec, source, 224)
    pictures = [Image.fromarray(picture) for picture in load_sample_images().images]
    inputs = np.stack([p.resize((224, 224), Image.Resampling.BICUBIC) for p in pictures])
    china, flower = np.asarray(model(inputs.astype(np.float32)))
    names = np.array(class_names())
    assert {"bell cote", "palace"} <= set(names[np.argsort(china)[-5:]])
    assert names[flower.argmax()] == "daisy"
    np.testing.assert_allclose([china.sum(), flower.sum()], 1, rtol=1e-5)
    # The published count, 4,694,031, includes a normalisation layer of 7 values; ours has none.
    assert model.count_params() == 4_694_031 - 7
