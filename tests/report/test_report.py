"""One file about runs: what is in it, what is escaped, what it says when something is missing."""

import csv
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from pipeline.cli import run
from pipeline.config import ReportConfig
from pipeline.errors import InputError, RunError
from pipeline.evaluate.plots.svg import Chart
from pipeline.images.files import LocalFiles
from pipeline.report import write_report
from pipeline.report.album import RunPredictions, choose_pictures
from pipeline.report.commands import Commands
from pipeline.report.findings import find
from pipeline.report.material import shared
from pipeline.report.page import as_json
from pipeline.report.projection import on_grid, parse_maps, project
from pipeline.report.sources import find_dataset
from pipeline.report.tables import confusion_view
from pipeline.report.thumbnails import Wanted, make_sheets, make_thumbnails
from pipeline.runs import leaderboard, list_runs
from pipeline.system.progress import SILENT
from pipeline.system.shell import command, quoted
from pipeline.system.visible import visible
from tests.conftest import write_picture
from tests.stored import reseal, unseal

BASE = ["--backbone", "MobileNet(alpha=0.25)", "--weights", "none", "--layers", "block2"]
ODD = '<img src=x onerror=alert(1)> & "q"'
CLASSES = (ODD, "blue", "red")


def make_project(root, heads="ridge,knn", n_train=8, n_test=5):
    """Three classes of which one is noise, so that there are mistakes, and two runs on them."""
    for split, count in (("train", n_train), ("test", n_test)):
        for hue, name in zip((None, 2, 0), CLASSES, strict=True):
            for i in range(count):
                seed = 5000 * CLASSES.index(name) + 100 * (split == "test") + i
                # Weak colours: the heads must make mistakes.
                write_picture(root / "data" / split / name / f"{i}.png", seed, 24, hue)
    noisy = root / "data" / "test" / "red" / "0.png"
    write_picture(noisy, 77, 24, hue=2)
    more = ["--image-size", "32", "--heads", heads, *places(root), "--quiet"]
    assert run(["classify", str(root / "data"), *BASE, *more]) == 0
    return root


def places(root):
    return ["--cache", str(root / "cache"), "--runs", str(root / "runs")]


def config(root, **more):
    return ReportConfig(cache=root / "cache", runs=root / "runs", overwrite=True, **more)


@pytest.fixture(scope="module")
def project_root(tmp_path_factory):
    return make_project(tmp_path_factory.mktemp("project"))


@pytest.fixture
def copied(project_root, tmp_path):
    """The project where a test may change it; the pictures are where the runs say."""
    shutil.copytree(project_root / "runs", tmp_path / "runs")
    return tmp_path


