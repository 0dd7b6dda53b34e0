import csv
import errno
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import RunError, StoreError
from pipeline.features.store import Recipe
from pipeline.heads import NetworkHead, SklearnHead
from pipeline.heads.catalog import parse_head
from pipeline.heads.fit import fit_head
from pipeline.heads.sample import Sample
from pipeline.runs import (
    CLASSIFY,
    FinalTest,
    PredictionRows,
    RunData,
    RunFolder,
    SelectionFigures,
    experiment_digest,
    find_run,
    index_settings,
    leaderboard,
    list_runs,
    load_bundle,
    load_run,
    new_run,
    run_name,
    save_head,
    source_run,
    transplantable_head,
    whole_runs,
    write_run,
)
from pipeline.runs.predictions import read_rows
from tests.stored import change_json, reseal

RECIPE = Recipe(
    backbone="VGG16",
    weights="0" * 64,
    cuts=(("block5_pool", "avg"),),
    image_size=64,
    preprocessing="caffe",
    decoding={"size": 64, "resize": "squash", "interpolation": "bilinear", "version": 1},
    view={"policy": "clean"},
)
CLASSES = ("a, b", 'quo"ted', "NA")


def make_run(runs, name, selection, hits, data="d1", root="/data", head="logistic", loss=0.5):
    """Write a run whose test pictures are labelled rightly where ``hits`` says so."""
    n = len(hits)
    labels = np.arange(n) % 3
    predicted = np.where(hits, labels, (labels + 1) % 3)
    rows = PredictionRows(
        [f"c/{i}.png" for i in range(n)],
        np.arange(n * 32, dtype=np.uint32).reshape(n, 32).astype(np.uint8),
        "test",
        labels,
        np.eye(3)[predicted] * 0.9 + 0.1 / 3,
        CLASSES,
    )
    with new_run(runs, name) as folder:
        run = RunFolder(
            path=folder,
            kind=CLASSIFY,
            experiment={},
            config={},
            base={},
            recipe=RECIPE,
            dataset=RunData(digest=data, root=root, name=Path(root).name, classes=CLASSES),
            head=head,
            layers=("top",),
            params={},
            seed=0,
            selection=SelectionFigures(
                by="5-fold cross-validation", n=n, accuracy=selection, log_loss=loss
            ),
            test=FinalTest(split="test", n=n, accuracy=float(np.mean(hits)), ci95=(0.0, 1.0)),
        )
        write_run(run, rows)
        (folder / "bundle").mkdir()


HITS = np.arange(60) % 10 != 0


def test_runs_come_back(tmp_path):
    make_run(tmp_path, "one", 0.8, HITS)
    run = load_run(tmp_path / "one")
    assert run.selection.accuracy == 0.8
    assert run.versions["numpy"] == np.__version__
    assert list(run.correct().values()) == HITS.tolist()
    with open(tmp_path / "one" / "predictions.csv", newline="", encoding="utf-8") as file:
        row = next(csv.DictReader(file))
    assert row["label"] == "a, b"
    assert float(row["p:NA"]) == pytest.approx(0.1 / 3, rel=1e-4)


def test_names_like_formulas_come_back(tmp_path):
    paths = ["=1+2/a.png", "-x.png", "+1.png", "@b.png", "'=c.png", "d.png"]
    classes = ("=cmd|x", "-0.5")
    rows = PredictionRows(
        paths,
        np.arange(192, dtype=np.uint8).reshape(6, 32),
        "test",
        np.arange(6) % 2,
        np.array([[0.9, 0.1]] * 6),
        classes,
    )
    rows.write(tmp_path / "predictions.csv")
    found = list(read_rows(tmp_path / "predictions.csv", classes, 6))
    assert [row["path"] for row in found] == paths
    assert [row["label"] for row in found] == list(classes) * 3
    assert {row["prediction"] for row in found} == {"=cmd|x"}
    assert {row["p:-0.5"] for row in found} == {"0.1"}
    with (tmp_path / "predictions.csv").open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


def test_a_run_that_fails_leaves_nothing(tmp_path):
    def fail():
        with new_run(tmp_path / "runs", "one") as folder:
            (folder / "half.json").write_text("{")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not list((tmp_path / "runs").iterdir())


