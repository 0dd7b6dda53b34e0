"""Where the final test comes from, through every command: a share that was asked for, or val/."""

import json
import shutil

import pytest

import pipeline
from pipeline.cli import run
from pipeline.errors import InputError
from tests.conftest import write_picture

BASE = ["--backbone", "MobileNet(alpha=0.25)", "--weights", "none", "--image-size", "32"]
CHEAP = [*BASE, "--layers", "block4", "--heads", "ridge"]


def write(root, split, count):
    for hue, name in enumerate(("blue", "red")):
        for i in range(count):
            seed = 1000 * hue + 100 * len(split) + i
            write_picture(root / split / name / f"{i}.png", seed, hue=2 - 2 * hue)
    return root


@pytest.fixture
def told(tmp_path, capsys, monkeypatch):
    """Return what a command, run where cache and runs are, prints as JSON."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments, code=0):
        assert run([*map(str, arguments), "--json"]) == code
        return json.loads(capsys.readouterr().out)

    return call


def test_a_share_is_part_of_what_was_tried(told, tmp_path):
    data = write(tmp_path / "data", "", 30)
    first = told("classify", data, *CHEAP)
    assert told("classify", data, *CHEAP, "--test-fraction", 0.2)["results"][0]["reused"]
    other = told("classify", data, *CHEAP, "--test-fraction", 0.5)
    assert [value["data"]["splits"] for value in (first, other)] == [
        {"train": 45, "test": 15},
        {"train": 29, "test": 31},
    ]
    assert other["best"] != first["best"]
    assert not other["data"]["computed"]
    assert other["data"]["reused"] == 60
    for value, share in ((first, 0.2), (other, 0.5)):
        path = tmp_path / "runs" / value["best"] / "run.json"
        assert json.loads(path.read_text())["config"]["test_fraction"] == share


def test_what_comes_after_takes_the_share_of_the_run(told, tmp_path):
    data = write(tmp_path / "data", "", 20)
    source = told("classify", data, *CHEAP, "--test-fraction", 0.4)["best"]
    n_test = json.loads((tmp_path / "runs" / source / "run.json").read_text())["dataset"]
    tuned = told("finetune", data, "--anyway", "--from", source, "--epochs", 1, "--mode", "frozen")
    assert tuned["from"] == source
    found = [json.loads(path.read_text()) for path in (tmp_path / "runs").glob("*/run.json")]
    assert [value["dataset"] for value in found] == [n_test, n_test]
    told("report", "--out", "r.html")
    assert "have changed since the run" not in (tmp_path / "r.html").read_text("utf-8")
    assert "--test-fraction 0.4" in (tmp_path / "r.html").read_text("utf-8")


@pytest.mark.parametrize("share", [0, 1, 1.5])
def test_shares_that_leave_nothing(tmp_path, capsys, share):
    assert run(["check", str(tmp_path), "--test-fraction", str(share)]) == 2
    assert "expected test_fraction between 0 and 1, received" in capsys.readouterr().err


def test_train_and_val_alone_do_in_every_command(told, tmp_path):
    """The validation pictures are the final test, and are called what the source calls them."""
    data = write(write(tmp_path / "data", "train", 10), "val", 5)
    splits = {"train": 20, "validation": 10}
    assert told("features", data, *BASE, "--layers", "block4")["splits"] == splits
    (best,) = told("classify", data, *CHEAP)["results"]
    assert (best["test"]["split"], best["test"]["n"]) == ("validation", 10)
    tuned = told(
        "finetune", data, "--anyway", "--from", best["run"], "--epochs", 1, "--mode", "tail"
    )
    assert (tuned["test"]["split"], tuned["test"]["n"]) == ("validation", 10)
    checked = told("check", data, *BASE, "--layers", "block4")
    assert checked["splits"] == splits
    assert told("explain", data, *BASE, "--layers", "block4")["cached"] == 30
    told("export-features", data, *BASE, "--layers", "block4", "--out", "f.npz")
    predicted = told("predict", best["run"], data / "val")["predictions"]
    assert len(predicted) == 10
    assert len(told("compare")["runs"]) == 2
    told("report", "--out", "r.html")
    opened = pipeline.open_features(
        data, backbone=BASE[1], weights="none", image_size=32, layers="block4"
    )
    assert len(opened.split("test")) == 10
    with pytest.raises(InputError, match="test is what the source calls validation"):
        opened.split("validation")
    shutil.rmtree(data / "val")
    assert told("explain", data, *BASE, "--layers", "block4")["cached"] == 20
