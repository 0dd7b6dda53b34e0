"""Augmented views, stored types, cuts and archives through the whole program."""

import json
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from pipeline.cli import run
from pipeline.config import FeaturesConfig
from pipeline.features.base import frozen_base
from pipeline.features.store import FeatureCache
from pipeline.images import ViewRecipe
from tests.conftest import write_picture

BASE = ["--backbone", "MobileNet(alpha=0.25)", "--weights", "none", "--image-size", "32"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two classes of pictures, and a cache with their features."""
    root = tmp_path_factory.mktemp("views")
    for split, count in (("train", 8), ("test", 4)):
        for hue, name in enumerate(("red", "green")):
            for i in range(count):
                seed = 1000 * hue + 100 * (split == "test") + i
                write_picture(root / "data" / split / name / f"{i}.png", seed, hue=hue)
    assert run(["features", *places(root), *BASE, "--quiet"]) == 0
    return root


@pytest.fixture
def copy(root, tmp_path):
    return shutil.copytree(root, tmp_path / "copy")


def places(root, data="data"):
    return [str(root / data), "--cache", str(root / "features")]


def features(capsys, root, *flags, data="data"):
    capsys.readouterr()
    assert run(["features", *places(root, data), *BASE, *flags, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_views_are_of_training_pictures_and_beside_the_pictures(copy, capsys):
    value = features(capsys, copy, "--views", "2")
    assert (value["computed"], value["reused"]) == (0, 24)
    assert (value["computed_views"], value["views"]) == (32, 32)


def test_more_views_compute_only_the_new_ones(copy, capsys):
    features(capsys, copy, "--views", "2")
    assert features(capsys, copy, "--views", "2")["computed_views"] == 0
    value = features(capsys, copy, "--views", "5")
    assert (value["computed_views"], value["views"]) == (48, 80)
    assert features(capsys, copy)["computed"] == 0


def test_views_together_or_one_after_the_other_are_the_same(copy, capsys, tmp_path):
    features(capsys, copy, "--views", "1")
    features(capsys, copy, "--views", "2")
    other = tmp_path / "other"
    shutil.copytree(copy / "data", other / "data")
    value = features(capsys, other, "--views", "2")
    assert (value["computed"], value["computed_views"]) == (24, 32)
    config = FeaturesConfig(backbone="MobileNet(alpha=0.25)", weights="none", image_size=32)
    recipe = frozen_base(config).viewed(ViewRecipe("crop,flip", 0)).recipe
    one, two = (FeatureCache(path / "features", recipe) for path in (copy, other))
    digests = one_digests(one)
    for view in (1, 2):
        found = [cache.read(recipe.cuts[0], digests, view) for cache in (one, two)]
        np.testing.assert_array_equal(*found)


def one_digests(cache):
    import h5py

    with h5py.File(sorted(cache.folder.glob("shard-*.h5"))[0]) as file:
        return np.unique(file["digest"][:], axis=0)


def test_other_policy_or_seed_is_another_recipe(copy, capsys):
    features(capsys, copy, "--views", "1")
    assert features(capsys, copy, "--views", "1", "--view-policy", "flip")["computed_views"] == 16
    assert features(capsys, copy, "--views", "1", "--view-policy", "flip,crop")["views"] == 16
    assert (
        features(capsys, copy, "--views", "1", "--view-policy", "flip,crop")["computed_views"] == 0
    )


def test_heads_learn_from_views_and_are_judged_on_pictures(copy, capsys):
    flags = ["--runs", str(copy / "runs"), "--heads", "logistic,knn,dense", "--folds", "3"]
    capsys.readouterr()
    command = ["classify", *places(copy), *BASE, *flags, "--views", "2", "--json"]
    assert run(command) == 0
    viewed = json.loads(capsys.readouterr().out)
    assert viewed["data"]["computed_views"] == 32
    for row in viewed["results"]:
        assert "views2" in row["run"]
        assert row["test"]["n"] == 8
        selection = json.loads((copy / "runs" / row["run"] / "metrics.json").read_text())
        assert selection["selection"]["n"] == 16
    assert run(command) == 0
    assert all(row["reused"] for row in json.loads(capsys.readouterr().out)["results"])
    assert run(["classify", *places(copy), *BASE, *flags, "--json"]) == 0
    assert not any(row["reused"] for row in json.loads(capsys.readouterr().out)["results"])


def test_more_cuts_in_one_pass(copy, capsys):
    value = features(capsys, copy, "--layers", "blocks", "--pooling", "avg,none")
    assert value["computed"] == 24
    value = features(capsys, copy, "--layers", "block2,block4", "--pooling", "none")
    assert (value["computed"], value["reused"]) == (0, 24)


def test_half_precision_on_disk(copy, capsys):
    value = features(capsys, copy, "--dtype", "float16")
    assert value["computed"] == 24
    config = FeaturesConfig(backbone="MobileNet(alpha=0.25)", weights="none", image_size=32)
    exact = frozen_base(config).recipe
    cache = FeatureCache(copy / "features", exact)
    digests = one_digests(cache)
    half = FeaturesConfig(**{**vars(config), "dtype": "float16"})
    stored = FeatureCache(copy / "features", frozen_base(half).recipe)
    found = stored.read(exact.cuts[0], digests)
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, cache.read(exact.cuts[0], digests), rtol=1e-3, atol=1e-6)


def test_archive_of_the_same_pictures_computes_nothing(copy, capsys):
    with zipfile.ZipFile(copy / "data.zip", "w") as archive:
        for path in sorted((copy / "data").rglob("*.png")):
            archive.write(path, path.relative_to(copy))
    value = features(capsys, copy, data="data.zip")
    assert (value["images"], value["computed"], value["reused"]) == (24, 0, 24)


def test_features_and_predictions_without_tensorflow(copy):
    run_flags = ["--cache", str(copy / "features"), "--runs", str(copy / "runs")]
    flags = [*BASE, *run_flags, "--heads", "logistic", "--quiet"]
    assert run(["classify", str(copy / "data"), *flags]) == 0
    write_picture(copy / "data/train/red/new.png", 77, hue=0)
    script = f"""
import sys
from pipeline.cli import run
assert run(["features", *{places(copy)!r}, *{BASE!r}]) == 0
assert run(["predict", "best", {str(copy / "data/test")!r}, *{run_flags!r}]) == 0
print("tensorflow" in sys.modules or "keras" in sys.modules)
"""
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "1 picture computed by openvino" in process.stdout
    assert process.stdout.splitlines()[-1] == "False", process.stderr


def test_disk_that_is_too_small_is_told_before(copy, capsys, monkeypatch):
    from pipeline.features import preflight

    monkeypatch.setattr(preflight, "free_bytes", lambda folder: 10**5)
    flags = ["--layers", "block1", "--pooling", "none"]
    assert run(["features", *places(copy), *BASE, *flags]) == 2
    assert "name fewer --layers, use --pooling avg instead of none" in capsys.readouterr().err