def test_what_killed_processes_left_goes_when_it_is_old(tmp_path):
    old, young = (tmp_path / f".tmp-{digit * 32}" for digit in "01")
    for folder in (old, young):
        folder.mkdir()
        (folder / "run.json").write_text("{")
    for path in (old / "run.json", old):
        os.utime(path, (time.time() - 3700,) * 2)
    make_run(tmp_path, "one", 0.8, HITS)
    assert {path.name for path in tmp_path.iterdir()} == {young.name, "one"}


def test_the_first_of_two_equal_runs_stays(tmp_path):
    make_run(tmp_path, "one", 0.8, HITS)
    make_run(tmp_path, "one", 0.1, HITS)
    assert load_run(tmp_path / "one").selection.accuracy == 0.8
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_unwritable_runs_folder(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(StoreError, match=r"cannot write the run .*name another folder with --runs"):
        make_run(tmp_path / "runs", "one", 0.8, HITS)


def test_best_is_by_selection(tmp_path):
    make_run(tmp_path, "lucky", 0.8, np.ones(60, bool))
    make_run(tmp_path, "good", 0.9, HITS)
    assert find_run(tmp_path, "best").name == "good"
    assert find_run(tmp_path, "luck").name == "lucky"
    assert find_run(tmp_path, str(tmp_path / "lucky")).name == "lucky"


def test_log_loss_decides_between_equals(tmp_path):
    make_run(tmp_path, "a", 0.9, HITS, loss=0.5)
    make_run(tmp_path, "b", 0.9, HITS, loss=0.1)
    assert find_run(tmp_path, "best").name == "b"
    assert [standing.run.name for standing in leaderboard(list_runs(tmp_path))[0]] == ["b", "a"]


def test_best_is_of_the_pictures_that_were_learnt_from_last(tmp_path):
    make_run(tmp_path, "one", 0.9, HITS)
    make_run(tmp_path, "two", 0.8, HITS, data="d2", root="/other")
    assert find_run(tmp_path, "best").name == "two"
    assert find_run(tmp_path, "best:data").name == "one"
    with pytest.raises(RunError, match="'best:nothing'; there are runs on 'data', 'other'"):
        find_run(tmp_path, "best:nothing")


def test_without_runs_there_is_no_best(tmp_path):
    with pytest.raises(RunError, match="expected at least one run"):
        find_run(tmp_path, "best")


def test_an_altered_run_could_be_the_best(tmp_path):
    for name, accuracy in (("good", 0.9), ("better", 0.95), ("other", 0.5)):
        make_run(tmp_path, name, accuracy, HITS)
    metrics = tmp_path / "better" / "metrics.json"
    metrics.write_text(metrics.read_text().replace("0.95", "0.15"))
    whole, (error,) = whole_runs(tmp_path)
    assert [run.name for run in whole] == ["good", "other"]
    assert "received metrics.json damaged" in str(error)
    words = r"better, received metrics.json damaged: .*could be the best .* yourself, such as good"
    for ask in (
        lambda: find_run(tmp_path, "best"),
        lambda: source_run(tmp_path, "best", tmp_path, "d1"),
        lambda: index_settings(tmp_path, "best", tmp_path),
    ):
        with pytest.raises(RunError, match=words):
            ask()
    assert find_run(tmp_path, "good").name == "good"


def test_ambiguous_name(tmp_path):
    make_run(tmp_path, "run-1", 0.8, HITS)
    make_run(tmp_path, "run-2", 0.8, HITS)
    with pytest.raises(RunError, match=r"received 'run': 2 runs begin so"):
        find_run(tmp_path, "run")


def test_no_runs(tmp_path):
    with pytest.raises(RunError, match="run `pipeline classify DATA` first"):
        find_run(tmp_path, "best")
    assert leaderboard(list_runs(tmp_path)) == []


def test_source_is_the_best_transplantable_run_on_the_same_data(tmp_path):
    make_run(tmp_path, "neighbours", 0.99, HITS, head="knn")
    make_run(tmp_path, "elsewhere", 0.98, HITS, data="d2")
    make_run(tmp_path, "dense", 0.9, HITS, head="dense(hidden=(64,))")
    make_run(tmp_path, "ridge", 0.8, HITS, head="ridge")
    assert source_run(tmp_path, "best", tmp_path, "d1").name == "dense"
    with pytest.raises(RunError, match="expected a run with a linear or dense head on"):
        source_run(tmp_path, "best", tmp_path, "d3")


def test_leaderboard_tells_noise_from_difference(tmp_path):
    make_run(tmp_path, "best", 0.95, HITS)
    make_run(tmp_path, "near", 0.94, np.roll(HITS, 1))
    make_run(tmp_path, "far", 0.5, np.arange(60) % 2 == 0)
    make_run(tmp_path, "elsewhere", 0.7, HITS, data="d2", root="/other")
    first, second = leaderboard(list_runs(tmp_path))
    assert [standing.run.name for standing in first] == ["best", "near", "far"]
    assert [standing.distinguishable for standing in first] == [None, False, True]
    assert [standing.run.name for standing in second] == ["elsewhere"]


def test_key_changes_with_anything_that_matters():
    experiment = {"head": "ridge", "params": {"alpha": 1.0}, "seed": 0}
    assert experiment_digest(experiment) == experiment_digest(dict(reversed(experiment.items())))
    assert experiment_digest(experiment) != experiment_digest({**experiment, "seed": 1})


def test_odd_names_become_safe_folders():
    assert run_name(["mein Ordner/ü", "logistic(C=0.1)"], "ab" * 32) == (
        "meinOrdner__-logistic-C0.1-abababab"
    )


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    return (rng.normal(size=(90, 6)) + labels[:, None]).astype(np.float32), labels


@pytest.mark.parametrize(
    "head",
    [
        "logistic",
        "rbf-svm",
        "knn",
        "knn(metric='euclidean')",
        "random-forest(n_trees=5)",
        "dense(hidden=8,epochs=2)",
    ],
)
def test_bundles_predict_what_was_saved(tmp_path, data, head):
    features, labels = data
    fitted = fit_head(parse_head(head), Sample(features, labels, 3, seed=0)).sharpened(1.7)
    save_head(tmp_path / "bundle", fitted, CLASSES, {"backbone": "VGG16"})
    bundle = load_bundle(tmp_path / "bundle")
    np.testing.assert_array_equal(bundle.head.scores(features), fitted.scores(features))
    assert bundle.classes == CLASSES
    assert isinstance(bundle.head, NetworkHead | SklearnHead)


def test_foreign_types_are_not_loaded(tmp_path, data):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer
    from sklearn.svm import SVC

    pipeline = make_pipeline(FunctionTransformer(np.abs), SVC()).fit(*data)
    pipeline.steps[0][1].kw_args = {"f": print}
    save_head(tmp_path / "bundle", SklearnHead(pipeline, 3), CLASSES, {})
    with pytest.raises(RunError, match="expected only scikit-learn's own types"):
        load_bundle(tmp_path / "bundle")


def test_newer_bundle_and_run(tmp_path, data):
    save_head(tmp_path / "b", fit_head(parse_head("ridge"), Sample(*data, 3, 0)), CLASSES, {})
    make_run(tmp_path, "one", 0.8, HITS)
    for path, load in (
        (tmp_path / "b" / "bundle.json", load_bundle),
        (tmp_path / "one" / "run.json", load_run),
    ):
        value = json.loads(path.read_text())
        path.write_text(json.dumps({**value, "format_version": 9}))
        with pytest.raises(RunError, match="received version 9"):
            load(path.parent)


def test_of_equals_the_head_is_best(tmp_path):
    """A fine-tuned base that gained nothing is not preferred for its name."""
    for name in ("b-head", "a-tuned"):
        make_run(tmp_path, name, 0.8, HITS)
    path, tuned = tmp_path / "a-tuned" / "run.json", {"kind": "finetune", "from": "b-head"}
    change_json(path, lambda value: value.update(tuned))
    reseal(path.parent)
    assert find_run(tmp_path, "best").name == "b-head"
    assert transplantable_head(load_run(tmp_path / "a-tuned")).head.name == "logistic"


@pytest.mark.parametrize("name", ["run.json", "metrics.json", "bundle/bundle.json"])
def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch, name):
    make_run(tmp_path, "run", 0.9, HITS)
    path = tmp_path / "run"
    wanted, read = path / name, Path.read_bytes
    (path / "bundle").mkdir(exist_ok=True)
    (path / "bundle/bundle.json").touch()

    def refuse(path):
        if path == wanted:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(StoreError, match=rf"cannot read .*{name}: Permission denied; make it read"):
        load_bundle(load_run(path).path / "bundle")
