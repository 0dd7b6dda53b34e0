"""The three stages on real parts: a real base with real weights, tiny pictures, real files."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.cli import run
from tests.conftest import write_picture

BASE = ["--image-size", "32", "--layers", "block2,block3+block4"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Pictures, features and runs, made once for this module; tests that change things copy it."""
    root = tmp_path_factory.mktemp("project")
    for split, count in (("train", 14), ("test", 6)):
        for hue, name in enumerate(("blue", "green", "red")):
            for i in range(count):
                seed = 1000 * hue + 100 * (split == "test") + i
                write_picture(root / "data" / split / name / f"{i}.png", seed, hue=2 - hue)
    assert run(command(root, "classify", *BASE, "--heads", "logistic,knn", "--folds", "3")) == 0
    return root


def command(root, name, *more, data=True):
    folders = {"features": ["--cache"], "predict": ["--cache", "--runs"], "compare": ["--runs"]}
    flags = [
        part
        for flag in folders.get(name, ["--cache", "--runs"])
        for part in (flag, str(root / ("features" if flag == "--cache" else "runs")))
    ]
    paths = [str(root / "data")] if data and name not in ("predict", "compare") else []
    return [name, *paths, *more, *flags]


def answer(capsys, arguments):
    """Run a command with --json and return its value; nothing else may be on stdout."""
    capsys.readouterr()
    assert run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def copy(project, tmp_path):
    return Path(shutil.copytree(project, tmp_path / "copy"))


def test_second_features_computes_nothing(project, capsys):
    value = answer(capsys, command(project, "features", *BASE))
    assert (value["computed"], value["reused"], value["images"]) == (0, 60, 60)
    assert value["engine"] is None
    assert run(command(project, "features", *BASE)) == 0
    assert "nothing to compute: features of all 60" in capsys.readouterr().out


def test_moved_and_relabelled_pictures_compute_nothing(project, tmp_path, capsys):
    root = copy(project, tmp_path)
    (root / "data" / "train" / "red").rename(root / "data" / "train" / "aaa")
    (root / "data" / "test" / "red").rename(root / "data" / "test" / "aaa")
    for i, path in enumerate(sorted((root / "data" / "train" / "aaa").iterdir())):
        path.rename(path.with_name(f"moved{i}.png"))
    assert answer(capsys, command(root, "features", *BASE))["computed"] == 0


def test_added_pictures_compute_only_themselves(project, tmp_path, capsys):
    root = copy(project, tmp_path)
    for i in range(3):
        write_picture(root / "data" / "train" / "red" / f"new{i}.png", 9000 + i, hue=0)
    shutil.copy(root / "data/train/red/new0.png", root / "data/train/red/twin.png")
    value = answer(capsys, command(root, "features", *BASE))
    assert (value["computed"], value["reused"]) == (3, 60)


def test_cached_features_are_the_recomputed_ones(project, tmp_path):
    assert (
        run(
            [
                *command(project, "features", *BASE)[:-1],
                str(tmp_path / "again"),
                "--batch-size",
                "7",
            ]
        )
        == 0
    )

    def rows(folder):
        (path,) = folder.glob("*/shard-*.h5")
        with h5py.File(path) as file:
            order = np.lexsort(file["digest"][:].T)
            return {name: file["features"][name][:][order] for name in file["features"]}

    cached, again = rows(project / "features"), rows(tmp_path / "again")
    assert set(cached) == {"block2b_add", "block3b_add", "block4c_add"}
    for name in cached:
        np.testing.assert_allclose(cached[name], again[name], rtol=2e-5, atol=2e-5)


