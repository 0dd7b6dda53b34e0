"""The closer look of a report: maps beside pictures, and a mark that gives a class away."""

import re

import numpy as np
import pytest
from PIL import Image

from pipeline.cli import run
from pipeline.config import ReportConfig
from pipeline.report import write_report
from pipeline.report.commands import Commands
from tests.conftest import write_picture

BASE = ["--backbone", "MobileNet(alpha=0.25)", "--weights", "none", "--image-size", "64"]
MAP = re.compile(r'<img src="data:image/webp;base64,[^"]+" alt="(Evidence|Where)')


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Noise in two classes, one of them with a square in a corner; runs of two heads."""
    root = tmp_path_factory.mktemp("marked")
    for split, count in (("train", 20), ("test", 10)):
        for name in ("plain", "marked"):
            for i in range(count):
                path = root / "data" / split / name / f"{i}.png"
                seed = 1000 * (name == "marked") + 100 * (split == "test") + i
                write_picture(path, seed, 64)
                if name == "marked":
                    pixels = np.array(Image.open(path))
                    pixels[48:, :16] = (255, 255, 0)
                    Image.fromarray(pixels).save(path)
    write_picture(root / "data" / "test" / "marked" / "0.png", 5007, 64)  # a mistake to come
    flags = [*BASE, "--layers", "block2", "--heads", "logistic,knn", "--folds", "2", "--quiet"]
    assert run(["classify", str(root / "data"), *flags, *places(root)]) == 0
    return root


def places(root):
    return ["--cache", str(root / "cache"), "--runs", str(root / "runs")]


def page(root, out, head="logistic", **more):
    (path,) = (root / "runs").glob(f"*-{head}*")
    config = ReportConfig(cache=root / "cache", runs=root / "runs", **more)
    written = write_report(config, [path.name], out)
    return written, out.read_text("utf-8")


def test_a_mark_in_a_corner_is_found_and_shown(root, tmp_path):
    written, text = page(root, tmp_path / "out.html", evidence=True)
    assert not [one for one in written.missing if "answers" in one.section]
    found = text.split("Does a place give a class away?")[1].split("<h4>")[0]
    assert "Look at these" in found
    assert "<strong><bdi>marked</bdi></strong> in the lower left corner" in found
    assert found.count("<img") == 6
    mistakes = text.split("<h4>Surest mistakes</h4>")[1].split("<h4>")[0]
    assert "Where plain instead of marked comes from in test/marked/0.png" in mistakes
    assert "Most confused pairs" in text
    again = [code for code in re.findall("<code.*?</code>", text) if "pipeline report" in code]
    assert [code.count("--evidence") for code in again] == [1] * len(again)
    assert "://" not in re.sub(r"http://www.w3.org/\S+", "", text)  # still one file


def test_other_heads_get_maps_by_occlusion_and_no_places(root, tmp_path):
    _, text = page(root, tmp_path / "out.html", "knn", evidence=True)
    assert "They are occlusion, 7 × 7 squares, 50 passes a picture" in text
    assert "Not looked at: this needs exact maps" in text


def test_without_being_asked_no_base_is_run(root, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.report.closer.open_explainer", None)
    written, text = page(root, tmp_path / "out.html")
    (missing,) = [one for one in written.missing if one.section == "where the answers come from"]
    assert "that was not asked for" in missing.reason
    assert missing.command.endswith("--evidence")
    assert MAP.search(text) is None


def test_pictures_that_are_gone_are_said(root, tmp_path):
    (root / "data").rename(root / "elsewhere")
    try:
        written, _ = page(root, tmp_path / "out.html", evidence=True)
    finally:
        (root / "elsewhere").rename(root / "data")
    (missing,) = [one for one in written.missing if one.section == "where the answers come from"]
    assert "the data set is not there" in missing.reason


def test_the_command_says_evidence_once(tmp_path):
    commands = Commands(ReportConfig(evidence=True), tmp_path / "out.html")
    assert commands.report(["a"]).count("--evidence") == 1
