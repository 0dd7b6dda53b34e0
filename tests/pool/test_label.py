"""The page on which pictures are labelled: what it asks about, and what it refuses."""

import csv
import hashlib
import json
import re
import shutil

from pipeline.images import index
from tests.conftest import write_picture
from tests.pool.conftest import FORMULA, ODD
from tests.pool.test_pools import BASE, places, refused, told


def page_of(capsys, doubtful, out, *arguments):
    """Write a page; return what the command says, and what the script is given."""
    value = told(capsys, "label", *arguments, "--out", out, *places(doubtful))
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', out.read_text())
    return value, json.loads(found[1])


def test_everything_doubtful_is_asked_about_once(doubtful, tmp_path, capsys):
    data, out = doubtful / "data", tmp_path / "page.html"
    value, page = page_of(capsys, doubtful, out, data, "--run", "best")
    cards = page["cards"]
    assert len({card["digest"] for card in cards}) == len(cards) == value["asked"]
    by_path = {card["path"][0]: card for card in cards}
    names = [name for name, _ in page["classes"]]
    for split, i in (("train", 0), ("test", 1)):
        for name, other in ((ODD, FORMULA), (FORMULA, ODD)):
            card = by_path[f"{split}/{name}/wrong{i}.png"]
            assert (names[card["label"]], names[card["looks"]]) == (name, other)
            assert page["sections"][card["section"]] in list(value["sections"])[:2]
    copies = {f"train/{ODD}/0.png", f"train/{FORMULA}/copy.png"} & by_path.keys()
    (path,) = copies
    assert by_path[path]["label"] is None
    assert all(image.startswith("data:image/webp;base64,") for image, _ in page["images"])
    assert value["failed"] == value["notes"] == []
    assert value["sections"]["Suggestions"] == 0


def test_what_was_said_is_not_asked_again_but_saved_again(doubtful, tmp_path, capsys):
    data = doubtful / "data"
    dataset = index(data)
    at = dataset.paths.index(f"test/{ODD}/wrong1.png")
    digest = dataset.digests[at].tobytes().hex()
    fix = tmp_path / "fix.csv"
    with fix.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label"])
        rows.writerow([f"test/{ODD}/wrong1.png", f"'{FORMULA}"])
        rows.writerow([f"train/{ODD}/wrong0.png", ""])
    value, page = page_of(capsys, doubtful, tmp_path / "p.html", data, *BASE, "--labels", fix)
    assert page["earlier"] == [[f"test/{ODD}/wrong1.png", FORMULA, digest]]
    paths = {card["path"][0] for card in page["cards"]}
    assert f"test/{ODD}/wrong1.png" not in paths
    assert f"train/{ODD}/wrong0.png" in paths
    assert value["known"] == 1


def listed(tmp_path, *rows, header=("path", "label", "prediction", "probability", "reason")):
    path = tmp_path / "list.csv"
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_suggestions_alone_say_or_take_classes(doubtful, tmp_path, capsys):
    paths = sorted((doubtful / "pool").iterdir())
    rows = [(paths[0], "", "cats", "0.61", "unsure"), (paths[1], "dogs", "", "", "")]
    table = listed(tmp_path, *rows, (tmp_path / "gone.png", "", "", "", ""))
    given = ("--suggestions", table, "--classes", "birds, cats")
    value, page = page_of(capsys, doubtful, tmp_path / "p.html", *given)
    assert [name for name, _ in page["classes"]] == ["birds", "cats", "dogs"]
    assert page["grows"]
    assert [(one["label"], one["looks"]) for one in page["cards"]] == [(None, 1), (2, None)]
    assert page["cards"][0]["why"] == "looks like cats (0.61); unsure"
    assert value["failed"] == [{"path": str(tmp_path / "gone.png"), "reason": "not there"}]
    _, page = page_of(capsys, doubtful, tmp_path / "q.html", *given[:2], "--classes", "cats,dogs")
    _, with_run = page_of(
        capsys, doubtful, tmp_path / "r.html", "--suggestions", listed(tmp_path, rows[0])
    )
    assert len({one["key"] for one in (page, with_run)}) == 2


def test_a_table_without_data_beside_it_grows(doubtful, tmp_path, capsys):
    (one, other) = sorted((doubtful / "pool").iterdir())
    shutil.copy(one, tmp_path / "one.png")
    labels = tmp_path / "labels.csv"
    labels.write_text("path,label,digest\none.png,cat,\ngone.png,dog,zz\ngone.png,drop,\n,,\n")
    table = listed(tmp_path / "more", (one, "", "cat", "0.9", ""), (other, "", "fox", "0.9", ""))
    given = ("--suggestions", table, "--labels", labels)
    _, page = page_of(capsys, doubtful, tmp_path / "p.html", *given)
    digest = hashlib.sha256(one.read_bytes()).hexdigest()
    assert page["earlier"] == [
        [str(tmp_path / "one.png"), "cat", digest],
        ["gone.png", "dog", "zz"],
    ]
    assert [name for name, _ in page["classes"]] == ["cat", "dog", "fox"]
    assert [card["path"][0] for card in page["cards"]] == [str(other)]
    (tmp_path / "bare.csv").write_text("path,name\n1.png,cat\n")
    out = ("--out", tmp_path / "q.html", *places(doubtful))
    bare = ("--suggestions", table, "--labels", tmp_path / "bare.csv")
    assert "expected the columns path (or digest) and label" in refused(
        capsys, "label", *bare, *out
    )


