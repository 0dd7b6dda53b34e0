"""Prediction from files is what was measured: the same figures, from folders, archives, to CSV."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli import run
from pipeline.config import PredictConfig
from pipeline.errors import DataError, InputError, WeightsError
from pipeline.images import ViewAverage, ViewRecipe, find_pictures
from pipeline.predict.predict import Prediction, _table, predict
from pipeline.runs import load_bundle, save_head
from pipeline.system.cells import CellRows
from pipeline.system.progress import Reporter
from tests.conftest import write_picture
from tests.stored import reseal

BASE = ["--backbone", "MobileNet(alpha=0.25)", "--weights", "none", "--image-size", "32"]
CLASSES = ("blue", "green", "red")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Three classes of which two are hard to tell apart, and runs of a linear head and a forest."""
    root = tmp_path_factory.mktemp("project")
    for split, count in (("train", 14), ("test", 9)):
        for number, name in enumerate(CLASSES):
            for i in range(count):
                seed = 1000 * number + 100 * (split == "test") + i
                hue = 2 if name == "blue" else None
                write_picture(root / "data" / split / name / f"{i}.png", seed, hue=hue)
    flags = [*BASE, "--layers", "block2+block3", "--heads", "logistic,knn", "--folds", "2"]
    assert run(["classify", str(root / "data"), *flags, *places(root), "--quiet"]) == 0
    (root / "fresh").mkdir()  # converted models, and no features
    (root / "features" / "models").mkdir(exist_ok=True)
    (root / "fresh" / "models").symlink_to(root / "features" / "models")
    return root


def places(root, cache="features"):
    return ["--cache", str(root / cache), "--runs", str(root / "runs")]


def run_of(root, head):
    (path,) = (root / "runs").glob(f"*-{head}-*")
    return path


def label(root, paths, head="logistic", keep=True, cache="fresh", **more):
    config = PredictConfig(cache=root / cache, runs=root / "runs", top=3, **more)
    return predict(config, run_of(root, head).name, paths, keep=keep)


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def figures(row):
    return [float(row[f"p:{name}"]) for name in CLASSES]


# What was measured


