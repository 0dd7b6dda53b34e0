"""`report` and `compare` only look: cache and runs stay as they are, byte for byte."""

import json
import shutil
import subprocess
import sys

import pytest

from pipeline.cli import run
from tests.conftest import write_picture
from tests.stored import reseal

BASE = ["--image-size", "32", "--layers", "block2", "--folds", "2"]
REPORT = ["report", "--out", "OUT", "--overwrite"]
LOOKING = (["compare"], REPORT, [*REPORT, "best"])
looking = pytest.mark.parametrize("words", LOOKING, ids=" ".join)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two runs, one of which joins layers that are cached for the other."""
    return classified(tmp_path_factory.mktemp("looking"), "lda,ridge")


def classified(root, heads):
    """Make pictures and runs, and return where."""
    for i in range(24):
        split = "test" if i % 3 == 0 else "train"
        write_picture(root / "data" / split / "ab"[i % 2] / f"{i}.png", i, hue=2 * (i % 2))
    line = ["classify", str(root / "data"), *BASE, *places(root), "--heads", heads, "--quiet"]
    assert run(line) == 0
    return root


@pytest.fixture
def root(made, tmp_path):
    """A copy that may be spoiled; its pictures are where they were."""
    for name in ("features", "runs"):
        shutil.copytree(made / name, tmp_path / name)
    return tmp_path


def places(root):
    return ["--cache", str(root / "features"), "--runs", str(root / "runs")]


def command(words, root):
    line = [str(root / "out.html") if word == "OUT" else word for word in words]
    return [*line, *(places(root) if words[0] == "report" else places(root)[2:]), "--json"]


def snapshot(*folders):
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for folder in folders
        for path in (folder, *folder.rglob("*"))
    }


@looking
def test_looking_changes_nothing(root, capsys, monkeypatch, words):
    # Every file counts as settled, and however few: whoever remembered files would do it now.
    monkeypatch.setattr("pipeline.images.identity.LOCAL_SETTLE_NS", -(10**18))
    monkeypatch.setattr("pipeline.images.digests._FEW_FILES", 1)
    before = snapshot(root / "features", root / "runs")
    assert run(command(words, root)) == 0
    assert json.loads(capsys.readouterr().out)
    assert snapshot(root / "features", root / "runs") == before


@looking
def test_looking_leaves_what_is_damaged_where_it_is(root, capsys, words):
    (shard,) = (root / "features").rglob("shard-*.h5")
    data = bytearray(shard.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    shard.write_bytes(data)
    before = snapshot(root / "features", root / "runs")
    assert run(command(words, root)) == 0
    assert snapshot(root / "features", root / "runs") == before
    value = json.loads(capsys.readouterr().out)
    if words[0] == "report":
        said = {one["section"]: one["reason"] for one in value["missing"]}
        assert "received a damaged file" in said["map"]
        assert "received a damaged file" in said["labels, copies and leaks"]


@looking
def test_looking_makes_no_cache(root, capsys, words):
    shutil.rmtree(root / "features")
    assert run(command(words, root)) == 0
    assert not (root / "features").exists()


@looking
def test_looking_wants_no_weights_and_no_tensorflow(root, tmp_path, words):
    """A run whose weights are gone is shown all the same: its recipe says what is cached."""
    for path in root.glob("runs/*/run.json"):
        info = json.loads(path.read_text())
        info["base"]["weights"] = str(tmp_path / "gone.weights.h5")
        path.write_text(json.dumps(info))
        reseal(path.parent)
    script = (
        "import sys\nfrom pipeline.cli import run\n"
        f"assert run({command(words, root)!r}) == 0\n"
        "assert not {'tensorflow', 'keras', 'openvino', 'matplotlib'} & set(sys.modules)"
    )
    process = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    value = json.loads(process.stdout)
    if words[0] == "report":
        assert "map" not in {one["section"] for one in value["missing"]}
        assert "labels, copies and leaks" not in {one["section"] for one in value["missing"]}


def test_a_folder_of_runs_that_is_not_there_is_one_sentence(tmp_path, capsys):
    assert run(["compare", "--runs", str(tmp_path / "typo")]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "expected a folder of runs, received runs=" in said.err
    assert "typo, which is not there" in said.err


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_folder_without_runs_says_so(tmp_path, capsys, more):
    assert run(["compare", "--runs", str(tmp_path), *more]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "received none: run `pipeline classify DATA` first" in said.err
