"""What stage 2 can be asked for, on tiny pictures and a real base."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.api import stages
from pipeline.classify.classify import check
from pipeline.classify.learning import learner_of
from pipeline.classify.selection import default_preparation, select_by
from pipeline.cli import run
from pipeline.config import ClassifyConfig
from pipeline.errors import InputError
from pipeline.features import resolve
from pipeline.features.base import inputs_of
from pipeline.features.table import FeatureTable
from pipeline.heads import parse_head
from pipeline.images import index
from pipeline.runs import load_bundle, load_run
from pipeline.system.progress import SILENT, Reporter
from tests.conftest import write_picture

BASE = ["--image-size", "32", "--layers", "block2,block3"]
TUNED = ("--tune", "--jobs", "1", "--repeats", "1")
N_TRAIN, N_TEST = 8, 5


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Pictures of three classes and their features; tests write runs into folders of their own."""
    root = tmp_path_factory.mktemp("project")
    for split, count in (("train", N_TRAIN), ("test", N_TEST)):
        for hue, name in enumerate(("blue", "green", "red")):
            for i in range(count):
                seed = 1000 * hue + 100 * (split == "test") + i
                write_picture(root / "data" / split / name / f"{i}.png", seed, hue=2 - hue)
    assert run(["features", str(root / "data"), *BASE, "--cache", str(root / "features")]) == 0
    return root


def classify(root, runs, *more, heads="logistic", data="data"):
    folders = ["--cache", str(root / "features"), "--runs", str(runs)]
    layers = [] if "--layers" in more else BASE[2:]
    return [
        "classify",
        str(root / data),
        *BASE[:2],
        *layers,
        "--heads",
        heads,
        "--folds",
        "3",
        *folders,
        *more,
    ]