@pytest.mark.parametrize("batch_size", ["32", "5"])
@pytest.mark.parametrize("head", ["logistic", "knn"])
def test_the_test_split_gives_the_runs_own_figures(project, tmp_path, capsys, head, batch_size):
    folder, out = run_of(project, head), tmp_path / "out.csv"
    arguments = ["predict", folder.name, str(project / "data" / "test"), "--csv", str(out)]
    capsys.readouterr()
    assert run([*arguments, *places(project, "fresh"), "--batch-size", batch_size, "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    rights = [row["path"].split("/")[-2] == row["label"] for row in value["predictions"]]
    measured = json.loads((folder / "metrics.json").read_text())["test"]["accuracy"]["value"]
    assert sum(rights) / len(rights) == measured
    assert 0.4 < measured < 1
    expected = {row["path"]: row for row in table(folder / "predictions.csv")}
    found = table(out)
    assert len(found) == len(expected) == 27
    for row in found:
        then = expected[row["path"].removeprefix(f"{project / 'data'}/")]
        assert row["label"] == then["prediction"]
        np.testing.assert_allclose(figures(row), figures(then), rtol=0, atol=1e-6)


def test_a_kept_base_is_run_without_tensorflow(project, tmp_path):
    arguments = ["predict", run_of(project, "logistic").name, str(project / "data" / "test")]
    arguments += [*places(project, "fresh"), "--csv", str(tmp_path / "out.csv")]
    script = f"""
import sys
from pipeline.cli import run
assert run({arguments!r}) == 0
print({{"tensorflow", "keras", "sklearn", "scipy.stats"}} & set(sys.modules))
"""
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert process.stdout.splitlines()[-1] == "set()", process.stderr


def test_a_kept_base_is_run_without_its_weights(project, tmp_path, monkeypatch):
    """Nor is anything written into the run; where the base has to be built, they are missed."""
    folder = run_of(project, "logistic")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    pictures = [project / "data" / "test" / "red"]
    expected = label(project, pictures).predictions

    def gone(*given, **more):
        raise WeightsError("they are gone")

    monkeypatch.setattr("pipeline.features.saved.resolve_weights", gone)
    assert label(project, pictures).predictions == expected
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    config = PredictConfig(cache=tmp_path / "empty", runs=project / "runs")
    with pytest.raises(WeightsError, match="they are gone"):
        predict(config, folder.name, pictures)


def test_command_and_api_say_the_same_to_the_last_digit(project, tmp_path):
    """Of a run that averages views, too: at its threshold both give one answer."""
    import pipeline

    root = shutil.copytree(project, tmp_path / "copy")
    folder = run_of(root, "logistic") / "bundle"
    bundle = load_bundle(folder)
    shutil.rmtree(folder)
    views = ViewAverage(2, ViewRecipe("crop,flip", 0))
    save_head(folder, bundle.head, bundle.classes, bundle.base, test_views=views)
    reseal(folder.parent)
    pictures = root / "data" / "test"
    said = label(root, [pictures], batch_size=7).predictions
    opened = pipeline.load_run(
        run_of(root, "logistic"), runs=root / "runs", cache=root / "features", batch_size=7
    )
    found = opened.predict_proba(pictures)
    assert found.max(axis=1).tolist() == [one.probability for one in said]
    assert opened.predict(pictures).tolist() == [one.label for one in said]


def test_who_is_told(project):
    told = []

    class Told(Reporter):
        def advance(self, part, done, total, unit="pictures", where=""):
            told.append((part, done, total, unit))

    config = PredictConfig(cache=project / "fresh", runs=project / "runs", batch_size=5)
    predict(config, run_of(project, "logistic").name, [project / "data" / "test"], Told())
    counts = [0, 5, 10, 15, 20, 25, 27]
    assert told == [("predict", done, 27, "pictures") for done in counts]


# Archives


def zipped(root, path):
    with zipfile.ZipFile(path, "w") as archive:
        for picture in sorted((root / "data" / "test").rglob("*.png")):
            archive.write(picture, picture.relative_to(root / "data"))
        archive.writestr("test/notes.txt", "no picture")
        archive.writestr("__MACOSX/test/._0.png", "clutter")
        archive.writestr("test/red/broken.png", "no picture either")
    return path


def tarred(root, path):
    with tarfile.open(path, "w") as archive:
        archive.add(root / "data" / "test", "test")
        info = tarfile.TarInfo("test/red/broken.png")
        info.size = 17
        archive.addfile(info, io.BytesIO(b"no picture either"))
    return path


@pytest.mark.parametrize(("name", "make"), [("a.zip", zipped), ("b.tar", tarred)])
def test_pictures_in_an_archive_are_those_in_the_folder(project, tmp_path, name, make):
    archive = make(project, tmp_path / name)
    expected = label(project, [project / "data"]).predictions
    of_test = [one for one in expected if "/data/test/" in one.path]
    found = label(project, [archive])
    assert [one.path for one in found.predictions] == [
        one.path.replace(str(project / "data"), str(archive)) for one in of_test
    ]
    for ours, other in zip(found.predictions, of_test, strict=True):
        assert dict(ours.top) == pytest.approx(dict(other.top), rel=0, abs=1e-6)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture either")
    (failed,) = found.failed
    assert failed["path"] == f"{archive}/test/red/broken.png"
    with pytest.raises(DataError, match=re.escape(f'1 × "{failed["reason"]}" ({broken})')):
        label(project, [broken])


def test_files_folders_and_archives_in_the_order_that_they_are_named(project, tmp_path):
    picture, folder = project / "data/test/red/3.png", project / "data/test/blue"
    archive = zipped(project, tmp_path / "a.zip")
    pictures = find_pictures([picture, archive, folder, picture])
    assert len(pictures) == 1 + 28 + 9 + 1
    names = [pictures.name(row) for row in range(len(pictures))]
    assert (names[0], names[-1]) == (str(picture), str(picture))
    assert names[1] == f"{archive}/test/blue/0.png"
    assert names[29] == str(folder / "0.png")
    for row in (0, 1, 28, 29, 38):
        assert isinstance(pictures.read(row), bytes)
    assert pictures.read(1) == pictures.read(29) == (folder / "0.png").read_bytes()


def test_names_are_as_the_folder_was_named(project, monkeypatch):
    monkeypatch.chdir(project / "data" / "test" / "red")
    assert find_pictures([Path()]).name(0) == "0.png"
    assert find_pictures([Path("../blue")]).name(0) == "../blue/0.png"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.tar.gz", b"", "archive that can be read in place, received .*a.tar.gz"),
        ("a.zip", b"no archive", r"expected a \.zip file, received .*a\.zip"),
    ],
)
def test_archives_that_cannot_be_read(project, tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words):
        label(project, [tmp_path / name])


