"""Catalog texts, preprocessing, class names and cut points, all without building a model."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.backbones import (
    BACKBONES,
    POOLINGS,
    PREPROCESSINGS,
    Cut,
    class_names,
    parse_backbone,
)
from pipeline.errors import InputError, UnknownNameError, WeightsError


def test_the_catalog_imports_no_tensorflow():
    code = (
        "import sys, pipeline.backbones as b; s = b.parse_backbone('EfficientNetLite0');"
        "b.resolve_weights(s, 'default'); b.class_names(); s.cut_points();"
        "print(sorted({'tensorflow', 'keras', 'h5py', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", BACKBONES)
def test_every_row_parses_and_has_consistent_names(name):
    spec = parse_backbone(name)
    points = spec.cut_points()
    assert str(spec) == name
    assert list(points) == [f"block{i + 1}" for i in range(len(points) - 1)] + ["top"]
    assert len(set(spec.backbone.blocks)) == len(spec.backbone.blocks)
    assert not any(map(spec.needs_top, points))
    assert all(map(spec.needs_top, spec.top_layers))
    assert spec.backbone.preprocessing in PREPROCESSINGS
    assert spec.weights_file() != spec.weights_file(include_top=True) or spec.backbone.package


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("MobileNet", "MobileNet"),
        ("MobileNet()", "MobileNet"),
        ("MobileNet(alpha=1)", "MobileNet"),
        (" MobileNet( depth_multiplier=1, alpha=0.250 )", "MobileNet(alpha=0.25)"),
        ("MobileNet(depth_multiplier=2,alpha=.5)", "MobileNet(alpha=0.5, depth_multiplier=2)"),
        ("MobileNetV3Small(minimalistic=True)", "MobileNetV3Small(minimalistic=True)"),
    ],
)
def test_parse_backbone_is_canonical(text, canonical):
    spec = parse_backbone(text)
    assert str(spec) == canonical
    assert parse_backbone(canonical) == spec
    assert hash(parse_backbone(canonical)) == hash(spec)


def test_an_unknown_backbone_gets_the_nearest_names():
    with pytest.raises(UnknownNameError, match=r"'Resnet5'; nearest: .*ResNet50.*pipeline backbon"):
        parse_backbone("Resnet5")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("MobileNet(weights=None)", "unknown argument 'weights'.*takes alpha, depth_multiplier"),
        ("MobileNet(alpa=0.5)", "unknown argument 'alpa'; nearest: alpha"),
        ("VGG16(alpha=0.5)", "VGG16 takes no arguments"),
        ("MobileNet(alpha='0.5')", "a number above 0 and below 100 for alpha.*alpha='0.5'"),
        ("MobileNet(alpha=True)", "a number above 0.*alpha=True"),
        ("MobileNet(alpha=0)", "a number above 0.*alpha=0.0"),
        ("MobileNet(alpha=1e999)", "a number above 0.*alpha=inf"),
        ("MobileNet(depth_multiplier=1.5)", "a whole number from 1 to 99.*depth_multiplier=1.5"),
        ("MobileNetV3Small(minimalistic=1)", "True or False for minimalistic"),
    ],
)
def test_bad_arguments(text, message):
    with pytest.raises(InputError, match=message):
        parse_backbone(text)


def test_cut_points_stand_for_layers():
    spec = parse_backbone("EfficientNetLite0")
    assert spec.resolve_layer("top") == "top_activation"
    assert spec.resolve_layer("block5") == "block5c_add"
    assert spec.resolve_layer("block7") == "block7a_project_bn"
    assert spec.resolve_layer("block5a_bn") == "block5a_bn"
    assert spec.needs_top("predictions")
    assert not spec.needs_top("block5")


def test_minimalistic_renames_the_top_cut():
    usual, minimalistic = map(
        parse_backbone, ("MobileNetV3Small", "MobileNetV3Small(minimalistic=True)")
    )
    assert (usual.top_layer, minimalistic.top_layer) == ("activation_17", "re_lu_22")
    assert minimalistic.needs_top("re_lu_23")
    assert not minimalistic.needs_top("activation_18")


def test_image_sizes():
    vgg = parse_backbone("VGG16")
    vgg.check_image_size(32)
    vgg.check_image_size(224, include_top=True)
    with pytest.raises(InputError, match="at least 71 pixels a side, received image_size=70"):
        parse_backbone("Xception").check_image_size(70)
    with pytest.raises(
        InputError, match=r"fully connected.*image_size=224, received image_size=150"
    ):
        vgg.check_image_size(150, include_top=True)


@pytest.mark.parametrize(
    ("text", "size", "include_top", "file"),
    [
        ("MobileNet(alpha=0.25)", None, False, "mobilenet_2_5_224_tf_no_top.h5"),
        ("MobileNet", 128, True, "mobilenet_1_0_128_tf.h5"),
        ("MobileNet(alpha=0.75)", 150, False, "mobilenet_7_5_224_tf_no_top.h5"),
        ("ResNet50", 150, True, "resnet50_weights_tf_dim_ordering_tf_kernels.h5"),
        (
            "MobileNetV3Large(minimalistic=True)",
            None,
            False,
            "weights_mobilenet_v3_large_minimalistic_224_1.0_float_no_top_v2.h5",
        ),
    ],
)
def test_weights_files(text, size, include_top, file):
    assert parse_backbone(text).weights_file(size, include_top) == file


@pytest.mark.parametrize(
    "text",
    [
        "MobileNet(alpha=0.3)",
        "MobileNet(depth_multiplier=2)",
        "MobileNetV3Small(alpha=0.75, minimalistic=True)",
    ],
)
def test_architectures_without_published_weights_say_so(text):
    with pytest.raises(WeightsError, match=r"ImageNet weights of .* need .*--weights none"):
        parse_backbone(text).weights_file()


def test_an_unknown_pooling_is_refused():
    with pytest.raises(UnknownNameError, match=r"'mean'.*avg, max, avg\+max, gem, none"):
        Cut("top", "mean")
    assert [Cut("top", pooling).pooling for pooling in POOLINGS] == list(POOLINGS)


def test_class_names():
    names = class_names()
    assert len(names) == len({name.lower() for name in names}) == 1000
    assert (names[0], names[985], names[999]) == ("tench", "daisy", "toilet tissue")
    assert (names[134], names[517]) == ("crane (bird)", "crane (machine)")


pixels = hnp.arrays(
    np.float32, (1, 2, 3, 3), elements=st.floats(0, 255, width=32) | st.integers(0, 255)
)


def preprocess(images, family):
    """Apply the table's constants outside of any graph."""
    constants = PREPROCESSINGS[family]
    values = np.asarray(images, np.float32)[..., :: -1 if constants.reverse_channels else 1]
    return values * np.array(constants.scale, np.float32) + np.array(constants.offset, np.float32)