def test_broken_pictures_are_reported_and_left_out(project, tmp_path, capsys):
    root = copy(project, tmp_path)
    broken = root / "data/train/red/broken.png"
    broken.write_bytes((root / "data/train/red/0.png").read_bytes()[:300])
    first = answer(capsys, command(root, "features", *BASE))
    assert [failure["path"] for failure in first["failed"]] == ["train/red/broken.png"]
    assert "truncated" in first["failed"][0]["reason"].lower()
    second = answer(capsys, command(root, "features", *BASE))
    assert second["failed"] == first["failed"]
    assert second["engine"] is None
    value = answer(capsys, command(root, "classify", *BASE, "--heads", "knn"))
    assert len(value["results"]) == 2
    assert run(command(root, "features", *BASE, "--strict")) == 2
    assert "1 of 61 are not, first train/red/broken.png" in capsys.readouterr().err


def test_runs_hold_what_was_promised(project, capsys):
    value = answer(
        capsys, command(project, "classify", *BASE, "--heads", "logistic,knn", "--folds", "3")
    )
    assert len(value["results"]) == 4
    assert all(result["reused"] for result in value["results"])
    best = next(result for result in value["results"] if result["run"] == value["best"])
    assert best["cv_accuracy"] == max(result["cv_accuracy"] for result in value["results"])
    assert best["test"]["accuracy"] >= 0.9
    folder = project / "runs" / value["best"]
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"run.json", "metrics.json", "predictions.csv", "bundle/bundle.json"} < names
    info = json.loads((folder / "run.json").read_text())
    assert info["config"]["folds"] == 3
    assert info["recipe"]["backbone"] == "EfficientNetLite0"
    assert info["dataset"]["pictures"] == {"train": 42, "validation": 0, "test": 18}
    assert json.loads((folder / "metrics.json").read_text())["test"]["split"] == "test"
    assert len((folder / "predictions.csv").read_text().splitlines()) == 19


@pytest.mark.parametrize("head", ["logistic", "knn"])
def test_prediction_from_files_is_the_runs_own(project, capsys, head):
    results = answer(capsys, command(project, "classify", *BASE, "--heads", head, "--folds", "3"))[
        "results"
    ]
    run_name = results[0]["run"]
    value = answer(capsys, command(project, "predict", run_name, str(project / "data/test")))
    rights = [row["path"].split("/")[-2] == row["label"] for row in value["predictions"]]
    assert np.mean(rights) == pytest.approx(results[0]["test"]["accuracy"])
    assert len(rights) == 18
    assert value["failed"] == []


def test_predict_reports_what_it_cannot_read(project, tmp_path, capsys):
    (tmp_path / "no.png").write_bytes(b"not a picture")
    good = project / "data/test/red/0.png"
    value = answer(capsys, command(project, "predict", "best", str(tmp_path / "no.png"), str(good)))
    assert [row["path"] for row in value["predictions"]] == [str(good)]
    assert value["failed"][0]["path"] == str(tmp_path / "no.png")


def test_finetune_starts_where_the_head_ended(project, tmp_path, capsys):
    root = copy(project, tmp_path)
    arguments = command(
        root,
        "finetune",
        "--anyway",
        "--from",
        "data-EfficientNetLite0-block3+block4-logistic",
        "--epochs",
        "2",
        "--batch-size",
        "8",
        "--unfreeze",
        "block4",
    )
    value = answer(capsys, arguments)
    assert value["initial"]["validation_accuracy"] == value["initial"]["head_accuracy"]
    assert [epoch["epoch"] for epoch in value["epochs"]] == [0, 1, 2]
    assert value["test"]["accuracy"] >= 0.8
    again = answer(capsys, arguments)
    assert again["reused"]
    assert again["test"] == value["test"]
    labelled = answer(capsys, command(root, "predict", value["run"], str(root / "data/test")))
    rights = [row["path"].split("/")[-2] == row["label"] for row in labelled["predictions"]]
    assert np.mean(rights) == pytest.approx(value["test"]["accuracy"])
    rows = answer(capsys, command(root, "compare"))["runs"]
    assert {row["kind"] for row in rows} == {"classify", "finetune"}
    info = json.loads((root / "runs" / value["run"] / "run.json").read_text())
    assert info["learned_layers"][0].startswith("block4")
    assert not any("bn" in name for name in info["learned_layers"])


