"""Judging pictures by the mean over their views: computed, cached, stored, and predicted alike."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline import load_run
from pipeline.cli import run
from pipeline.cli.show.results import predictions as show_predictions
from pipeline.config import FeaturesConfig, PredictConfig
from pipeline.errors import DataError, InputError, RunError, StoreError
from pipeline.evaluate import NEVER, mean_over_views
from pipeline.features import Caches, resolve
from pipeline.features.base import inputs_of
from pipeline.features.explain import explain
from pipeline.features.extract import extract
from pipeline.features.table import FeatureTable
from pipeline.heads import NetworkHead, softmax
from pipeline.images import ViewAverage, ViewRecipe, index
from pipeline.predict.predict import predict
from pipeline.runs import load_bundle, save_head
from tests.conftest import write_picture
from tests.stored import reseal

BASE = {
    "backbone": "MobileNet(alpha=0.25)",
    "weights": "none",
    "image_size": 32,
    "layers": "block2",
}
FLAGS = [f"--{name.replace('_', '-')}={value}" for name, value in BASE.items()]
AVERAGE = ViewAverage(3, ViewRecipe("crop,flip", 0))


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Two classes that are hard to tell apart, a cache with three views of each, and a run."""
    root = tmp_path_factory.mktemp("project")
    for split, count in (("train", 10), ("test", 7)):
        for number, name in enumerate(("left", "right")):
            for i in range(count):
                seed = 1000 * number + 100 * (split == "test") + i
                write_picture(root / "data" / split / name / f"{i}.png", seed, size=40)
    places = ["--cache", str(root / "features"), "--runs", str(root / "runs")]
    flags = [*FLAGS, "--heads", "logistic", "--folds", "2", "--quiet", *places]
    assert run(["classify", str(root / "data"), *flags]) == 0
    computed(settings(root, test_views=3), index(root / "data"))
    return root


@pytest.fixture
def copy(project, tmp_path):
    return Path(shutil.copytree(project, tmp_path / "copy"))


def settings(root, **more):
    return FeaturesConfig(cache=root / "features", **BASE, **more)


def computed(config, dataset):
    return extract(config, resolve(config), dataset).extraction


def table_of(root, **more):
    config = settings(root, **more)
    base = resolve(config)
    (joined,) = inputs_of(config, base)
    caches = Caches(config, base)
    dataset = index(root / "data")
    given = (dataset, caches.clean, base, caches.viewed, config.views, config.test_views)
    return FeatureTable(*given), joined


def rebundle(root, **judged):
    """Write the bundle of the only run again, with other ways of judging."""
    (folder,) = (root / "runs").glob("*")
    bundle = load_bundle(folder / "bundle")
    shutil.rmtree(folder / "bundle")
    save_head(folder / "bundle", bundle.head, bundle.classes, bundle.base, **judged)
    reseal(folder)
    return folder.name, bundle.head


def label(root, name, pictures, batch_size=32):
    config = PredictConfig(
        cache=root / "features", runs=root / "runs", batch_size=batch_size, top=2
    )
    return predict(config, name, pictures)


def in_class_order(prediction):
    return [probability for _, probability in sorted(prediction.top)]


# Averaging


def test_the_mean_of_probabilities_is_what_comes_out():
    views = softmax(np.random.default_rng(0).normal(0, 5, (24, 3))).reshape(4, 6, 3)
    found = mean_over_views(list(views))
    np.testing.assert_allclose(found, views.mean(axis=0), rtol=1e-15)
    np.testing.assert_allclose(found.sum(1), 1)


def test_one_view_changes_no_probability():
    views = softmax(np.random.default_rng(0).normal(size=(5, 3)))
    np.testing.assert_array_equal(mean_over_views([views]), views)


def test_a_picture_alone_gets_the_digits_that_it_gets_among_others():
    """Else command, function and run could disagree on a picture that lies at the threshold."""
    views = softmax(np.random.default_rng(0).normal(size=(900, 2))).reshape(9, 100, 2)
    together = mean_over_views(list(views))
    alone = [mean_over_views(list(views[:, row])) for row in range(100)]
    np.testing.assert_array_equal(together, alone)