class Page(HTMLParser):
    """What a browser would see: elements, texts, and the JSON for the script."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.texts, self.ids, self._inside = [], [], [], None
        self.json = ""
        self.feed(text)
        self.payload = json.loads(self.json)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.elements.append((tag, attrs))
        self.ids += [attrs["id"]] if "id" in attrs else []
        self._inside = "json" if attrs.get("type") == "application/json" else tag

    def handle_data(self, text):
        if self._inside == "json":
            self.json += text
        elif self._inside not in ("script", "style"):
            self.texts.append(text)

    def handle_endtag(self, tag):
        self._inside = None

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def written(root, names=(), out="report.html", **more):
    result = write_report(config(root, **more), names, root / out)
    return result, Page(result.path.read_text("utf-8"))


@pytest.fixture(scope="module")
def page(project_root):
    return written(project_root)


def test_a_report_says_how_good_the_best_run_is(page, project_root):
    result, made = page
    (table,) = leaderboard(list_runs(project_root / "runs"))
    test = table[0].run.test
    assert result.detailed == (table[0].run.name,)
    assert len(result.runs) == 2
    low, high = test.ci95
    assert f"{test.accuracy:.1%}" in made.text
    assert f"95 % interval {low:.1%} to {high:.1%}" in made.text
    assert "trained on 24 pictures of 3 classes" in made.text


def test_the_leaderboard_is_that_of_compare(page, project_root):
    made = page[1]
    rows = [
        one.to_dict() for table in leaderboard(list_runs(project_root / "runs")) for one in table
    ]
    for row in rows:
        low, high = row["test"]["ci95"]
        assert f"{row['test']['accuracy']:.4f} {low:.3f} – {high:.3f}" in made.text
    n_together = sum(row["with_leader"] for row in rows[1:])
    assert f"{n_together} of the 1 other run is not distinguishable from the first" in made.text
    assert "McNemar's exact test" in made.text


def test_nothing_is_loaded_from_elsewhere(page):
    for tag, attrs in page[1].elements:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        for name in ("src", "href"):
            assert attrs.get(name, "#").startswith(("#", "data:image/webp;base64,"))
        assert not [name for name in attrs if name.startswith("on") or name == "style"]
    (policy,) = (a["content"] for _, a in page[1].elements if "Security" in a.get("http-equiv", ""))
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy


def test_ids_are_unique_and_links_lead_somewhere(page):
    made = page[1]
    assert len(made.ids) == len(set(made.ids))
    links = {a["href"][1:] for tag, a in made.elements if tag == "a"}
    links |= {a["aria-labelledby"] for _, a in made.elements if "aria-labelledby" in a}
    assert links <= set(made.ids)


def test_headings_are_in_order_and_pictures_have_texts(page):
    levels = [int(tag[1]) for tag, _ in page[1].elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(a.get("alt") for tag, a in page[1].elements if tag == "img")
    assert all(
        a.get("aria-label") or a.get("aria-hidden") for tag, a in page[1].elements if tag == "svg"
    )
    assert ("html", {"lang": "en"}) in page[1].elements


def test_a_class_name_is_text_everywhere(page):
    result, made = page
    assert ODD in made.text
    assert ODD in made.payload["sets"][0]["classes"]
    assert not [a for tag, a in made.elements if tag == "img" and "onerror" in a]
    assert "<img src=x" not in result.path.read_text("utf-8")


def test_a_label_that_ends_a_script_does_not(tmp_path):
    odd = ("</script><script>alert(1)</script>", "قطة\u202e'&\"", "two\nlines")
    rows = [["path", "label", "split"]]
    for number, label in enumerate(odd):
        for i in range(9):
            write_picture(tmp_path / "d" / f"{number}-{i}.png", 50 * number + i, 16, hue=number)
            rows.append([f"d/{number}-{i}.png", label, "train" if i < 6 else "test"])
    with open(tmp_path / "data.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    more = ["--image-size", "32", "--heads", "ridge", *places(tmp_path), "--quiet"]
    assert run(["classify", str(tmp_path / "data.csv"), *BASE, *more]) == 0
    _, made = written(tmp_path)
    labels = made.payload["runs"][0]["classes"]
    assert labels == sorted(visible(label) for label in odd)
    assert sum(tag == "script" for tag, _ in made.elements) == 2
    assert odd[0] in made.text
    assert "two\\nlines" in made.text


def test_folders_whose_names_are_no_text(tmp_path):
    names = (b"caf\xe9", b"two\nlines", "قطة".encode())
    root = os.fsencode(tmp_path / "data") + b"\xff"
    for hue, name in enumerate(names):
        for i in range(9):
            split = b"train" if i < 6 else b"test"
            path = os.fsdecode(b"/".join((root, split, name, b"%d.png" % i)))
            write_picture(Path(path), 50 * hue + i, 16, hue=hue)
    more = ["--image-size", "32", "--heads", "ridge", *places(tmp_path), "--quiet"]
    assert run(["classify", os.fsdecode(root), *BASE, *more]) == 0
    result, made = written(tmp_path)
    assert set(made.payload["runs"][0]["classes"]) == {"caf\\xe9", "two\\nlines", "قطة"}
    assert "data\\xff" in made.text
    assert result.unreadable == ()
    command = Commands(config(tmp_path), tmp_path / "r.html").check(list_runs(tmp_path / "runs")[0])
    assert command.startswith(f"pipeline check $'{tmp_path}/data\\xff'")
    shutil.rmtree(os.fsdecode(root))
    assert "data\\xff does not exist" in written(tmp_path)[1].text


def test_of_many_classes_pairs_are_listed():
    confusion = 5 * np.eye(50, dtype=int)
    confusion[3, 4], confusion[7, 1] = 2, 4
    view = confusion_view(confusion.tolist(), [f"class {i}" for i in range(50)])
    assert view["matrix"] is None
    assert [(one["name"], one["taken_for"], one["count"]) for one in view["pairs"]] == [
        ("class 7", "class 1", 4),
        ("class 3", "class 4", 2),
    ]


def test_names_that_are_no_text_can_be_read():
    assert visible(b"caf\xe9".decode("utf-8", "surrogateescape")) == "caf\\xe9"
    assert visible("\x00\x1b\x7f") == r"\x00\x1b\x7f"
    assert visible("\ud800") == "\\ud800"
    visible("".join(map(chr, range(0x110000)))).encode("utf-8")


def test_json_cannot_leave_its_script():
    text = str(as_json(["</script><!--", "a&b", "\u2028\u2029"]))
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == ["</script><!--", "a&b", "\u2028\u2029"]


@pytest.mark.parametrize("name", ["a b", "it's", '$(rm)"`', "two\nlines", b"caf\xe9", "قطة\u202e"])
def test_commands_can_be_pasted(name):
    raw = name if isinstance(name, bytes) else name.encode()
    text = raw.decode("utf-8", "surrogateescape")
    words = command("printf", "%s", text)
    assert words.isprintable()
    words.encode("utf-8")
    told = subprocess.run(["bash", "-c", words], capture_output=True, check=True).stdout
    assert told == raw


def test_the_command_of_a_run_finds_it_done(page, project_root, capsys):
    found = list_runs(project_root / "runs")[0]
    words = shlex.split(Commands(config(project_root), project_root / "r.html").train(found))
    capsys.readouterr()
    assert run([*words[1:], "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert [(one["run"], one["reused"]) for one in value["results"]] == [(found.name, True)]
    assert quoted(found.name) in " ".join(page[0].runs)


def test_the_same_again_is_the_same_file(page, project_root):
    again, _ = written(project_root, out="again/report.html")
    assert again.path.read_bytes() == page[0].path.read_bytes()


def test_confusion_cells_are_the_runs(page, project_root):
    made, (found, *_) = page[1], leaderboard(list_runs(project_root / "runs"))[0]
    confusion = np.array(found.run.test.confusion)
    cells = [a for _, a in made.elements if a.get("class", "").startswith("cell ")]
    counted = {(int(a["data-given"]), int(a["data-called"])): int(a["data-count"]) for a in cells}
    assert counted == {(i, j): confusion[i, j] for i, j in np.argwhere(confusion).tolist()}
    payload = made.payload["runs"][0]
    shown = np.zeros_like(confusion)
    np.add.at(shown, (payload["given"], payload["called"]), 1)
    np.testing.assert_array_equal(shown, confusion)


def test_what_is_missing_is_said_with_its_command(page):
    sections = {one.section: one for one in page[0].missing}
    assert sections.keys() == {
        *("learning curve", "fine-tuning", "threshold", "where the answers come from")
    }
    assert "--learning-curve" in sections["learning curve"].command
    for one in sections.values():
        assert one.reason in page[1].text
        assert one.command in page[1].text


def test_how_typical_the_test_is_is_drawn_with_the_least_typical(page, project_root):
    found = leaderboard(list_runs(project_root / "runs"))[0][0].run
    said, made = json.loads((found.path / "typical.json").read_text()), page[1]
    n, below = said["n"], said["below"]
    assert f"{below} picture{'' if below == 1 else 's'} of {n}" in made.text
    bars = [
        f"{i / 20:.2f} to {(i + 1) / 20:.2f}: {k} pictures" for i, k in enumerate(said["histogram"])
    ]
    texts = "".join(made.texts)
    assert [bar in texts for bar in bars] == [k > 0 for k in said["histogram"]]
    _, _, part = made.text.partition("The least typical:")
    places = [part.index(one["path"]) for one in said["untypical"]]
    assert places == sorted(places)
    assert len(places) == 12
    thumbs = [a for tag, a in made.elements if tag == "span" and "data-picture" in a]
    paths = made.payload["sets"][0]["paths"]
    assert {one["path"] for one in said["untypical"]} <= {
        paths[int(one["data-picture"])] for one in thumbs
    }


def test_a_run_that_does_not_say_how_typical_pictures_are(copied):
    for path in (copied / "runs").glob("*/typical.json"):
        path.unlink()
        unseal(path.parent)
    result, made = written(copied)
    (missing,) = [one for one in result.missing if one.section == "how typical pictures are"]
    assert missing.reason == "this run does not say it"
    assert missing.command in made.text


def test_a_histogram_of_other_pictures_is_refused(copied):
    for path in (copied / "runs").glob("*/typical.json"):
        said = json.loads(path.read_text())
        path.write_text(json.dumps(said | {"histogram": said["histogram"][1:]}))
        reseal(path.parent)
    with pytest.raises(RunError, match="no 20 counts of all pictures"):
        written(copied)


def test_without_features_it_says_how_to_get_them(project_root, copied):
    _, made = written(copied)
    assert f"there is no feature cache at {copied / 'cache'}" in made.text
    assert (
        f"pipeline features {project_root / 'data'} --backbone 'MobileNet(alpha=0.25)'" in made.text
    )
    assert made.payload["runs"][0]["maps"] == {}
    assert not (copied / "cache").exists()
    assert len(made.payload["sets"][0]["paths"]) == 39


def test_pictures_that_are_gone_have_placeholders(tmp_path):
    make_project(tmp_path, heads="ridge")
    out = tmp_path / "data" / "test" / "blue"
    (out / "0.png").write_bytes(b"")
    (out / "1.png").unlink()
    result, made = written(tmp_path)
    reasons = dict(result.unreadable)
    assert reasons["test/blue/0.png"] == "changed since the run"
    assert reasons["test/blue/1.png"] == "cannot be read: No such file or directory"
    assert "in this file. 2 of them cannot be shown and have a placeholder" in made.text
    assert "have changed since the run" in made.text
    assert len(made.payload["sets"][0]["paths"]) == 15
    assert made.payload["sets"][0]["w"].count(0) == 2
    shutil.rmtree(tmp_path / "data")
    result, made = written(tmp_path)
    assert len(result.unreadable) == 15
    assert "does not exist" in made.text
    assert made.payload["runs"][0]["maps"].keys() == {"pca", "tsne"}


def test_two_data_sets_are_two_tables(project_root, copied):
    other = make_project(copied / "other", heads="knn", n_test=4)
    for path in (other / "runs").glob("[!.]*"):
        shutil.copytree(path, copied / "runs" / path.name)
    result, made = written(copied)
    assert len(result.detailed) == 2
    assert sum(a.get("class") == "sortable board" for _, a in made.elements) == 2
    assert [one["set"] for one in made.payload["runs"]] == [0, 1]


def test_named_runs_are_all_in_detail(project_root):
    names = [found.name for found in list_runs(project_root / "runs")]
    result, made = written(project_root, names, out="named.html")
    assert set(result.detailed) == set(names)
    assert len(made.payload["runs"]) == 2
    assert len(made.payload["sets"]) == 1


@pytest.mark.parametrize("shares", [(0.0, 0.5, 1.0), ()], ids=["mixed", "unmixed"])
def test_a_fine_tuned_run_shows_its_epochs(copied, shares):
    best = leaderboard(list_runs(copied / "runs"))[0][0].run
    metrics = json.loads((best.path / "metrics.json").read_text())
    figures = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
    metrics["epochs"] = [
        {"epoch": 0, **dict(zip(figures, (None, None, 0.9, 0.5), strict=True)), "seconds": 1.0},
        {"epoch": 1, **dict(zip(figures, (0.5, 0.8, 0.4, 0.75), strict=True)), "seconds": 1.0},
    ]
    metrics["selection"]["epoch"] = 1
    metrics["mixtures"] = [
        {"share": share, "validation_loss": loss, "validation_accuracy": 0.7}
        for share, loss in zip(shares, (0.9, 0.3, 0.4), strict=False)
    ]
    (best.path / "metrics.json").write_text(json.dumps(metrics))
    info = json.loads((best.path / "run.json").read_text())
    info |= {"kind": "finetune", "from": "gone", "config": {"mode": "full", "epochs": 3}}
    (best.path / "run.json").write_text(json.dumps(info))
    reseal(best.path)
    _, made = written(copied, [best.name])
    assert "Epoch 1 is kept" in made.text
    labels = [a.get("aria-label", "") for tag, a in made.elements if tag == "svg"]
    assert any(
        "loss by epoch" in label and "validation from 0.9000 to 0.4" in label for label in labels
    )
    assert any(label.endswith("the lowest is at 50%") for label in labels) == bool(shares)
    assert "pipeline finetune" in made.text
    assert "--from gone --epochs 3" in made.text


def test_of_many_pictures_a_sample_keeps_the_mistakes(project_root):
    result, made = written(project_root, out="few.html", most_pictures=6)
    assert (result.n_pictures, result.n_all) == (6, 39)
    assert "6 of 39 pictures are in this file" in made.text
    assert "--out few.html --overwrite" in made.text
    assert "--most-pictures 6" in made.text
    payload = made.payload["runs"][0]
    wrong = [g != c for g, c in zip(payload["given"], payload["called"], strict=True)]
    n_wrong = int(re.search(r"keeps all (\d+) pictures", made.text)[1])
    assert sum(wrong) == n_wrong > 0


def test_of_more_mistakes_than_pictures_the_surest_stay():
    sure = np.linspace(0.5, 1, 8)
    predictions = RunPredictions(
        tuple(f"{i}.png" for i in range(8)),
        np.arange(8 * 32, dtype=np.uint8).reshape(8, 32),
        np.zeros(8, int),
        np.array([1, 0] * 4),
        np.stack([1 - sure, sure], 1),
        ("a", "b"),
    )
    album = choose_pictures(None, [("test", predictions)], [], 2, 0)
    assert album.paths == ("4.png", "6.png")
    assert (album.n_mistakes, album.n_mistakes_kept) == (4, 2)
    assert shared(10, [3, 100]) == [3, 7]


def test_thumbnails_are_upright_and_say_why_there_is_none(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (400, 200), "red").save(tmp_path / "turned.jpg", exif=exif)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    wanted = [
        Wanted(name, hashlib.sha256((tmp_path / name).read_bytes()).digest(), (48, 96))
        for name in ("turned.jpg", "bad.png")
    ]
    (small, large), (bad, _) = make_thumbnails(LocalFiles(tmp_path).read, wanted)
    assert (small.image.size, large.image.size) == ((24, 48), (48, 96))
    assert bad.image is None
    assert "not a picture" in bad.reason
    (moved, _) = next(make_thumbnails(LocalFiles(tmp_path).read, [replace(wanted[0], digest=b"0")]))
    assert moved.reason == "changed since the run"


def test_sheets_stay_below_their_limit():
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 255, (48, 48, 3), np.uint8)) for _ in range(300)]
    free, tight = make_sheets(images, 48), make_sheets(images, 48, 100_000)
    assert len(free.images) == 2
    assert sum(map(len, tight.images)) < sum(map(len, free.images))
    assert make_sheets([None, images[0]], 48).sizes == ((0, 0), (48, 48))


def test_maps_are_seeded_and_fit_the_canvas():
    features = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    one, other = (project(features, ("pca", "tsne"), 3) for _ in range(2))
    for name in ("pca", "tsne"):
        np.testing.assert_array_equal(one[name][0], other[name][0])
        grid = on_grid(one[name][0])
        assert grid.min() >= 0
        assert grid.max() == 2000
    assert project(features[:5], ("pca", "tsne"), 0).keys() == {"pca"}
    assert np.isfinite(project(np.ones((4, 3)), ("pca",), 0)["pca"][0]).all()


class TwoColumns:
    """Stands for umap.UMAP, whose compiler takes half a minute."""

    def __init__(self, n_neighbors, random_state, n_jobs):
        assert (n_neighbors, random_state, n_jobs) == (15, 7, 1)

    def fit_transform(self, components):
        return components[:, 1:3]


def test_umap_is_asked_for_by_name(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=TwoColumns))
    assert parse_maps("umap") == ("pca", "umap")
    features = np.random.default_rng(0).normal(size=(30, 8))
    before = set(sys.modules)
    made = project(features, ("pca", "umap"), 7)
    assert made.keys() == {"pca", "umap"}
    assert made["umap"][0].shape == (30, 2)
    assert "tensorflow" not in set(sys.modules) - before


def test_without_umap_the_way_to_it_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'bottleneck-pipeline\[umap\]'"):
        parse_maps("umap")


def test_unknown_map_names_the_nearest():
    with pytest.raises(InputError, match="unknown map 'tsn'; nearest: tsne"):
        parse_maps("tsn")


def test_findings_are_those_of_check(page, project_root, capsys):
    capsys.readouterr()
    found = leaderboard(list_runs(project_root / "runs"))[0][0].run
    words = shlex.split(Commands(config(project_root), project_root / "r.html").check(found))
    assert run([*words[1:], "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    dataset = find_dataset(config(project_root), found, SILENT).dataset
    ours = find(config(project_root), found, dataset, SILENT).value
    assert ours == value


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("", "a folder that exists"),
        ("there.html", r"a file that exists; name another one, or use --overwrite"),
        ("report.pdf", r"expected a file that ends in \.html or \.htm, received out=.*report\.pdf"),
    ],
)
def test_a_place_that_is_taken_or_odd_is_refused(project_root, tmp_path, out, words):
    (tmp_path / "there.html").write_text("mine")
    with pytest.raises(InputError, match=words):
        write_report(replace(config(project_root), overwrite=False), (), tmp_path / out)
    assert (tmp_path / "there.html").read_text() == "mine"


def test_runs_that_are_not_there(project_root, tmp_path, capsys):
    with pytest.raises(InputError, match=f"at least one run in {tmp_path / 'runs'}, received none"):
        written(tmp_path)
    with pytest.raises(RunError, match="received 'nothing': there is none"):
        written(project_root, ["nothing"])
    assert run(["report", "nothing", "--out", str(tmp_path / "r.html"), *places(project_root)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_predictions_of_another_run_are_refused(copied):
    best = leaderboard(list_runs(copied / "runs"))[0][0].run
    (best.path / "predictions.csv").write_text("path,digest\n")
    with pytest.raises(RunError, match=r"predictions\.csv damaged: .* 12 bytes instead of"):
        written(copied, [best.name])
    reseal(best.path)
    with pytest.raises(RunError, match=r"predictions\.csv, received: other columns than those"):
        written(copied, [best.name])


def test_a_damaged_search_is_not_taken_for_none(copied):
    best = leaderboard(list_runs(copied / "runs"))[0][0].run
    (best.path / "search.json").write_text("[{")
    reseal(best.path)
    with pytest.raises(RunError, match=r"received search\.json damaged: Expecting property name"):
        written(copied, [best.name])


def test_the_command(project_root, tmp_path, capsys):
    out = tmp_path / "r.html"
    arguments = ["report", "--out", str(out), "--map", "pca", *places(project_root)]
    assert run([*arguments, "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["path"] == str(out)
    assert value["bytes"] == out.stat().st_size
    assert value["pictures"] == value["pictures_in_all"] == 39
    assert {one["section"] for one in value["missing"]} >= {"learning curve"}
    assert run(arguments) == 2
    assert "use --overwrite" in capsys.readouterr().err
    assert run([*arguments, "--overwrite"]) == 0
    assert "2 runs, 1 in detail, 39 pictures" in capsys.readouterr().out
    assert run(["report", "--help"]) == 0
    assert "pipeline report" in capsys.readouterr().out


def test_tensorflow_is_not_paid_for(project_root, tmp_path):
    script = f"""
import sys
from pipeline.cli import run
out = {str(tmp_path / "r.html")!r}
assert run(["report", "--out", out, "--quiet", *{places(project_root)!r}]) == 0
print(sorted({{"tensorflow", "keras", "matplotlib"}} & set(sys.modules)))
"""
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert process.stdout.splitlines()[-1] == "[]", process.stderr


def test_charts_name_no_colour_of_their_own():
    chart = Chart((0, 1), (0, 1), "x", "<y>").ticks([(0, "0")], [(1, "1")])
    chart.line([(0, 0), (1, 1)], "c0").mark(1, 1, "f0", title="<b>")
    text = str(chart.tell("said & done").svg())
    assert 'aria-label="said &amp; done"' in text
    assert "&lt;y&gt;" in text
    assert "<b>" not in text
    assert not re.search(r"#[0-9a-f]{3}|style=|fill=|stroke=| id=", text)
    assert text.startswith("<svg")
