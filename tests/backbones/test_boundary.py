"""Every family of bases can be cut below what learns, and learns there and nowhere else."""

import keras
import numpy as np
import pytest

from pipeline.backbones import Cut, parse_backbone, resolve_weights
from pipeline.backbones.boundary import find_boundary
from pipeline.backbones.build import build_extractor
from pipeline.backbones.unfreeze import block_factors, freeze, unfreeze
from pipeline.finetune.augment import augmentation
from pipeline.finetune.training.plan import Plan
from pipeline.finetune.training.trainer import Trainer
from pipeline.heads import NetworkHead
from pipeline.heads.transplant import transplant


def grafted(name, size=32, cuts=("top",), n_classes=3):
    """Return spec, whole model, and the layers of the outputs that the head sees."""
    spec = parse_backbone(name)
    extractor = build_extractor(
        spec, resolve_weights(spec, "none"), size, [Cut(cut) for cut in cuts]
    )
    width = sum(output.shape[-1] for output in extractor.outputs)
    kernel = np.random.default_rng(0).normal(size=(width, n_classes)).astype("f4")
    head = NetworkHead((kernel,), (np.zeros(n_classes, "f4"),))
    outputs = [output._keras_history.operation.name for output in extractor.outputs]
    return spec, transplant(extractor, head), outputs


def calibrate(model, given):
    """Give BatchNorm the statistics of these pictures: random weights let some signals vanish."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(given, training=True)


def pictures(size, n=4):
    return np.random.default_rng(1).integers(0, 256, (n, size, size, 3), np.uint8)


def snapshot(model):
    return {weight.path: weight.numpy() for weight in model.weights}


def moved(before, after):
    return {path for path in before if not np.array_equal(before[path], after[path])}


def split(model, boundary, outputs):
    """Return the parts below and above a boundary."""
    by_name = {operation.name: operation for operation in model.operations}
    names = [boundary.layer, *(outputs[i] for i in boundary.beside)]
    crossing = [by_name[name].output for name in names]
    return keras.Model(model.inputs[0], crossing), keras.Model(crossing, model.output)


SMALLEST = {
    "VGG16": 32,
    "ResNet50": 32,
    "ResNet50V2": 32,
    "InceptionV3": 75,
    "Xception": 71,
    "DenseNet121": 32,
    "MobileNet(alpha=0.25)": 32,
    "MobileNetV2(alpha=0.35)": 32,
    "MobileNetV3Small": 32,
    "NASNetMobile": 32,
    "EfficientNetB0": 32,
    "EfficientNetV2B0": 32,
    "ConvNeXtTiny": 32,
    "EfficientNetLite0": 32,
}
"""A small member of each family, and a size that it accepts."""


@pytest.mark.parametrize("name", SMALLEST)
def test_every_family_is_cut_unfrozen_and_trained(name):
    size = SMALLEST[name]
    spec, model, outputs = grafted(name, size)
    calibrate(model, pictures(size).astype("f4"))
    learning = unfreeze(model, spec, f"block{len(spec.backbone.blocks)}")
    boundary = find_boundary(model, outputs, learning)
    assert boundary is not None
    _, above = split(model, boundary, outputs)
    below = keras.Model(model.inputs[0], model.get_layer(boundary.layer).output)
    activations = np.asarray(below(pictures(size).astype("f4")))
    expected = np.asarray(model(pictures(size).astype("f4")))
    np.testing.assert_allclose(above([activations]), expected, rtol=1e-4, atol=1e-4)
    before, plan = snapshot(model), Plan(1, 1, 2, 1e-2, 0.0, 0.0)
    batch = (activations,), np.arange(4) % 3
    Trainer(model, augmentation("none", 0), plan, above).fit(
        lambda epoch: iter([batch, batch]),  # the warm-up begins with a step of 0
        iter([(2.0, 0.0), (1.0, 0.0)]).__next__,
    )
    wanted = {weight.path for layer in learning for weight in model.get_layer(layer).weights}
    changed = moved(before, snapshot(model))
    assert changed - {"head_0/kernel", "head_0/bias"} == wanted
    assert {path.split("/")[0] for path in changed - wanted} == {"head_0"}


def test_boundary_is_the_end_of_the_block_below():
    spec, model, outputs = grafted("EfficientNetLite0", cuts=("block6",))
    boundary = find_boundary(model, outputs, unfreeze(model, spec, "block6"))
    assert boundary.layer == spec.cut_points()["block5"]
    assert (boundary.beside, boundary.between) == ((), ())


def test_of_a_residual_block_that_learns_in_part_the_boundary_is_its_input():
    spec, model, outputs = grafted("EfficientNetLite0", cuts=("block6",))
    learning = unfreeze(model, spec, "block6b_project_conv")
    boundary = find_boundary(model, outputs, learning)
    assert boundary.layer == "block6a_project_bn"
    assert boundary.between == ("block6b_expand_conv", "block6b_dwconv")
    assert not any(model.get_layer(name).trainable for name in boundary.between)


def test_cuts_below_the_boundary_cross_it_as_they_are():
    cuts = ("block2", "block3", "block5")
    spec, model, outputs = grafted("EfficientNetLite0", cuts=cuts)
    boundary = find_boundary(model, outputs, unfreeze(model, spec, "block4"))
    assert boundary.layer == spec.cut_points()["block3"]
    assert boundary.beside == (0,)  # block3 is the boundary, block5 comes from it
    below, above = split(model, boundary, outputs)
    given = pictures(32).astype("f4")
    np.testing.assert_allclose(above(below(given)), model(given), rtol=1e-4, atol=1e-4)


def test_nothing_is_below_all():
    spec, model, outputs = grafted("MobileNetV3Small", cuts=("block1",))
    assert find_boundary(model, outputs, unfreeze(model, spec, "all")) is None


def test_factors_fall_from_block_to_block():
    spec, model, _ = grafted("EfficientNetLite0", cuts=("block6",))
    factors = block_factors(model, spec, unfreeze(model, spec, "block4"), 0.5)
    assert {name[:6]: factor for name, factor in factors.items()} == {
        "block6": 0.5,
        "block5": 0.25,
        "block4": 0.125,
    }


def test_frozen_base_under_a_learning_head():
    _, model, _ = grafted("EfficientNetLite0", cuts=("block2",))
    freeze(model)
    assert {weight.path.split("/")[0] for weight in model.trainable_weights} == {"head_0"}