# What is computed


def test_views_to_judge_by_are_of_every_picture(project, tmp_path):
    (tmp_path / "data").symlink_to(project / "data")
    dataset = index(tmp_path / "data")
    both = settings(tmp_path, views=4, test_views=2)
    assert explain(both, resolve(both), dataset).views["missing"] == 34 * 2 + 20 * 2
    found = computed(both, dataset)
    assert (found.computed, found.computed_views, found.views) == (34, 108, 108)
    assert explain(both, resolve(both), dataset).views == {
        "recipe": explain(both, resolve(both), dataset).views["recipe"],
        "cached": 108,
        "missing": 0,
    }
    assert computed(both, dataset).computed_views == 0
    more = computed(replace(both, test_views=5), dataset)
    # View 5 of all, and of the test pictures views 3 and 4, which train had to learn from.
    assert (more.computed, more.computed_views, more.views) == (0, 34 + 14 * 2, 34 * 5)
    assert computed(replace(both, views=0, test_views=1), dataset).views == 34


def test_they_are_the_views_that_heads_learn_from(project, tmp_path):
    (tmp_path / "data").symlink_to(project / "data")
    computed(settings(tmp_path, views=3), index(tmp_path / "data"))
    learnt, joined = table_of(tmp_path, views=3)
    judging, _ = table_of(project, test_views=3)
    rows = judging.rows("train")
    views = [judging.view_features(joined, rows, number) for number in range(4)]
    np.testing.assert_array_equal(learnt.with_views(joined, rows), np.concatenate(views))


def test_a_table_hands_out_one_view_at_a_time(project):
    table, joined = table_of(project, test_views=3)
    assert (table.n_views, table.n_test_views) == (0, 3)
    rows = table.rows("test")[::-2]
    clean = table.view_features(joined, rows, 0)
    np.testing.assert_array_equal(clean, table.features(joined, rows))
    np.testing.assert_array_equal(clean, table.with_views(joined, rows))
    second = table.view_features(joined, rows, 2)
    assert second.shape == clean.shape
    assert second.dtype == np.float32
    assert np.abs(second - clean).max() > 0.01 * np.abs(clean).max()
    one_by_one = [table.view_features(joined, rows[i : i + 1], 2)[0] for i in range(len(rows))]
    np.testing.assert_array_equal(second, one_by_one)
    with pytest.raises(StoreError, match="7 are missing: run `pipeline features` first"):
        table.view_features(joined, rows, 4)