def answer(capsys, arguments):
    capsys.readouterr()
    assert run([*arguments, "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def test_few_pictures_are_divided_again_and_again(project, tmp_path, capsys):
    (result, _) = answer(capsys, classify(project, tmp_path))["results"]
    assert result["selected_by"] == "3-fold cross-validation, repeated 10 times"
    low, high = result["selection_ci95"]
    assert low <= result["selection_accuracy"] <= high
    assert low < 1
    (once, _) = answer(capsys, classify(project, tmp_path, "--repeats", "1"))["results"]
    assert once["selected_by"] == "3-fold cross-validation"
    assert once["run"] != result["run"]


def test_few_pictures_a_class_are_not_standardised(project, tmp_path, capsys):
    few = answer(capsys, classify(project, tmp_path, heads="lda,knn(prepare='pca(3)')"))["results"]
    assert [row["head"] for row in few[:2]] == ["lda(prepare='l2')", "knn(prepare='pca(3)')"]
    told = answer(capsys, classify(project, tmp_path, "--prepare", "standard", heads="lda"))
    assert told["results"][0]["head"] == "lda"
    assert run(classify(project, tmp_path, "--prepare", "l3")) == 2
    assert "unknown preparation 'l3'; nearest: l2" in capsys.readouterr().err


def test_many_pictures_a_class_are_standardised():
    few, enough = np.arange(10 * 3) % 3, np.arange(11 * 3) % 3
    assert str(default_preparation("auto", few)) == "l2"
    assert str(default_preparation("auto", enough)) == "standard"
    assert str(default_preparation("sqrt-l2", few)) == "sqrt-l2"


def test_one_picture_a_class_is_learnt_from_and_nothing_is_chosen(project, tmp_path, capsys):
    root = tmp_path / "few"
    shutil.copytree(project / "features", root / "features")
    for name in ("blue", "green", "red"):
        for split, count in (("train", 1), ("test", N_TEST)):
            for i in range(count):
                path = Path(split) / name / f"{i}.png"
                (root / "data" / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(project / "data" / path, root / "data" / path)
    arguments = classify(root, tmp_path / "runs", heads="logistic,centroid")
    assert run(arguments) == 0
    captured = capsys.readouterr()
    assert captured.err.count("some class has a single training picture") == 1
    assert "best by nothing: some class has one training picture" in captured.out
    value = answer(capsys, arguments)
    assert value["results"][0]["selection_accuracy"] is None
    assert value["best"] == value["results"][0]["run"]
    assert value["results"][0]["test"]["accuracy"] > 0.5
    assert all(row["test"]["log_loss"] < np.log(3) for row in value["results"])  # not too sure
    rows = answer(capsys, ["compare", "--runs", str(tmp_path / "runs")])["runs"]
    assert [row["selection_accuracy"] for row in rows] == [None] * 4
    assert run(["compare", "--runs", str(tmp_path / "runs")]) == 0
    assert run([*arguments, "--tune"]) == 2
    assert "expected at least 2 training pictures of every class for a search" in (
        capsys.readouterr().err
    )


def test_tuning_leaves_one_run_a_head_and_is_answered_from_disk(project, tmp_path, capsys):
    arguments = classify(project, tmp_path, *TUNED, heads="lda,knn")
    value = answer(capsys, arguments)
    assert len(value["results"]) == 2
    for result in value["results"]:
        assert result["candidates"] > 5
        assert "corrected for choosing among" in result["selected_by"]
        assert result["selection_accuracy"] <= result["uncorrected_accuracy"]
        candidates = json.loads((tmp_path / result["run"] / "search.json").read_text())
        assert len(candidates) == result["candidates"]
        tried = {"+".join(row["layers"]) for row in candidates}
        assert {"block2", "+".join(result["layers"])} <= tried
        assert (tmp_path / result["run"] / "plots" / "search.svg").is_file()
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    again = answer(capsys, arguments)
    assert all(result["reused"] for result in again["results"])
    assert files == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}


def test_one_head_more_reuses_the_screening(project, tmp_path, capsys):
    answer(capsys, classify(project, tmp_path, *TUNED, heads="lda"))
    screened = set((tmp_path / ".search").glob("*.npz"))
    more = answer(capsys, classify(project, tmp_path, *TUNED, heads="lda,centroid"))
    assert [result["reused"] for result in more["results"]] == [True, False]
    assert screened < set((tmp_path / ".search").glob("*.npz"))


def test_a_killed_search_goes_on(project, tmp_path, capsys):
    arguments = classify(project, tmp_path / "runs", *TUNED, heads="knn")
    program = (
        "import os, signal, sys\n"
        "from pipeline.classify.search.memory import SearchMemory\n"
        "from pipeline.cli import run\n"
        "put, left = SearchMemory.put, [5]\n"
        "def dying(self, *given):\n"
        "    put(self, *given)\n"
        "    left[0] -= 1\n"
        "    if not left[0]:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "SearchMemory.put = dying\n"
        "run(sys.argv[1:])\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True)
    assert killed.returncode == -9
    kept = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "runs" / ".search").glob("*.npz")}
    assert len(kept) == 5
    went_on = answer(capsys, arguments)
    for name, time in kept.items():
        assert (tmp_path / "runs" / ".search" / name).stat().st_mtime_ns == time
    other = classify(project, tmp_path / "other", *TUNED, heads="knn")
    undisturbed = answer(capsys, other)
    assert [r["run"] for r in went_on["results"]] == [r["run"] for r in undisturbed["results"]]


def test_two_searches_at_once(project, tmp_path, capsys):
    arguments = classify(project, tmp_path, *TUNED, "--json", heads="lda")
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "pipeline", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    outcomes = [process.communicate() for process in started]
    assert [process.returncode for process in started] == [0, 0], outcomes
    one, other = (json.loads(out)["results"][0]["run"] for out, _ in outcomes)
    assert one == other
    assert not list(tmp_path.glob(".tmp-*"))


def test_best_layers_for_a_head_as_it_is(project, tmp_path, capsys):
    more = ("--layers", "best", "--jobs", "1")
    (result,) = answer(capsys, classify(project, tmp_path, *more, heads="lda"))["results"]
    assert result["params"] == {"shrinkage": "auto", "prepare": "l2"}
    candidates = json.loads((tmp_path / result["run"] / "search.json").read_text())
    assert {row["head"] for row in candidates} == {"lda(prepare='l2')"}
    assert candidates[0]["layers"] == ["top"]


def test_each_and_neighbours_side_by_side():
    from pipeline.backbones.catalog import parse_backbone
    from pipeline.features.inputs import parse_inputs

    spec = parse_backbone("EfficientNetLite0")
    blocks = len(parse_inputs(spec, "blocks", "avg"))
    assert len(parse_inputs(spec, "each", "avg")) == blocks + 1
    assert parse_inputs(spec, "best", "avg") == parse_inputs(spec, "each", "avg")
    widths = [len(joined) for joined in parse_inputs(spec, "concat", "avg")]
    points = len(spec.cut_points())
    assert widths.count(1) == points
    assert widths.count(2) == points - 1
    assert widths.count(3) == points - 2
    assert max(widths) == points
    # The top of VGG16 is its last block, and nothing is put beside itself.
    layers = [
        [cut.layer for cut in joined]
        for joined in parse_inputs(parse_backbone("VGG16"), "concat", "avg")
    ]
    assert all(len(set(names)) == len(names) for names in layers)
    assert len(set(map(tuple, layers))) == len(layers)


def test_calibration_on_request_changes_no_prediction(project, tmp_path, capsys):
    plain = answer(capsys, classify(project, tmp_path))["results"][0]
    calibrated = answer(capsys, classify(project, tmp_path, "--calibrate"))["results"][0]
    assert calibrated["run"] != plain["run"]
    assert calibrated["selection_log_loss"] < plain["selection_log_loss"]
    one, other = (load_run(tmp_path / row["run"]).correct() for row in (plain, calibrated))
    assert one == other
    assert load_run(tmp_path / calibrated["run"]).factor != 1


def test_unsure_pictures_are_not_answered(project, tmp_path, capsys):
    arguments = classify(project, tmp_path, "--max-error", "0.25")
    assert run(arguments) == 0
    captured = capsys.readouterr()
    assert "with its threshold it answers" in captured.out
    best = answer(capsys, arguments)
    result = best["results"][0]
    assert result["threshold"]["max_error"] == 0.25
    assert result["test"]["answered"]["n"] == 3 * N_TEST
    bundle = load_bundle(tmp_path / result["run"] / "bundle")
    assert bundle.threshold == result["threshold"]["value"]


def test_the_learning_curve_is_kept_with_the_best_run(project, tmp_path, capsys):
    arguments = classify(project, tmp_path, "--learning-curve", heads="lda")
    assert run(arguments) == 0
    assert "training pictures" in capsys.readouterr().out
    value = answer(capsys, arguments)
    kept = tmp_path / value["best"] / "learning_curve.json"
    time = kept.stat().st_mtime_ns
    assert json.loads(kept.read_text()) == value["learning_curve"]
    assert (kept.parent / "plots" / "learning_curve.svg").is_file()
    answer(capsys, arguments)
    assert kept.stat().st_mtime_ns == time
    assert answer(capsys, classify(project, tmp_path, heads="lda"))["learning_curve"] is None


def test_rare_classes_count_as_much_on_request(project, tmp_path, capsys):
    arguments = classify(project, tmp_path, "--class-weight", "balanced", heads="logistic,lda")
    value = answer(capsys, arguments)
    assert all(row["params"]["class_weight"] == "balanced" for row in value["results"])
    assert run(classify(project, tmp_path, "--class-weight", "balanced", heads="knn")) == 2
    assert "expected a head that can weigh classes, received knn" in capsys.readouterr().err


def test_judging_by_views_is_another_run(project, tmp_path, capsys):
    plain = answer(capsys, classify(project, tmp_path))["results"][0]
    more = ("--test-views", "2", "--view-policy", "flip")
    averaged = answer(capsys, classify(project, tmp_path, *more))["results"][0]
    assert averaged["run"] != plain["run"]
    bundle = load_bundle(tmp_path / averaged["run"] / "bundle")
    assert bundle.test_views.n == 2


def test_runs_hold_plots_and_mistakes(project, tmp_path, capsys):
    value = answer(capsys, classify(project, tmp_path, heads="knn"))
    folder = tmp_path / value["best"]
    drawn = sorted(path.name for path in (folder / "plots").iterdir())
    assert drawn == ["calibration.svg", "confusion.svg", "ranking.svg"]
    test = json.loads((folder / "metrics.json").read_text())["test"]
    n_wrong = round((1 - test["accuracy"]["value"]) * test["n"])
    assert sum(pair["count"] for pair in test["confused"]) == n_wrong
    assert len(test["mistakes"]) == min(n_wrong, 10)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--repeats", "0"), "expected repeats from 1 to 100, received repeats=0"),
        (("--max-error", "1.5"), "expected max_error between 0 and 1, received max_error=1.5"),
        (("--jobs", "0"), "expected jobs at least 1, or -1 for all cores, received jobs=0"),
        (("--class-weight", "much"), "expected class_weight none or balanced, received"),
    ],
)
def test_settings_that_cannot_be(project, tmp_path, capsys, more, said):
    assert run(classify(project, tmp_path, *more)) == 2
    assert said in capsys.readouterr().err


