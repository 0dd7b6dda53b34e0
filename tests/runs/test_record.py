"""Runs of earlier programs: what their files say comes back, typed, and is written as it was."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import RunError
from pipeline.evaluate import Estimate, evaluate
from pipeline.runs import CLASSIFY, FinalTest, load_run
from pipeline.runs.record import info_of, metrics_of

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "run-v1"


def said(path):
    return json.loads(path.read_text("utf-8"))


def changed(tmp_path, name, file, change):
    """Copy a golden run whose ``file`` is what ``change`` leaves of it."""
    shutil.copytree(GOLDEN / name, tmp_path / name)
    value = said(tmp_path / name / file)
    change(value)
    (tmp_path / name / file).write_text(json.dumps(value), "utf-8")
    return tmp_path / name


def test_a_head_on_frozen_features():
    run = load_run(GOLDEN / "threshold")
    assert (run.kind, run.head, run.layers, run.seed) == (CLASSIFY, "logistic", ("top",), 0)
    assert run.params == {"C": 1.0, "max_iter": 2000}
    assert run.recipe.cuts == (("top_activation", "avg"),)
    assert (run.weights, run.decoding.resize, run.decoding.jpeg) == ("default", "squash", "full")
    assert (run.decoding.version, run.recipe.decoding["version"]) == (1, 1)
    assert run.dataset.classes == ("cats", "dogs")
    assert run.dataset.pictures == {"train": 32, "validation": 0, "test": 16}
    assert run.fine_tuning is run.mode is None
    assert run.indexing["label_pattern"] is None
    assert run.selection.cv_accuracy == run.selection.accuracy == 1.0
    assert run.selection.threshold.max_error == 0.1
    assert run.selection.threshold.reached
    assert run.test.n == 16
    assert run.test.macro_f1 == Estimate(1.0, (1.0, 1.0))
    assert run.test.answered["answered"] == 16
    assert sum(point.n for point in run.test.reliability) == 16


def test_figures_are_plain_json():
    rng = np.random.default_rng(0)
    judged = evaluate(rng.dirichlet(np.ones(4), 300), rng.integers(0, 4, 300))
    value = FinalTest.of("test", judged, ("a", "b", "c", "d")).to_dict()
    assert json.loads(json.dumps(value)) == value
    assert [row["class"] for row in value["classes"]] == ["a", "b", "c", "d"]


def test_a_run_that_a_search_chose():
    selection = load_run(GOLDEN / "searched").selection
    assert selection.by.endswith("corrected for choosing among 230")
    assert (selection.candidates, selection.uncorrected, selection.threshold) == (230, 1.0, None)


def test_a_fine_tuned_run():
    run = load_run(GOLDEN / "finetuned")
    tuned = run.fine_tuning
    assert tuned.from_run == "pictures-EfficientNetLite0-top-logistic-13fb6f4f"
    assert [epoch["epoch"] for epoch in tuned.epochs] == [0, 1]
    assert (tuned.boundary, tuned.learned_layers, tuned.devices) == (None, (), 1)
    assert tuned.initial.n == run.selection.n
    assert run.mode == "frozen"
    assert run.selection.ci95 is run.test.confused is None
    assert run.n_views == 0


@pytest.mark.parametrize("name", ["threshold", "searched", "finetuned"])
def test_both_files_are_written_as_they_were(name):
    run = load_run(GOLDEN / name)
    assert json.loads(json.dumps(metrics_of(run))) == said(GOLDEN / name / "metrics.json")
    info = json.loads(json.dumps(info_of(run)))
    today = {key: info[key] for key in ("created", "versions", "python")}
    then = said(GOLDEN / name / "run.json")
    then["dataset"]["indexing"] = {}  # the first runs say it in their config
    assert info == then | today


def test_what_the_first_runs_did_not_say_has_its_default(tmp_path):
    def first(info):
        for name in ("config", "factor", "seconds", "versions", "python"):
            del info[name]
        for name in ("name", "left_out", "given_splits", "leaked"):
            del info["dataset"][name]

    run = load_run(changed(tmp_path, "threshold", "run.json", first))
    assert (run.factor, run.seconds, run.n_views, run.view_policy) == (1.0, 0.0, 0, "crop,flip")
    assert (run.dataset.name, run.dataset.left_out, run.dataset.leaked) == ("pictures", 0, 0)


@pytest.mark.parametrize(
    ("file", "key"),
    [("run.json", "dataset"), ("run.json", "recipe"), ("metrics.json", "selection")],
)
def test_files_that_are_no_run_are_one_sentence(tmp_path, file, key):
    path = changed(tmp_path, "threshold", file, lambda value: value.pop(key))
    with pytest.raises(RunError, match=rf"expected a whole run in .*threshold.*'{key}'"):
        load_run(path)
