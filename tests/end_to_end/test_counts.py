"""All commands count the same pictures, say what is left out, and fail where nothing is left."""

import json
import shutil

import pytest

from pipeline.cli import run
from tests.conftest import write_picture

SMALL = ["--backbone", "MobileNet(alpha=0.25)", "--weights", "none", "--image-size", "32"]
BASE = [*SMALL, "--layers", "block2"]
OVERVIEW = "47 pictures found, 2 left out; 45 used"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """47 files of two classes: two are copies, one cannot be decoded, one cannot be read."""
    root = tmp_path_factory.mktemp("counts")
    for hue, (name, n) in enumerate({"a": 20, "b": 24}.items()):
        for i in range(n):
            write_picture(root / "data" / name / f"{i:02d}.png", 100 * hue + i, hue=2 * hue)
    shutil.copy(root / "data/b/00.png", root / "data/b/copy.png")
    whole = (root / "data/a/00.png").read_bytes()
    (root / "data/a/cut.png").write_bytes(whole[: len(whole) // 2])
    (root / "data/b/gone.png").symlink_to(root / "nowhere.png")
    return root


def command(root, name, *more, data=True):
    places = ["--cache", str(root / "cache"), "--quiet"]
    runs = ["--runs", str(root / "runs")] if name in ("classify", "finetune", "report") else []
    return [name, *([str(root / "data")] if data else []), *more, *places, *runs]


def told(capsys, arguments):
    """Run a command as a person does and as a program does; return both answers."""
    capsys.readouterr()
    assert run(arguments) == 0
    text = capsys.readouterr().out
    assert run([*arguments, "--json"]) == 0
    return text, json.loads(capsys.readouterr().out)


def test_every_command_counts_the_same_pictures(root, capsys):
    text, done = told(capsys, command(root, "features", *BASE))
    counts = {"classes": {"a": 20, "b": 25}, "splits": done["splits"]}
    assert sum(counts["splits"].values()) == 45
    splits = ", ".join(f"{name} {n}" for name, n in counts["splits"].items())
    assert f"{OVERVIEW}: a 20, b 25; {splits}; 1 are copies of others" in text
    assert (done["found"], done["images"], done["reused"], done["copies"]) == (47, 45, 44, 1)
    assert [one["path"] for one in done["failed"]] == ["a/cut.png", "b/gone.png"]
    assert [cause["pictures"] for cause in done["reasons"]] == [1, 1]
    left_out = text[text.index("2 of 47 pictures are left out:") :]
    assert left_out.splitlines()[1].startswith("  a/cut.png: damaged file: ")
    assert left_out.splitlines()[2] == "  b/gone.png: No such file or directory"

    text, checked = told(capsys, command(root, "check", *BASE))
    assert f"{OVERVIEW} of 2 classes: {splits}" in text
    assert left_out.splitlines()[:3] == [line for line in text.splitlines() if line in left_out]
    per_class = {name: sum(by.values()) for name, by in checked["classes"].items()}
    assert {"classes": per_class, "splits": checked["splits"]} == counts
    assert checked["unreadable"] == done["failed"]

    text, classified = told(capsys, command(root, "classify", *BASE, "--heads", "ridge"))
    assert f"{OVERVIEW}: a 20, b 25; {splits}" in text
    assert left_out in text
    n_test = classified["results"][0]["test"]["n"]
    assert {name: classified["data"][name] for name in counts} == counts
    assert n_test == counts["splits"]["test"]
    assert f"accuracy on {n_test} test pictures" in text

    text, explained = told(capsys, command(root, "explain", *BASE))
    assert f"{OVERVIEW}, 1 of them copies: 44 cached, 0 missing, 1 cannot be decoded" in text
    assert left_out in text
    assert (explained["images"], explained["found"]) == (45, 47)

    arguments = command(root, "export-features", *BASE, "--out", str(root / "x.npz"), "--overwrite")
    text, exported = told(capsys, arguments)
    assert "45 rows of" in text
    assert left_out in text
    assert (exported["rows"], exported["left_out"]) == (45, done["failed"])

    flags = ["--epochs", "1", "--unfreeze", "block2", "--batch-size", "16"]
    text, tuned = told(capsys, command(root, "finetune", "--anyway", *flags))
    assert f"{OVERVIEW}: a 20, b 25; {splits}" in text
    assert left_out in text
    assert {name: tuned["data"][name] for name in counts} == counts
    assert tuned["test"]["n"] == n_test

    arguments = command(root, "report", "--out", str(root / "r.html"), "--overwrite", data=False)
    text, reported = told(capsys, arguments)
    assert (reported["pictures"], reported["failed"]) == (45, [])
    page = (root / "r.html").read_text("utf-8")
    assert f"{OVERVIEW}: {splits}" in page
    assert "All 45 pictures are in this file" in page


def broken(root, n=4):
    for name in ("a", "b"):
        for i in range(n):
            path = root / "data" / name / f"{i}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(f"no picture {name}{i}".encode())
    return root


def refused(capsys, arguments):
    capsys.readouterr()
    assert run(arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    return output.err


@pytest.mark.parametrize("name", ["features", "classify", "check"])
def test_nothing_that_can_be_decoded_is_an_error_each_time(tmp_path, capsys, name):
    arguments = command(broken(tmp_path), name, *BASE)
    again = command(tmp_path, "explain", *BASE), command(tmp_path, "export-features", *BASE)
    for line in (arguments, arguments, again[0], [*again[1], "--out", str(tmp_path / "x.h5")]):
        said = refused(capsys, line)
        assert 'received 8 of which none can: 8 × "not a picture in a known format' in said
        assert "(e.g. a/0.jpg)" in said
    assert not (tmp_path / "x.h5").exists()
    assert not (tmp_path / "runs").exists()


def test_a_class_that_cannot_be_decoded_and_then_only_its_test(tmp_path, capsys):
    broken(tmp_path)
    for i in range(30):
        write_picture(tmp_path / "data" / "cd"[i % 2] / f"{i}.png", i)
    said = refused(capsys, command(tmp_path, "features", *BASE))
    assert "of every class in" in said
    assert "received 8 pictures of 'a', 'b' of which none can: 8 × " in said
    (tmp_path / "data").rename(tmp_path / "all")
    for part in ("train/c", "train/d", "test/c", "test/d"):
        shutil.copytree(tmp_path / "all" / part[-1], tmp_path / "data" / part)
    for path in (tmp_path / "data/test/d").iterdir():
        path.write_bytes(b"GIF89a" + path.name.encode())
    text, value = told(capsys, command(tmp_path, "features", *BASE))
    assert "15 of 60 pictures are left out:" in text
    assert "`pipeline check DATA` lists them" in text
    assert value["images"] == 45
    said = refused(capsys, command(tmp_path, "classify", *BASE, "--heads", "ridge"))
    assert "in test of" in said
    assert "received none of 'd': 15 pictures were left out, 15 × " in said
    assert "(e.g. test/d/1.png)" in said


def test_predicting_nothing_is_an_error_and_leaves_no_table(root, tmp_path, capsys):
    (tmp_path / "x.jpg").write_bytes(b"no picture")
    (tmp_path / "y.heic").write_bytes(b"\0\0\0\x18ftypheic")
    classify = command(root, "classify", *BASE, "--heads", "ridge", "--json")
    assert run(classify) == 0
    name = json.loads(capsys.readouterr().out)["best"]
    flags = ["--runs", str(root / "runs"), "--cache", str(root / "cache")]
    pictures = [str(tmp_path / "x.jpg"), str(tmp_path / "y.heic")]
    out = tmp_path / "out.csv"
    said = refused(capsys, ["predict", name, *pictures, *flags, "--csv", str(out)])
    assert f"'{pictures[0]}', '{pictures[1]}', received 2 of which none can: 1 × " in said
    assert not out.exists()
    good = str(root / "data/a/00.png")
    text, value = told(capsys, ["predict", name, good, *pictures, *flags])
    assert "2 of 3 pictures are left out:" in text
    assert f"  {pictures[0]}: not a picture in a known format" in text
    assert (value["labelled"], len(value["failed"])) == (1, 2)


def test_small_classes_are_left_out_by_every_command(tmp_path, capsys):
    for i in range(24):
        write_picture(tmp_path / "data" / "ab"[i % 2] / f"{i}.png", i, hue=2 * (i % 2))
    for i in range(4):
        write_picture(tmp_path / "data" / f"small{i}" / "1.png", 100 + i)
    said = refused(capsys, command(tmp_path, "features", *BASE))
    assert "received one of 'small0', 'small1', 'small2' and 1 more" in said
    least = ["--min-per-class", "3"]
    arguments = command(tmp_path, "classify", *BASE, *least, "--heads", "ridge", "--folds", "2")
    arguments.remove("--quiet")
    assert run(arguments) == 0
    said = capsys.readouterr()
    sentence = "4 classes with fewer than 3 different pictures are left out (--min-per-class 3)"
    assert f"{sentence}: 'small0', 'small1', 'small2' and 1 more" in said.err
    assert "24 pictures: a 12, b 12" in said.out
    value = told(capsys, [*arguments, "--quiet"])[1]
    assert value["data"]["reading"]["dropped_classes"] == {f"small{i}": 1 for i in range(4)}
    (made,) = (tmp_path / "runs").glob("*/run.json")
    assert json.loads(made.read_text())["dataset"]["indexing"]["min_per_class"] == 3
    report = command(tmp_path, "report", "--out", str(tmp_path / "r.html"), data=False)
    assert run([*report, "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["pictures"] == 24
    assert not [one for one in value["missing"] if one["section"] == "pictures"]