def test_compare_ranks_by_selection_and_never_by_test(project, capsys):
    rows = answer(capsys, command(project, "compare"))["runs"]
    figures = [row["selection_accuracy"] for row in rows]
    assert figures == sorted(figures, reverse=True)
    assert rows[0]["difference"] is None
    assert all("distinguishable" in row["difference"] for row in rows[1:])
    assert run(command(project, "compare")) == 0
    assert "not distinguishable" in capsys.readouterr().out


def test_imagenet_classes_of_a_real_photo(tmp_path, capsys):
    from PIL import Image
    from sklearn.datasets import load_sample_images

    for name, image in zip(("china", "flower"), load_sample_images().images, strict=True):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    value = answer(
        capsys,
        ["predict", "imagenet:EfficientNetLite0", str(tmp_path), "--cache", str(tmp_path / "c")],
    )
    china, flower = value["predictions"]
    likeliest = {name for name, _ in china["top"]}
    assert likeliest & {"palace", "monastery", "castle", "bell cote"}
    assert flower["label"] == "daisy"


def test_predicting_what_cannot_be_decoded(project, tmp_path, capsys):
    (tmp_path / "no.png").write_bytes(b"not a picture")
    for target in ("best", "imagenet:EfficientNetLite0"):
        assert run(command(project, "predict", target, str(tmp_path / "no.png"))) == 2
        said = capsys.readouterr().err
        assert 'received 1 of which none can: 1 × "not a picture in a known format' in said


def test_damage_is_mended_by_verify_and_the_next_run(project, tmp_path, capsys):
    root = copy(project, tmp_path)
    (shard,) = (root / "features").glob("*/shard-*.h5")
    with h5py.File(shard) as file:
        needle = file["features/block2b_add"][5].tobytes()
    data = bytearray(shard.read_bytes())
    data[data.index(needle)] ^= 1
    shard.write_bytes(data)
    arguments = command(root, "classify", *BASE, "--heads", "ridge")
    assert run(arguments) == 2
    assert "run `pipeline verify --cache" in capsys.readouterr().err
    assert run(["verify", "--cache", str(root / "features")]) == 1
    assert "set aside as" in capsys.readouterr().out
    assert len(answer(capsys, arguments)["results"]) == 2


def test_a_run_beside_a_cut_in_the_top_predicts(tmp_path, capsys, monkeypatch):
    """Keras has two files, with and without the top; a run remembers which it was made with."""
    import keras

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    models = tmp_path / "keras" / "models"
    models.mkdir(parents=True)
    keras.utils.set_random_seed(0)
    for top, name in ((True, "mobilenet_2_5_224_tf.h5"), (False, "mobilenet_2_5_224_tf_no_top.h5")):
        model = keras.applications.MobileNet(alpha=0.25, weights=None, include_top=top)
        model.save_weights(tmp_path / "new.weights.h5")
        (tmp_path / "new.weights.h5").rename(models / name)
    for i in range(8):
        write_picture(tmp_path / "data" / "ab"[i % 2] / f"{i}.png", i, hue=2 * (i % 2))
    base = ["--backbone", "MobileNet(alpha=0.25)", "--weights", "imagenet"]
    arguments = [*base, "--layers", "conv_preds,block1", "--heads", "ridge", "--folds", "2"]
    results = answer(capsys, command(tmp_path, "classify", *arguments))["results"]
    picture = str(tmp_path / "data/a/0.png")
    for result in results:
        value = answer(capsys, command(tmp_path, "predict", result["run"], picture))
        assert len(value["predictions"]) == 1


