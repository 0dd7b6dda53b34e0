"""`similar` and `suggest` as a user has them, on a base without training."""

import csv
import json
import os
import shutil

import pytest
from PIL import Image

from pipeline.cli import run
from pipeline.config import DataConfig
from pipeline.images import index
from pipeline.pool.questions import suggested
from tests.conftest import write_picture

BASE = ["--backbone", "MobileNet(alpha=0.25)", "--weights", "none", "--image-size", "32"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A pool of three hues, a copy in it, and a run that learnt two of them."""
    root = tmp_path_factory.mktemp("pools")
    for i in range(8):
        for hue in range(3):
            write_picture(root / "pool" / f"{'rgb'[hue]}{i}.png", 100 * hue + i, hue=hue)
        for hue, name in enumerate(("red", "green")):
            split = "test" if i > 5 else "train"
            write_picture(root / "data" / split / name / f"{i}.png", 5000 + 100 * hue + i, hue=hue)
    shutil.copy(root / "pool" / "r0.png", root / "pool" / "r0copy.png")
    flags = [*BASE, "--heads", "logistic", "--folds", "2", "--quiet"]
    assert run(["classify", str(root / "data"), *flags, *places(root)]) == 0
    return root


def places(root, runs=True):
    return ["--cache", str(root / "features"), *(["--runs", str(root / "runs")] if runs else [])]


def told(capsys, *arguments):
    capsys.readouterr()
    assert run([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys, *arguments):
    capsys.readouterr()
    assert run([*map(str, arguments), "--quiet"]) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".html", ".png"])
def test_similar(project, tmp_path, capsys, suffix):
    out = tmp_path / f"sheet{suffix}"
    given = ("similar", project / "pool", project / "pool" / "r0.png", "--n", "3", "--out", out)
    value = told(capsys, *given, *BASE, *places(project, runs=False))
    (query,) = value["queries"]
    assert query["copies"] == 2
    listed = [path for one in query["neighbours"] for path in (one["path"], *one["folded"])]
    assert not {"r0.png", "r0copy.png"} & set(listed)
    assert len(query["neighbours"]) == 3
    values = [one["similarity"] for one in query["neighbours"]]
    assert values == sorted(values, reverse=True)
    if suffix == ".png":
        with Image.open(out) as image:
            assert image.size[0] > 4 * 160
    else:
        assert out.read_text().count("data:image/webp;base64,") == 4
    assert "expected a new file" in refused(capsys, *given, *BASE, *places(project, runs=False))


def test_what_is_not_similar_to_anything_is_refused(project, tmp_path, capsys):
    (tmp_path / "bad.png").write_bytes(b"nothing")
    given = ("similar", project / "pool", tmp_path / "bad.png", *BASE, *places(project, False))
    assert "cannot" in refused(capsys, *given) or "none can" in refused(capsys, *given)
    assert "ends in .html or .png" in refused(capsys, *given, "--out", tmp_path / "x.jpg")


def filled(path, to, label):
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with to.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "label": label(row)} for row in rows)


def test_suggest_label_and_learn(project, tmp_path, capsys):
    out = tmp_path / "more.csv"
    given = ("suggest", "best", project / "pool", "--n", "6", "--out", out, *places(project))
    value = told(capsys, *given)
    assert len(value["suggestions"]) == 6
    assert value["candidates"] == 24
    assert {one["prediction"] for one in value["suggestions"]} <= {"red", "green"}
    assert all(one["reason"] and 0 < one["probability"] <= 1 for one in value["suggestions"])
    names = {"r": "red", "g": "green", "b": "drop"}
    filled(out, tmp_path / "labels.csv", lambda row: names[row["path"].rpartition("/")[2][0]])
    flags = [*BASE, "--heads", "logistic", "--folds", "2", *places(project)]
    with open(tmp_path / "labels.csv") as file:
        new = sum(row["label"] != "drop" for row in csv.DictReader(file))
    learnt = told(capsys, "classify", project / "data", "--labels", tmp_path / "labels.csv", *flags)
    assert learnt["corrections"]["applied"] == new
    assert learnt["data"]["splits"]["train"] == 12 + new
    assert learnt["after"]["n"] == learnt["before"]["n"] == 12


def test_suggest_without_a_run(project, tmp_path, capsys):
    given = ("suggest", project / "pool", "--n", "5", *BASE, *places(project))
    value = told(capsys, *given, "--out", tmp_path / "first.csv")
    assert len({one["path"].rpartition("/")[2][0] for one in value["suggestions"]}) == 3
    assert value["suggestions"][0]["prediction"] is None
    assert run([*map(str, given), "--out", str(tmp_path / "f.csv"), "--quiet"]) == 0
    assert f"then pipeline classify {tmp_path}/f.csv" in capsys.readouterr().out
    said = refused(capsys, *given, "--out", tmp_path / "x.csv", "--strategy", "margin")
    assert "a strategy that needs no run" in said
    assert not (tmp_path / "x.csv").exists()


def test_what_a_table_labels_is_not_suggested_again(project, tmp_path, capsys):
    given = ("suggest", "best", project / "pool", "--n", "6", *places(project))
    first = told(capsys, *given, "--out", tmp_path / "1.csv")
    filled(tmp_path / "1.csv", tmp_path / "labels.csv", lambda row: "red")
    labels = ("--labels", tmp_path / "labels.csv")
    again = told(capsys, *given, *labels, "--out", tmp_path / "2.csv")
    asked = [{one["digest"] for one in value["suggestions"]} for value in (first, again)]
    assert not asked[0] & asked[1]
    assert again["labelled"] == first["labelled"] + 6
    assert again["candidates"] == first["candidates"] - 6
    alone = ("suggest", project / "pool", "--n", "24", *BASE, *places(project))
    value = told(capsys, *alone, *labels, "--out", tmp_path / "3.csv")
    assert len(value["suggestions"]) == 18
    filled(tmp_path / "1.csv", tmp_path / "none.csv", lambda row: "")
    said = refused(capsys, *given, "--labels", tmp_path / "none.csv", "--out", tmp_path / "4.csv")
    assert "which has none of them: leave --labels out" in said
    said = refused(capsys, *given, "--labels", tmp_path / "no.csv", "--out", tmp_path / "4.csv")
    assert "No such file" in said


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (("--min-per-class", "99"), "taken without labels, received min_per_class=99"),
        (("--test-fraction", "0.9"), "taken without labels, received test_fraction=0.9"),
        (("--view-policy", "nonsense"), "compared as they are, received view_policy=nonsense"),
        (("--views", "2"), "compared as they are, received views=2"),
    ],
)
def test_settings_that_mean_nothing_on_a_pool_are_refused(
    project, tmp_path, capsys, said, sentence
):
    pool, places_ = project / "pool", places(project)
    suggest = ("suggest", "best", pool, "--out", tmp_path / "x.csv", *places_)
    assert sentence in refused(capsys, *suggest, *said)
    alike = ("similar", pool, pool / "r0.png", *BASE, *places(project, False))
    assert sentence in refused(capsys, *alike, *said)


def test_bad_pools_are_refused(project, tmp_path, capsys):
    out = ("--out", tmp_path / "x.csv", *places(project))
    said = refused(capsys, "suggest", "best", project / "data" / "train", *out)
    assert "received 12 that all have one, or that the run was trained" in said
    said = refused(capsys, "suggest", "best", project / "pool", *out, "--backbone", "VGG16")
    assert "expected no backbone beside a run, which has a base of its own" in said
    said = refused(capsys, "suggest", "a", "b", "c", *out)
    assert "a run and a pool, or a pool alone, received 3 names" in said
    assert not (tmp_path / "x.csv").exists()


def test_suggestions_of_names_that_are_no_text_are_learnt_from(project, tmp_path, capsys):
    odd, out = os.fsdecode(b"caf\xe9.png"), tmp_path / "first.csv"
    (tmp_path / "pool").mkdir()
    for name, at in (("r0.png", odd), ("g0.png", "plain.png")):
        shutil.copy(project / "pool" / name, tmp_path / "pool" / at)
    told(capsys, "suggest", tmp_path / "pool", "--out", out, *BASE, *places(project, runs=False))
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["path"] for row in rows} == {
        str(tmp_path / "pool" / name) for name in (r"caf\xe9.png", "plain.png")
    }
    with out.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows({**row, "label": "red", "digest": ""} for row in rows)
    done = index(project / "data", DataConfig(corrections=str(out))).corrections
    assert set(done.added) == {str(tmp_path / "pool" / name) for name in (odd, "plain.png")}
    questions, lost = suggested(str(out), None, None)
    assert (len(questions), lost) == (2, [])
    assert questions[0].read()


@pytest.mark.parametrize("command", ["features", "similar", "suggest"])
def test_what_is_broken_in_a_pool_is_said_once(project, tmp_path, capsys, command):
    """Copies count as pictures that were found; the given picture is told of by itself."""
    pool, cut = tmp_path / "pool", (project / "pool" / "r0.png").read_bytes()[:90]
    pool.mkdir()
    for name in ("r0.png", "r0copy.png", "g0.png"):
        shutil.copy(project / "pool" / name, pool / name)
    for i in range(3):
        (pool / f"bad{i}.png").write_bytes(b"nothing %d" % i)
    (pool / "cut.png").write_bytes(cut)
    (pool / "gone.png").symlink_to(pool / "nowhere.png")
    more = {
        "similar": [pool / "r0.png", pool / "cut.png"],
        "suggest": ["--out", tmp_path / "x.csv"],
    }
    given = [command, pool, *more.get(command, []), *BASE, *places(project, runs=False)]
    assert run([*map(str, given), "--quiet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("5 of 8 pictures of the pool are left out:")
    assert lines[at + 1].startswith('  3 × "not a picture in a known format')
    assert lines[at + 2].startswith("  cut.png: damaged file")
    assert lines[at + 3 : at + 5] == ["  gone.png: No such file or directory", "--json lists them"]
    said = [line for line in lines if "left out" in line]
    own = ["1 of 2 pictures is left out:"] if command == "similar" else []
    if command != "features":  # which counts them above as well
        assert said == [lines[at], *own]
    more["suggest"].append("--overwrite")
    given = [command, pool, *more.get(command, []), *BASE, *places(project, runs=False)]
    value = told(capsys, *given)
    assert value["found"] == 8
    assert len(value["left_out" if command == "similar" else "failed"]) == 5
