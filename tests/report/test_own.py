"""A report goes where the user's own commands went, or where --pictures says, and nowhere else."""

import csv
import hashlib
import json
import shutil
from pathlib import Path

import pytest

from pipeline.cli import run
from pipeline.config import ReportConfig
from pipeline.errors import InputError
from pipeline.images import own
from pipeline.report import write_report
from tests.conftest import write_picture
from tests.report.test_looking import classified, places
from tests.stored import reseal


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return classified(tmp_path_factory.mktemp("own"), "ridge")


@pytest.fixture
def handed(made, tmp_path, monkeypatch):
    """Runs and features of somebody else, and the pictures, on a machine that knows none of it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("features", "runs", "data"):
        shutil.copytree(made / name, tmp_path / name)
    return tmp_path


def written(root, **more):
    config = ReportConfig(
        cache=root / "features", runs=root / "runs", overwrite=True, map="pca", **more
    )
    result = write_report(config, (), root / "r.html")
    reasons = {one.section: one.reason for one in result.missing}
    return result, reasons.get("pictures", "")


def change(root, function):
    for path in root.glob("runs/*/run.json"):
        info = json.loads(path.read_text())
        function(info)
        path.write_text(json.dumps(info))
        reseal(path.parent)


@pytest.fixture
def opened(monkeypatch):
    """The places that were listed."""
    found = []
    index = __import__("pipeline.report.sources", fromlist=["index"]).index

    def listed(place, *arguments, **options):
        found.append(place)
        return index(place, *arguments, **options)

    monkeypatch.setattr("pipeline.report.sources.index", listed)
    return found


def test_own_runs_are_shown_with_their_pictures(made, opened):
    result, reason = written(made)
    assert (result.n_pictures, result.unreadable, reason) == (24, (), "")
    assert opened == [str(made / "data")]


@pytest.mark.parametrize(
    "root",
    [None, "/usr", "http://127.0.0.1:1/x", "dask://h/x", "file:///usr", "/dev/zero", "~no/x"],
)
def test_a_run_alone_leads_nowhere(handed, opened, root):
    if root is not None:
        change(handed, lambda info: info["dataset"].update(root=root))
    result, reason = written(handed)
    assert opened == []
    why = "which none of your commands has read here: say"
    if root and "//" in root and not root.startswith("file"):
        why = "and a report reads from no other machine: fetch them, and say"
    assert f"{why} where they are with --pictures DIR" in reason
    assert (result.n_pictures, len(result.unreadable)) == (8, 8)


def test_pictures_says_where_they_are(handed, opened):
    where = str(handed / "data")
    result, reason = written(handed, pictures=where)
    assert (result.n_pictures, result.unreadable, reason) == (24, (), "")
    assert opened == [where]
    assert f"--pictures {where}" in (handed / "r.html").read_text("utf-8")
    assert not (handed / "state").exists()


@pytest.mark.parametrize(
    ("pictures", "words"),
    [
        ("gone", "expected a folder of pictures, but gone does not exist"),
        ("6", "how many pictures are shown says --most-pictures 6"),
        ("https://host/x", "expected a local folder, archive or table, received pictures=https:"),
    ],
)
def test_pictures_elsewhere_are_refused(handed, pictures, words):
    with pytest.raises(InputError, match=words):
        written(handed, pictures=pictures)


def exchange_row(root, path, content):
    """Let the last row be of another picture: there have to be as many as before."""
    digest = hashlib.sha256(content).hexdigest()
    for table in root.glob("runs/*/predictions.csv"):
        *lines, _ = table.read_text("utf-8").splitlines(keepends=True)
        with table.open("w", newline="", encoding="utf-8") as file:
            file.writelines(lines)
            csv.writer(file).writerow([path, digest, "test", "a", "b", "0.1", "0.9"])


@pytest.mark.parametrize(
    "path", ["../secret.png", "SECRET", "/dev/zero", "test/a/link.png", "a\0b", "test/a/gone.png"]
)
@pytest.mark.parametrize("mine", [False, True])
def test_rows_lead_nowhere_else(handed, path, mine):
    write_picture(handed / "secret.png", 99)
    data = handed / "data"
    (data / "test" / "a" / "link.png").symlink_to(handed / "secret.png")
    path = path.replace("SECRET", str(handed / "secret.png"))
    exchange_row(handed, path, (handed / "secret.png").read_bytes())
    change(handed, lambda info: info["dataset"].update(root=str(data), digest="0" * 64))
    if mine:
        own.note_own(str(data))
    result, _ = written(handed, **({} if mine else {"pictures": str(data)}))
    reasons = dict(result.unreadable)
    assert list(reasons) == [path]
    why = ("No such file or directory", "leads out of the folder")
    assert reasons[path].removeprefix("cannot be read: ") in why


def test_settings_of_a_run_lead_nowhere_else(handed, opened, monkeypatch):
    monkeypatch.setattr("pipeline.report.sources.load_run", lambda path: pytest.fail(str(path)))
    tuned = {"kind": "finetune", "from": "../elsewhere", "config": {"mode": "full"}}
    change(handed, lambda info: info["dataset"]["indexing"].update(root="dask://h"))
    change(handed, lambda info: info.update(tuned))
    result, _ = written(handed, pictures=str(handed / "data"))
    assert result.n_pictures == 24


def test_commands_name_no_machine_and_no_flag_of_others(handed):
    change(
        handed,
        lambda info: (
            info["config"].update(cluster="tcp://h:1", remote_cache="s3://b/x", class_weight="--x"),
            info["dataset"].update(root="--config=x"),
        ),
    )
    result, _ = written(handed)
    commands = " ".join(one.command for one in result.missing)
    assert "classify ./--config=x " in commands
    assert "--class-weight=--x" in commands
    assert "tcp://" not in commands + (handed / "r.html").read_text("utf-8")
    assert "s3://" not in commands


def test_texts_of_others_do_nothing(handed, capsys):
    evil = "\x1b]0;x\x07\x9b2J\u202e\u200b<b>\n"
    change(
        handed,
        lambda info: (
            info.update(created=evil, python=evil, layers=[evil], params={evil: evil}),
            info["dataset"].update(root=evil, name=evil),
        ),
    )
    line = ["report", "--out", str(handed / "e.html"), "--map", "pca", *places(handed)]
    assert run(line) == 0
    assert run(["compare", *places(handed)[2:]]) == 0
    assert run(["compare", *places(handed)[2:], "--json"]) == 0
    said = capsys.readouterr()
    page = Path(handed / "e.html").read_text("utf-8")
    for text in (said.out, said.err, page):
        assert not set(text) & set("\x1b\x07\x9b\u202e\u200b")
    assert "<b>" not in page


def test_links_out_of_an_own_place_are_not_followed_for_a_run_that_knows_none(handed):
    """One that was learnt from through links is shown with them, as its commands followed them."""
    data = handed / "data"
    change(handed, lambda info: info["dataset"].update(root=str(data)))
    own.note_own(str(data))
    write_picture(handed / "else" / "secret.png", 99)
    (data / "train" / "a" / "link").symlink_to(handed / "else")
    result, reason = written(handed)
    assert (result.n_pictures, result.unreadable, reason) == (24, (), "")
    (data / "train" / "a" / "link").unlink()
    (data / "train" / "a").rename(handed / "else" / "a")
    (data / "train" / "a").symlink_to(handed / "else" / "a")
    result, reason = written(handed)
    assert (result.n_pictures, result.unreadable, reason) == (24, (), "")