@settings(max_examples=10, deadline=None)
@given(images=pixels)
def test_preprocessing_is_that_of_keras(images):
    import keras

    modules = {row.module: row.preprocessing for row in BACKBONES.values()}
    del modules["efficientnet_lite"]
    for module, family in modules.items():
        expected = getattr(keras.applications, module).preprocess_input(images.copy())
        np.testing.assert_allclose(preprocess(images, family), expected, rtol=1e-5, atol=1e-4)


@settings(max_examples=10, deadline=None)
@given(images=pixels)
def test_preprocessing_in_the_graph_is_the_same(images):
    for family, model in _graphs().items():
        result = model(images).numpy()
        np.testing.assert_allclose(result, preprocess(images, family), rtol=1e-6, atol=1e-5)


def _graphs(cache={}):  # noqa: B006 - built once for all examples
    import keras

    from pipeline.backbones.preprocessing import preprocessing_layers

    if not cache:
        for family in PREPROCESSINGS:
            images = keras.Input((2, 3, 3))
            cache[family] = keras.Model(images, preprocessing_layers(images, family))
    return cache


def test_lite_preprocessing_is_exact():
    pixel = np.arange(256, dtype=np.uint8).reshape(1, 1, 256, 1).repeat(3, axis=3)
    expected = (pixel.astype(np.float64) - 127) / 128
    np.testing.assert_array_equal(preprocess(pixel, "lite").astype(np.float64), expected)


def test_unknown_preprocessing():
    from pipeline.backbones.preprocessing import preprocessing_layers

    with pytest.raises(UnknownNameError, match="unknown preprocessing 'cafe'; nearest: caffe"):
        preprocessing_layers(None, "cafe")
