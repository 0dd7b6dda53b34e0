"""What goes wrong around stage 1: vanishing files, copies, strictness, settings, other recipes."""

import json
import shutil

import pytest

from pipeline.cli import run
from tests.conftest import write_picture

BASE = ["--backbone", "MobileNet(alpha=0.25)", "--weights", "none", "--image-size", "32"]


@pytest.fixture
def root(tmp_path):
    """Two classes, of which one picture is there twice."""
    for hue, name in enumerate(("red", "green")):
        for i in range(6):
            write_picture(tmp_path / "data" / name / f"{i}.png", 100 * hue + i, hue=hue)
    shutil.copy(tmp_path / "data/red/0.png", tmp_path / "data/red/a-copy.png")
    return tmp_path


def command(root, name, *flags):
    return [name, str(root / "data"), "--cache", str(root / "features"), *BASE, *flags]


def answer(capsys, arguments):
    capsys.readouterr()
    assert run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def fail_to_read(monkeypatch, *names):
    """Let files that were indexed be gone when they are decoded."""
    from pipeline.features.passes import PictureRows

    read = PictureRows.read

    def gone(self, row):
        if any(self.paths[row].endswith(name) for name in names):
            raise FileNotFoundError(2, "No such file or directory")
        return read(self, row)

    monkeypatch.setattr(PictureRows, "read", gone)


def test_copy_serves_for_a_file_that_is_gone(root, capsys, monkeypatch):
    fail_to_read(monkeypatch, "red/0.png")
    value = answer(capsys, command(root, "features"))
    assert (value["computed"], value["copies"], value["failed"]) == (12, 1, [])


def test_file_that_is_gone_is_reported_and_keeps_classify_from_guessing(root, capsys, monkeypatch):
    with monkeypatch.context() as patched:
        fail_to_read(patched, "red/3.png")
        value = answer(capsys, command(root, "features"))
        assert [failure["path"] for failure in value["failed"]] == ["red/3.png"]
        assert run(command(root, "classify", "--heads", "ridge", "--folds", "2")) == 2
        said = capsys.readouterr().err
        assert "received none of 1, first red/3.png: it could not be read" in said
    assert answer(capsys, command(root, "features"))["computed"] == 1


def test_picture_that_a_wider_recipe_could_decode_has_views(root, capsys):
    answer(capsys, command(root, "features", "--layers", "block1,top"))
    (wide,) = (root / "features").glob("MobileNet*")
    digests = []
    import h5py

    for shard in wide.glob("shard-*.h5"):
        with h5py.File(shard) as file:
            digests += [row.tobytes().hex() for row in file["digest"][:]]
    reasons = dict.fromkeys(digests, "damaged file: once")
    (wide / f"quarantine-{'0' * 32}.json").write_text(json.dumps(reasons))
    value = answer(capsys, command(root, "features", "--views", "1"))
    assert value["views"] == value["computed_views"] > 0
    assert value["failed"] == []


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--engine", "opnvino"], "unknown engine 'opnvino'; nearest: openvino"),
        (["--precision", "bf16"], "received precision='bf16'"),
        (["--view-policy", "nonsense"], "unknown change of a view 'nonsense'"),
        (["--views", "-1"], "expected views from 0 to 1000"),
        (["--dtype", "float8"], "expected dtype float32 or float16, received dtype=float8"),
        (["--jpeg", "quick"], "unknown way to decode JPEG 'quick'"),
    ],
)
@pytest.mark.parametrize("name", ["features", "classify"])
def test_wrong_settings_show_before_any_picture_is_read(
    root, capsys, monkeypatch, name, flags, words
):
    from pipeline.images import files

    monkeypatch.setattr(files.LocalFiles, "digest", None)
    assert run(command(root, name, *flags)) == 2
    assert words in capsys.readouterr().err
    assert not (root / "features").exists()


def test_strict_export_refuses_what_was_left_out(root, capsys):
    (root / "data/red/bad.png").write_bytes(b"no picture")
    answer(capsys, command(root, "features"))
    out = root / "x.npz"
    assert run(command(root, "export-features", "--out", str(out), "--strict")) == 2
    assert "1 of 14 are not, first red/bad.png" in capsys.readouterr().err
    assert not out.exists()
    value = answer(capsys, command(root, "export-features", "--out", str(out)))
    assert (value["rows"], len(value["left_out"])) == (13, 1)


def test_export_is_of_pictures_as_they_are(root, capsys):
    answer(capsys, command(root, "features"))
    arguments = command(root, "export-features", "--out", str(root / "x.h5"), "--views", "2")
    assert run(arguments) == 2
    assert "received views=2; leave --views out" in capsys.readouterr().err


def test_recipe_of_a_newer_version_beside_ours_is_left_alone(root, capsys):
    answer(capsys, command(root, "features"))
    other = root / "features" / "Other"
    other.mkdir()
    newer = {"format": "bottleneck-features", "format_version": 99}
    (other / "recipe.json").write_text(json.dumps(newer))
    assert answer(capsys, command(root, "features"))["computed"] == 0
    value = answer(capsys, command(root, "explain", "--layers", "block2"))
    assert [problem["path"] for problem in value["unreadable"]] == [str(other)]


def test_quiet_says_nothing_but_the_result(root, capsys):
    assert run([*command(root, "features"), "--quiet"]) == 0
    assert capsys.readouterr().err == ""