def test_the_flag_computes_them(copy, capsys):
    arguments = ["features", str(copy / "data"), *FLAGS, "--cache", str(copy / "features")]
    capsys.readouterr()
    assert run([*arguments, "--test-views", "4", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert (value["computed"], value["computed_views"], value["views"]) == (0, 34, 34 * 4)
    assert run(["explain", *arguments[1:], "--test-views", "5"]) == 0
    assert "views: 136 cached, 34 missing" in capsys.readouterr().out


@pytest.mark.parametrize("number", [-1, 1001])
def test_numbers_that_are_none(number):
    with pytest.raises(InputError, match="test_views from 0 to 1000, received test_views="):
        FeaturesConfig(test_views=number)


def test_exported_features_are_of_pictures_as_they_are(copy, capsys):
    arguments = ["export-features", str(copy / "data"), "--out", str(copy / "x.npz")]
    assert run([*arguments, *FLAGS, "--test-views", "2", "--cache", str(copy / "features")]) == 2
    assert "received test_views=2; leave --test-views out" in capsys.readouterr().err


# Bundles


def head():
    return NetworkHead((np.eye(2, dtype=np.float32),), (np.zeros(2, np.float32),))


def test_bundles_say_how_they_judge(tmp_path):
    save_head(tmp_path / "b", head(), ("a", "b"), {}, test_views=AVERAGE, threshold=0.75)
    bundle = load_bundle(tmp_path / "b")
    assert (bundle.test_views, bundle.threshold) == (AVERAGE, 0.75)
    value = json.loads((tmp_path / "b" / "bundle.json").read_text())
    view = {"policy": "crop,flip", "seed": 0, "version": 1}
    assert value["test_views"] == {"n": 3, "view": view}
    assert value["format_version"] == 2


def test_bundles_that_judge_plainly_stay_what_they_were(tmp_path):
    save_head(tmp_path / "b", head(), ("a", "b"), {})
    bundle = load_bundle(tmp_path / "b")
    assert (bundle.test_views, bundle.threshold) == (None, None)
    value = json.loads((tmp_path / "b" / "bundle.json").read_text())
    assert not {"test_views", "threshold"} & value.keys()
    assert value["format_version"] == 1


VIEW = AVERAGE.view.to_dict()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("test_views", None, "'test_views' or nothing of it, received None"),
        ("test_views", [3, VIEW], "an object as 'test_views'"),
        ("test_views", {"n": 3}, "number n of views"),
        ("test_views", {"n": 0, "view": VIEW}, "received n=0"),
        ("test_views", {"n": True, "view": VIEW}, "received n=True"),
        ("test_views", {"n": 3.0, "view": VIEW}, "received n=3.0"),
        ("test_views", {"n": 3, "view": "flip"}, "view='flip'"),
        ("test_views", {"n": 3, "view": {**VIEW, "more": 1}}, "more"),
        ("test_views", {"n": 3, "view": {**VIEW, "policy": 1}}, "'policy': 1"),
        ("test_views", {"n": 3, "view": {**VIEW, "policy": "spin"}}, "'spin'"),
        ("test_views", {"n": 3, "view": {**VIEW, "version": 9}}, "version=9"),
        ("threshold", None, "'threshold' or nothing of it, received None"),
        ("threshold", "0.9", "a number as 'threshold', received '0.9'"),
        ("threshold", True, "a number as 'threshold', received True"),
        ("threshold", -0.1, "0 or more as 'threshold', received -0.1"),
        ("threshold", float("nan"), "NaN, which is no finite number"),
    ],
)
def test_damaged_ways_of_judging_are_refused(tmp_path, key, value, words):
    save_head(tmp_path / "b", head(), ("a", "b"), {}, test_views=AVERAGE, threshold=0.75)
    path = tmp_path / "b" / "bundle.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(RunError, match=words) as caught:
        load_bundle(tmp_path / "b")
    assert str(path) in str(caught.value)


def test_a_config_says_what_it_asks_for():
    assert ViewAverage.of(FeaturesConfig()) is None
    asked = FeaturesConfig(test_views=3, view_policy="flip, crop", seed=0)
    assert ViewAverage.of(asked) == AVERAGE


# Predictions


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_predicted_is_what_was_judged(copy, batch_size):
    name, fitted = rebundle(copy, test_views=AVERAGE)
    table, joined = table_of(copy, test_views=3)
    rows = table.rows("test")
    views = [table.view_features(joined, rows, number) for number in AVERAGE.numbers]
    judged = mean_over_views([softmax(fitted.scores(features)) for features in views])
    paths = [copy / "data" / table.dataset.paths[row] for row in rows]
    found = label(copy, name, paths, batch_size)
    assert [prediction.path for prediction in found.predictions] == list(map(str, paths))
    predicted = np.array([in_class_order(prediction) for prediction in found.predictions])
    np.testing.assert_allclose(predicted, judged, atol=1e-6)
    clean = softmax(fitted.scores(views[0]))
    assert np.abs(clean - judged).max() > 1e-3