def test_names_that_are_no_text(tmp_path):
    for i in range(12):
        name = os.fsdecode(b"caf\xe9") if i % 2 else "tea"
        write_picture(tmp_path / "data" / name / f"{i}.png", i, hue=2 * (i % 2))
    arguments = command(tmp_path, "classify", *BASE, "--heads", "ridge", "--folds", "2")
    process = subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments], capture_output=True, check=True
    )
    assert rb"12 pictures: caf\xe9 6, tea 6;" in process.stdout  # what is no text is written out
    (path,) = tmp_path.glob("runs/*block2-ridge*/predictions.csv")
    assert b"caf\xe9" in path.read_bytes()


def test_finetuning_of_another_head_is_not_reused(tmp_path, capsys):
    for i in range(40):
        split = "test" if i % 5 == 0 else "train"
        write_picture(tmp_path / "data" / split / "ab"[i % 2] / f"{i}.png", i, hue=2 * (i % 2))
    runs = []
    for seed in ("0", "1"):
        base = ["--image-size", "32", "--layers", "block2", "--folds", "2", "--seed", seed]
        value = answer(
            capsys, command(tmp_path, "classify", *base, "--heads", "dense(hidden=8,epochs=2)")
        )
        runs.append(value["best"])
    tuned = [
        answer(
            capsys,
            command(
                tmp_path,
                "finetune",
                "--anyway",
                "--from",
                name,
                "--epochs",
                "1",
                "--unfreeze",
                "block2",
            ),
        )
        for name in runs
    ]
    assert [value["from"] for value in tuned] == runs
    assert not any(value["reused"] for value in tuned)


def test_finetuning_splits_as_its_source_did(tmp_path, capsys):
    for i in range(60):
        write_picture(tmp_path / "data" / "ab"[i % 2] / f"{i}.png", i, hue=2 * (i % 2))
    base = ["--image-size", "32", "--layers", "block2", "--folds", "2", "--seed", "5"]
    source = answer(capsys, command(tmp_path, "classify", *base, "--heads", "ridge"))["best"]
    value = answer(
        capsys, command(tmp_path, "finetune", "--anyway", "--epochs", "1", "--seed", "1")
    )
    assert value["from"] == source
    digests = {
        json.loads(path.read_text())["dataset"]["digest"]
        for path in tmp_path.glob("runs/*/run.json")
    }
    assert len(digests) == 1


def test_beware_of_copies(tmp_path, capsys):
    for i in range(20):
        split = "test" if i % 5 == 0 else "train"
        write_picture(tmp_path / "data" / split / "ab"[i % 2] / f"{i}.png", i, hue=2 * (i % 2))
    shutil.copy(tmp_path / "data/train/a/2.png", tmp_path / "data/test/a/copy.png")
    shutil.copy(tmp_path / "data/train/a/4.png", tmp_path / "data/train/b/copy.png")
    (tmp_path / "data/train/notes.txt").write_text("mine")
    assert run(command(tmp_path, "classify", *BASE, "--heads", "ridge", "--folds", "2")) == 0
    printed = capsys.readouterr().out
    assert "22 pictures: a 11, b 11; train 17, test 5; 2 are copies of others" in printed
    assert "1 files or folders are not used: train/notes.txt" in printed
    assert "beware of 1 test pictures that are byte-identical to training pictures" in printed
    assert "beware of 2 pictures that are byte-identical to one of another class" in printed


def test_few_pictures_make_fewer_folds_and_say_so_once(tmp_path, capsys):
    for i in range(12):
        split = "test" if i % 3 == 0 else "train"
        write_picture(tmp_path / "data" / split / "ab"[i % 2] / f"{i}.png", i, hue=2 * (i % 2))
    arguments = command(tmp_path, "classify", *BASE, "--heads", "ridge,logistic", "--folds", "5")
    assert run(arguments) == 0
    printed = capsys.readouterr()
    assert printed.err.count("4 folds instead of 5") == 1
    assert "best by 4-fold cross-validation" in printed.out