def test_a_suggestion_that_is_labelled_has_its_label(doubtful, tmp_path, capsys):
    picture = doubtful / "data" / "train" / ODD / "3.png"
    table = listed(tmp_path, (picture, "", FORMULA, "0.9", "unsure"))
    given = (doubtful / "data", *BASE, "--suggestions", table)
    _, page = page_of(capsys, doubtful, tmp_path / "p.html", *given)
    (card,) = [card for card in page["cards"] if card["path"][0] == str(picture)]
    names = [name for name, _ in page["classes"]]
    assert (names[card["label"]], names[card["looks"]]) == (ODD, FORMULA)
    assert card["ours"]


def test_the_page_is_as_large_as_it_is_asked_to_be(doubtful, tmp_path, capsys):
    given = (doubtful / "data", *BASE, "--n", "3")
    value, page = page_of(capsys, doubtful, tmp_path / "p.html", *given)
    assert len(page["cards"]) == value["asked"] == 3 < value["found"]


def test_what_cannot_be_asked_about_is_refused(doubtful, tmp_path, capsys):
    data, out = doubtful / "data", ("--out", tmp_path / "page.html", *places(doubtful))
    (picture, *_) = sorted((doubtful / "pool").iterdir())
    table = listed(tmp_path, (picture, "fox", "", "", ""))
    lost = listed(tmp_path / "lost", ("gone.png", "", "", "", ""))
    changed = listed(tmp_path / "changed", (picture, "0" * 64), header=("path", "digest"))
    two = listed(tmp_path / "two", (picture, "fox", *[""] * 3), (picture, "cat", *[""] * 3))
    (tmp_path / "bare.csv").write_text("name,label\n1.png,\n")
    for arguments, sentence in (
        ([], "labels, --suggestions F.csv, or both, received neither"),
        (["--suggestions", table, "--views", "2"], "where pictures are compared as they are"),
        (["--suggestions", table, "--folds", "3"], "where there are suggestions alone"),
        ([data, "--run", "best", "--backbone", "VGG16"], "no backbone beside a run"),
        ([data, *BASE, "--classes", "a,b"], "expected no classes beside data or a run"),
        (["--suggestions", table, "--run", "best"], "unknown label 'fox'"),
        (["--suggestions", lost], "'gone.png', none of which is there"),
        (["--suggestions", changed], '1 × "changed since the run"'),
        (["--suggestions", two], "one label for a picture in"),
        (["--suggestions", tmp_path / "no.csv"], "suggestions="),
        (["--suggestions", tmp_path / "bare.csv"], "expected the columns path (or digest)"),
        (["--suggestions", table, "--classes", "cat,drop"], "no class called 'drop'"),
        ([data, *BASE, "--n", "0"], "expected n from 1 to 2000"),
    ):
        assert sentence in refused(capsys, "label", *arguments, *out)
    assert not (tmp_path / "page.html").exists()
    assert "ends in .html" in refused(capsys, "label", data, "--out", tmp_path / "page.csv")


def test_nothing_to_ask_is_no_success(doubtful, tmp_path, capsys):
    for hue, name in enumerate(("red", "green")):
        for i in range(6):
            write_picture(tmp_path / "clean" / name / f"{i}.png", 100 * hue + i, 24, hue)
    out = ("--out", tmp_path / "page.html", *places(doubtful))
    said = refused(capsys, "label", tmp_path / "clean", *BASE, *out)
    assert "expected pictures to ask about, received none: no label looks wrong" in said
    said = refused(capsys, "label", tmp_path / "clean", "--run", "best", *out)
    assert "which was on none of them" in said


def test_what_is_broken_in_the_data_is_said(doubtful, tmp_path, capsys):
    shutil.copytree(doubtful / "data", tmp_path / "data")
    for split in ("train", "test"):
        (tmp_path / "data" / split / ODD / "bad.png").write_bytes(f"no {split}".encode())
    n = len(index(doubtful / "data").paths)
    value, _ = page_of(capsys, doubtful, tmp_path / "p.html", tmp_path / "data", *BASE)
    (note,) = value["notes"]
    assert note.startswith(f'2 of {n + 2} pictures left out: 2 × "not a picture in a known format')