def test_an_archive_without_pictures(project, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("notes.txt", "no picture")
    with pytest.raises(DataError, match=r"expected pictures in .*a\.zip, received none"):
        label(project, [tmp_path / "a.zip"])


# CSV


def test_a_row_for_each_picture_that_could_be_read(project, tmp_path, capsys):
    (tmp_path / "pictures").mkdir()
    shutil.copy(project / "data/test/blue/0.png", tmp_path / 'pictures/a, "b".png')
    (tmp_path / "pictures/bad.png").write_bytes(b"no picture")
    out = tmp_path / "new" / "out.csv"
    arguments = ["predict", "best", str(tmp_path / "pictures"), "--csv", str(out)]
    assert run([*arguments, *places(project, "fresh")]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[0] == f"{out}: 1 picture labelled"
    assert "1 of 2 pictures is left out:" in printed
    assert "bad.png: " in printed
    (row,) = table(out)
    assert list(row) == ["path", "label", "probability", "p:blue", "p:green", "p:red", "typical"]
    assert row["path"] == str(tmp_path / 'pictures/a, "b".png')
    assert row["label"] == CLASSES[int(np.argmax(figures(row)))]
    assert float(row["probability"]) == max(figures(row))
    assert sum(figures(row)) == pytest.approx(1)


def test_nothing_is_held_for_a_table(project, tmp_path):
    found = label(project, [project / "data" / "test"], keep=False, csv=tmp_path / "out.csv")
    assert (found.predictions, found.labelled) == ((), 27)
    assert len(table(tmp_path / "out.csv")) == 27


def test_no_label_below_the_threshold(project, tmp_path):
    root = shutil.copytree(project, tmp_path / "copy")
    folder = run_of(root, "logistic") / "bundle"
    bundle = load_bundle(folder)
    shutil.rmtree(folder)
    save_head(folder, bundle.head, bundle.classes, bundle.base, threshold=0.9)
    reseal(folder.parent)
    label(root, [root / "data" / "test"], csv=tmp_path / "out.csv")
    unsure = [row["label"] == "" for row in table(tmp_path / "out.csv")]
    assert unsure == [float(row["probability"]) < 0.9 for row in table(tmp_path / "out.csv")]
    assert 0 < sum(unsure) < 27


def test_what_is_there_is_not_overwritten_unasked(project, tmp_path, capsys):
    out = tmp_path / "out.csv"
    out.write_text("mine")
    arguments = ["predict", "best", str(project / "data" / "test"), *places(project, "fresh")]
    assert run([*arguments, "--csv", str(out)]) == 2
    assert "out.csv, a file that exists; name another one, or use" in capsys.readouterr().err
    assert out.read_text() == "mine"
    assert run([*arguments, "--csv", str(tmp_path), "--overwrite"]) == 2
    assert "a folder that exists; name another one" in capsys.readouterr().err
    assert run([*arguments, "--csv", str(out), "--overwrite"]) == 0
    assert len(table(out)) == 27


def test_a_table_appears_whole_or_not_at_all(project, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    paths = [project / "data" / "test", tmp_path / "bad.png"]
    with pytest.raises(DataError, match="1 of 28"):
        label(project, paths, csv=tmp_path / "out.csv", strict=True)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.png"]


def test_no_spreadsheet_runs_a_cell(tmp_path):
    sure, values = (("=cmd|x", 0.9),), np.array([0.9, 0.1])
    with _table(tmp_path / "out.csv", ["=cmd|x", "b"]) as write:
        for path in ("-x.png", "=1.png", "@a.png", "\t.png", "b/-1.png"):
            write(Prediction(path, "=cmd|x", 0.9, sure), values)
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        first, *rows = CellRows(file)
    assert first == ["path", "label", "probability", "p:=cmd|x", "p:b"]
    assert [row[0] for row in rows] == ["-x.png", "=1.png", "@a.png", "\t.png", "b/-1.png"]
    assert {tuple(row[1:]) for row in rows} == {("=cmd|x", "0.9", "0.9", "0.1")}
    written = [row["path"] for row in table(tmp_path / "out.csv")]
    assert written == ["'-x.png", "'=1.png", "'@a.png", "'\t.png", "b/-1.png"]


# From the cache


def refuse(*given, **more):
    raise AssertionError("a base was run")


def told_of(found):
    return [(one.path, one.label, round(one.probability, 5)) for one in found.predictions]


def test_cached_pictures_are_answered_without_a_base(project, monkeypatch):
    test = project / "data" / "test"
    fresh = PredictConfig(cache=project / "fresh", runs=project / "runs")
    expected = predict(fresh, run_of(project, "logistic").name, [test])
    monkeypatch.setattr("pipeline.predict.labelling.open_engine", refuse)
    found = label(project, [test], cache="features")
    assert told_of(found) == told_of(expected)
    assert len(found.predictions) == 27


def test_new_pictures_among_cached_ones_keep_their_place(project, tmp_path, monkeypatch):
    """Kept where that is asked for, and only there; what cannot be decoded is not tried again."""
    pool = tmp_path / "pool"
    shutil.copytree(project / "data" / "test" / "red", pool)
    for seed in range(3):
        write_picture(pool / f"{seed}new.png", 70 + seed)
    (pool / "4cut.png").write_bytes((pool / "4.png").read_bytes()[:60])
    shards = sorted((project / "features").rglob("shard-*.h5"))
    first = label(project, [pool], cache="features")
    assert sorted((project / "features").rglob("shard-*.h5")) == shards
    paths = [one.path for one in first.predictions]
    assert paths == sorted(paths)
    assert len(paths) == 12
    kept = label(project, [pool], cache="features", cache_features=True, csv=tmp_path / "kept.csv")
    assert told_of(kept) == told_of(first)
    monkeypatch.setattr("pipeline.predict.labelling.open_engine", refuse)
    monkeypatch.setattr("pipeline.predict.pools.MIXED", 5)
    again = label(project, [pool], cache="features", csv=tmp_path / "again.csv")
    assert told_of(again) == told_of(first)
    assert (tmp_path / "kept.csv").read_text() == (tmp_path / "again.csv").read_text()
    assert [one["path"] for one in again.failed] == [str(pool / "4cut.png")]


def test_a_known_pool_fills_the_cache(project, tmp_path, monkeypatch):
    pool = tmp_path / "known"
    write_picture(pool / "IMG1.png", 80)
    flags = [*BASE, "--layers", "block2,block3", "--cache", str(project / "features"), "--quiet"]
    assert run(["features", str(pool), *flags]) == 0
    write_picture(pool / "IMG2.png", 81)
    first = label(project, [pool], cache="features")
    monkeypatch.setattr("pipeline.predict.labelling.open_engine", refuse)
    assert told_of(label(project, [pool], cache="features")) == told_of(first)


def test_features_of_an_imagenet_classifier_are_not_kept(project):
    config = PredictConfig(cache=project / "features", cache_features=True)
    with pytest.raises(InputError, match="judges pictures otherwise: leave --cache-features out"):
        predict(config, "imagenet:EfficientNetLite0", [project / "data" / "test" / "red"])


def test_a_pool_has_no_labels_in_json(tmp_path, capsys):
    pool = tmp_path / "pool"
    for seed in range(2):
        write_picture(pool / "x" / f"IMG{seed}.png", seed)
    flags = [*BASE, "--cache", str(tmp_path / "features"), "--json"]
    assert run(["features", str(pool), *flags]) == 2
    assert "or --unlabelled to take them without labels" in capsys.readouterr().err
    assert run(["features", str(pool), *flags, "--unlabelled"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert (value["labelled"], value["images"], value["classes"]) == (False, 2, {})


# Of none of the classes


def test_how_typical_a_picture_is_is_told(project, tmp_path):
    """The same from files and from the cache, in the CSV and in the API."""
    test = project / "data" / "test"
    found = label(project, [test], csv=tmp_path / "out.csv")
    typical = [one.typical for one in found.predictions]
    assert all(0 < one <= 1 for one in typical)
    again = label(project, [test], cache="features")
    assert [one.typical for one in again.predictions] == pytest.approx(typical)
    rows = table(tmp_path / "out.csv")
    assert [float(row["typical"]) for row in rows] == pytest.approx(typical)
    assert not any(one.unknown for one in found.predictions)


def test_what_is_not_typical_enough_is_unknown(project, tmp_path, capsys):
    test = project / "data" / "test"
    found = label(project, [test], min_typical=0.4, csv=tmp_path / "out.csv")
    for one, row in zip(found.predictions, table(tmp_path / "out.csv"), strict=True):
        assert one.unknown == (one.typical < 0.4)
        assert (one.label is None) == one.unknown
        assert row["label"] == ("unknown" if one.unknown else one.label)
    assert 0 < sum(one.unknown for one in found.predictions) < 27
    arguments = ["predict", "best", str(test), *places(project, "fresh"), "--min-typical", "0.4"]
    assert run(arguments) == 0
    assert ": unknown; " in capsys.readouterr().out


def test_a_run_that_does_not_say_it_still_predicts(project, tmp_path):
    folder = tmp_path / "runs" / "old"
    shutil.copytree(run_of(project, "logistic"), folder)
    description = json.loads((folder / "bundle" / "bundle.json").read_text())
    del description["typical"]
    (folder / "bundle" / "bundle.json").write_text(json.dumps(description))
    (folder / "bundle" / "typical.npz").unlink()
    reseal(folder)
    config = PredictConfig(cache=project / "fresh", runs=tmp_path / "runs")
    found = predict(config, "old", [project / "data" / "test" / "red"])
    assert {(one.typical, one.unknown) for one in found.predictions} == {(None, False)}
    config = PredictConfig(cache=project / "fresh", runs=tmp_path / "runs", min_typical=0.1)
    with pytest.raises(
        InputError, match=r"for min_typical=0\.1, received old, which is fine-tuned"
    ):
        predict(config, "old", [project / "data" / "test" / "red"])