@pytest.mark.parametrize("batch_size", [2, 5, 32])
def test_bad_pictures_and_copies_between_good_ones(copy, tmp_path, batch_size):
    name, _ = rebundle(copy, test_views=AVERAGE)
    good = sorted((copy / "data" / "test" / "left").glob("*.png"))[:3]
    alone = [label(copy, name, [path]).predictions[0] for path in good]
    bad, twin = tmp_path / "bad.png", tmp_path / "twin.png"
    bad.write_bytes(b"no picture")
    shutil.copy(good[0], twin)
    found = label(copy, name, [bad, good[0], bad, good[1], twin, good[2], bad], batch_size)
    assert [failure["path"] for failure in found.failed] == [str(bad)] * 3
    assert [prediction.path for prediction in found.predictions] == list(
        map(str, [good[0], good[1], twin, good[2]])
    )
    for ours, other in zip((0, 1, 3), alone, strict=True):
        assert found.predictions[ours].path == other.path
        assert in_class_order(found.predictions[ours]) == pytest.approx(in_class_order(other))
    assert in_class_order(found.predictions[2]) == pytest.approx(in_class_order(alone[0]))


def test_only_bad_pictures(copy, tmp_path):
    name, _ = rebundle(copy, test_views=AVERAGE, threshold=0.5)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(
        DataError, match=r"received 1 of which none can: 1 × .*not a picture in a kn"
    ):
        label(copy, name, [tmp_path / "bad.png"])


def test_below_the_threshold_the_label_is_none(copy, capsys):
    pictures = [copy / "data" / "test"]
    name, _ = rebundle(copy)
    plain = label(copy, name, pictures).predictions
    sure = sorted(prediction.probability for prediction in plain)
    name, _ = rebundle(copy, threshold=sure[7])
    found = label(copy, name, pictures)
    assert sum(prediction.label is None for prediction in found.predictions) == 7
    for ours, other in zip(found.predictions, plain, strict=True):
        assert (ours.probability, ours.top) == (other.probability, other.top)
        assert ours.label == (other.label if other.probability >= sure[7] else None)
    capsys.readouterr()
    show_predictions(found.to_dict())
    lines = capsys.readouterr().out.splitlines()
    assert sum(": don't know; left 0." in line or "; right 0." in line for line in lines) == 7
    places = ["--cache", str(copy / "features"), "--runs", str(copy / "runs")]
    assert run(["predict", name, str(pictures[0]), *places, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["predictions"]
    assert sum(row["label"] is None for row in rows) == 7
    assert all(row["probability"] == row["top"][0][1] for row in rows)


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_command_and_function_answer_alike_at_the_threshold(copy, batch_size):
    pictures = [copy / "data" / "test"]
    name, _ = rebundle(copy, test_views=AVERAGE)
    plain = label(copy, name, pictures, batch_size).predictions
    threshold = sorted(prediction.probability for prediction in plain)[7]
    name, _ = rebundle(copy, test_views=AVERAGE, threshold=threshold)
    found = label(copy, name, pictures, batch_size).predictions
    assert sum(prediction.label is None for prediction in found) == 7
    opened = load_run(name, runs=copy / "runs", cache=copy / "features", batch_size=batch_size)
    probabilities = opened.predict_proba(pictures)
    assert [max(row) for row in probabilities] == [one.probability for one in found]
    assert opened.predict(pictures).tolist() == [prediction.label for prediction in found]


def test_a_threshold_that_nothing_reaches(copy):
    name, _ = rebundle(copy, threshold=NEVER)
    found = label(copy, name, [copy / "data" / "test"])
    assert {prediction.label for prediction in found.predictions} == {None}


def test_views_are_predicted_without_tensorflow(copy):
    name, _ = rebundle(copy, test_views=AVERAGE, threshold=0.6)
    arguments = ["predict", name, str(copy / "data" / "test")]
    arguments += ["--cache", str(copy / "features"), "--runs", str(copy / "runs"), "--json"]
    script = f"""
import sys
from pipeline.cli import run
assert run({arguments!r}) == 0
print("tensorflow" in sys.modules or "keras" in sys.modules)
"""
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert process.stdout.splitlines()[-1] == "False", process.stderr
