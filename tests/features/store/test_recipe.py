from dataclasses import replace

import pytest

from pipeline.features.store import Recipe

RECIPE = Recipe(
    backbone="MobileNet(alpha=0.25)",
    weights="ab" * 32,
    cuts=(("conv_pw_13_relu", "avg"),),
    image_size=128,
    preprocessing="tf",
    decoding={"version": 1, "size": 128},
    view={"policy": "clean"},
)
BOTH = replace(RECIPE, cuts=(("conv_pw_11_relu", "avg"), ("conv_pw_13_relu", "avg")))


def test_id_is_readable_and_ends_in_the_digest():
    assert RECIPE.id.startswith("MobileNet(alpha=0.25)-conv_pw_13_relu-avg-")
    assert RECIPE.id.endswith(RECIPE.digest[:12])


def test_dict_round_trip():
    assert Recipe.from_dict(RECIPE.to_dict()) == RECIPE


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": "MobileNet"},
        {"weights": "cd" * 32},
        {"cuts": (("conv_pw_13_relu", "max"),)},
        {"image_size": 160},
        {"preprocessing": "caffe"},
        {"decoding": {"version": 2, "size": 128}},
        {"view": {"policy": "flip"}},
        {"dtype": "float16"},
        {"precision": "mixed_float16"},
    ],
)
def test_everything_that_decides_a_value_changes_the_key(change):
    other = replace(RECIPE, **change)
    assert other.id != RECIPE.id
    assert other.digest != RECIPE.digest
    assert not other.covers(RECIPE)


def test_order_of_cuts_is_not_in_the_key():
    assert replace(BOTH, cuts=BOTH.cuts[::-1]).id == BOTH.id


def test_more_cuts_cover_fewer():
    assert BOTH.covers(RECIPE)
    assert not RECIPE.covers(BOTH)


def test_dataset_is_named_after_the_layer_unless_it_has_several_poolings():
    cut = RECIPE.cuts[0]
    assert RECIPE.dataset_name(cut) == "features/conv_pw_13_relu"
    both = replace(RECIPE, cuts=(cut, (cut[0], "max")))
    assert both.dataset_name(cut) == "features/conv_pw_13_relu.avg"


def test_id_of_odd_names_is_a_safe_folder_name():
    odd = replace(RECIPE, cuts=(("a/b:c", "avg+max"), *((f"layer{i}", "avg") for i in range(9))))
    assert "/" not in odd.id
    assert ":" not in odd.id
    assert "+7more" in odd.id
    assert len(odd.id) < 200


@pytest.mark.parametrize(
    ("backbone", "weights", "named"),
    [
        ("MobileNet(alpha=0.25)", "imagenet", "MobileNet(alpha=0.25)"),
        ("onnx:9c1d5e7a8b2f", "/nets/resnet18.onnx", "resnet18.onnx (9c1d)"),
        ("keras:9c1d5e7a8b2f", "/nets/model.keras", "model.keras (9c1d)"),
        ("keras:9c1d5e7a8b2f", "runs/tuned/bundle/model.keras", "tuned (9c1d)"),
    ],
)
def test_a_base_is_named_as_its_user_knows_it(backbone, weights, named):
    recipe = replace(RECIPE, backbone=backbone, weights="9c1d" * 16)
    assert recipe.named(weights) == named
    assert replace(recipe, precision="bfloat16").named(weights) == f"{named} in bfloat16"