def test_validation_split_selects_a_search(project, tmp_path, capsys):
    root = tmp_path / "three"
    shutil.copytree(project / "data", root / "data")
    for name in ("blue", "green", "red"):
        (root / "data" / "validation" / name).mkdir(parents=True)
        for i in range(3):
            source = root / "data" / "train" / name / f"{i}.png"
            source.rename(root / "data" / "validation" / name / f"{i}.png")
    shutil.copytree(project / "features", root / "features")
    tune = ("--tune", "--jobs", "1", "--views", "1", "--view-policy", "flip")
    (result,) = answer(capsys, classify(root, tmp_path / "runs", *tune, heads="lda"))["results"]
    assert result["selected_by"].startswith("validation split, corrected for choosing among")
    assert load_run(tmp_path / "runs" / result["run"]).selection.n == 9
    assert np.isfinite(result["selection_accuracy"])


@pytest.mark.parametrize("more", [(), ("--views", "1", "--view-policy", "flip")])
def test_what_does_not_fit_in_memory_is_learnt_in_blocks(
    project, tmp_path, capsys, monkeypatch, more
):
    heads, once = "logistic,lda,ridge", ("--repeats", "1", *more)
    held = answer(capsys, classify(project, tmp_path / "held", *once, heads=heads))
    monkeypatch.setattr("pipeline.classify.learning.fits_in_memory", lambda n_bytes: False)
    arguments = classify(project, tmp_path / "blocks", *once, heads=heads)
    assert run(arguments) == 0
    assert "do not fit in memory: learning in blocks" in capsys.readouterr().err
    for one, other in zip(held["results"], answer(capsys, arguments)["results"], strict=True):
        assert one["head"] == other["head"]
        assert one["selection_accuracy"] == pytest.approx(other["selection_accuracy"], abs=0.05)
        assert one["test"]["accuracy"] == pytest.approx(other["test"]["accuracy"], abs=0.07)
        assert one["test"]["log_loss"] == pytest.approx(other["test"]["log_loss"], abs=0.05)


def test_heads_that_need_all_at_once_are_refused_before_any_is_trained(
    project, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("pipeline.heads.streamed.capacity.available_memory", lambda: 1000)
    assert run(classify(project, tmp_path / "runs", "--repeats", "1", heads="lda,knn")) == 2
    said = capsys.readouterr().err
    assert "expected features that fit in memory for knn" in said
    assert "use logistic, ridge, lda, centroid, linear-svm or dense" in said
    assert not (tmp_path / "runs").exists()
    assert run(classify(project, tmp_path / "runs", "--repeats", "2", heads="lda")) == 2
    assert "expected folds that are drawn once" in capsys.readouterr().err


def settings(root, runs, **more):
    return ClassifyConfig(cache=root / "features", runs=runs, image_size=32, folds=3, **more)


class Told(Reporter):
    """Keeps what it is told."""

    def __init__(self):
        self.told = []

    def advance(self, part, done, total, unit="pictures", where=""):
        self.told.append((part, done, total, unit))


def test_the_clock_of_experiments_starts_where_the_search_ends(project, tmp_path):
    """Else an estimate counts the search as the price of the first experiment."""
    reporter = Told()
    config = settings(project, tmp_path, layers="block2,block3", heads="lda", tune=True, jobs=1)
    classification, _ = stages.classified(str(project / "data"), config, reporter)
    began = reporter.told.index(("classify", 0, 1, "experiments"))
    before, after = reporter.told[:began], reporter.told[began:]
    assert ("search", 0) in {entry[:2] for entry in before}
    assert after == [("classify", 0, 1, "experiments"), ("classify", 1, 1, "experiments")]
    assert classification.to_dict()["best"] == classification.results[0].run.name


class ToldOfTime(Reporter):
    """Keeps the seconds left that it is told, by part and number of pieces."""

    def __init__(self):
        self.left = {}

    def advance_unlike(self, part, done, total, unit, seconds_left):
        self.left[part, done, total] = seconds_left


def test_what_is_left_is_known_from_the_search(project, tmp_path):
    reporter, data = ToldOfTime(), str(project / "data")
    config = settings(project, tmp_path, layers="block2", heads="lda,knn", tune=True, jobs=1)
    stages.classified(data, config, reporter)
    assert reporter.left["classify", 0, 2] is None
    assert reporter.left["classify", 1, 2] > 0
    assert reporter.left["classify", 2, 2] == 0
    n_steps = max(done for part, done, _ in reporter.left if part == "search")
    assert reporter.left["search", n_steps, n_steps] == 0
    assert reporter.left["search", n_steps - 1, n_steps] > 0
    known = [left is not None for (part, _, _), left in reporter.left.items() if part == "search"]
    assert known == sorted(known)  # none at first, and then always
    assert not known[0]


def test_experiments_that_were_done_before_do_not_count(project, tmp_path):
    reporter, data = ToldOfTime(), str(project / "data")
    stages.classified(data, settings(project, tmp_path, layers="block2", heads="lda"), SILENT)
    more = settings(project, tmp_path, layers="block2,block3", heads="lda")
    stages.classified(data, more, reporter)
    assert reporter.left == {
        ("classify", 0, 2): None,
        ("classify", 1, 2): None,
        ("classify", 2, 2): 0,
    }


def parts_of_learning(root, runs, spec, **more):
    """The table, what judges, the input and the head of one experiment."""
    config = settings(root, runs, repeats=1, **more)
    dataset = stages.indexed(str(root / "data"), config, SILENT)
    cached = stages.computed(config, resolve(config), dataset, SILENT)
    table = cached.table(config.views)
    rows = table.rows("train"), table.rows("validation")
    selection = select_by(config, cached.dataset, *rows)
    (joined,) = inputs_of(config, cached.base)
    return table, selection, joined, parse_head(spec), config.seed


@pytest.mark.parametrize("spec", ["ridge(prepare='l2')", "lda(prepare='sqrt-l2')"])
def test_the_curve_is_that_of_the_runs_own_head(project, tmp_path, spec, monkeypatch):
    """Cuts side by side each get their own length, in the curve as in the run, in blocks too."""
    parts = parts_of_learning(project, tmp_path, spec, layers="block2+block3")
    learner, folds = learner_of(*parts), parts[1].folds
    places, (expected,) = learner.unseen()
    scores = learner.out_of_fold(folds)
    np.testing.assert_array_equal(scores[places], expected)
    monkeypatch.setattr("pipeline.classify.learning.fits_in_memory", lambda n_bytes: False)
    in_blocks = learner_of(*parts).out_of_fold(folds)
    np.testing.assert_allclose(in_blocks, scores, rtol=1e-3, atol=1e-3)


def test_the_learning_curve_holds_no_more_than_blocks_where_all_does_not_fit(
    project, tmp_path, capsys, monkeypatch
):
    more = ("--learning-curve", "--repeats", "1", "--views", "1", "--view-policy", "flip")
    held = answer(capsys, classify(project, tmp_path / "held", *more, heads="ridge"))
    monkeypatch.setattr("pipeline.classify.learning.fits_in_memory", lambda n_bytes: False)

    def refuse(*given):
        raise AssertionError("the features of all rows were asked for at once")

    for name in ("features", "with_views", "view_features"):
        monkeypatch.setattr(FeatureTable, name, refuse)
    blocks = answer(capsys, classify(project, tmp_path / "blocks", *more, heads="ridge"))
    one, other = held["learning_curve"], blocks["learning_curve"]
    assert [point["n"] for point in one["points"]] == [point["n"] for point in other["points"]]
    for point, again in zip(one["points"], other["points"], strict=True):
        assert again["accuracy"] == pytest.approx(point["accuracy"], abs=0.05)


def test_a_class_called_unknown_is_refused_before_anything_is_computed(tmp_path):
    for seed in range(8):
        write_picture(tmp_path / ("unknown" if seed % 2 else "known") / f"{seed}.png", seed)
    dataset = index(tmp_path)
    check(ClassifyConfig(), dataset)
    with pytest.raises(InputError, match=r"no class called 'unknown' beside min_typical=0\.1"):
        check(ClassifyConfig(min_typical=0.1), dataset)


def test_that_nothing_can_be_promised_is_told_once(project, tmp_path, capsys):
    asked = classify(project, tmp_path, "--max-error", "0.01", heads="logistic,ridge,knn")
    for _ in range(2):  # of runs that are there already, too
        capsys.readouterr()
        assert run(asked) == 0
        assert capsys.readouterr().err.count("no threshold is known to leave") == 1
