"""Figures: the same bytes for the same data, whatever classes are called, however many."""

import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from pipeline.evaluate import evaluate
from pipeline.evaluate.plots import (
    plot_calibration,
    plot_confusion,
    plot_history,
    plot_learning_curve,
    plot_ranking,
    plot_search,
)
from pipeline.evaluate.plots.confusion import merged
from pipeline.evaluate.plots.ranking import class_curves, ranking_charts
from pipeline.evaluate.plots.search import MOST_ROWS
from pipeline.evaluate.plots.svg import COLOURS, LONGEST, RIGHT_SHADES, WRONG_SHADES, shown
from pipeline.evaluate.plots.training import epoch_charts
from pipeline.report.page import page_file

SVG = "{http://www.w3.org/2000/svg}"
ODD = [
    "$x_1$",
    "<script>",
    "a&b",
    "Bäume & Blätter",
    "_hidden",
    "猫",
    "bad\udcff\x01",
    "two\nlines",
]
HISTORY = [
    {"epoch": 0, "train_loss": None, "train_accuracy": None, "validation_loss": 0.5},
    {"epoch": 1, "train_loss": 0.4, "train_accuracy": 0.8, "validation_loss": 0.25},
    {"epoch": 2, "train_loss": 0.3, "train_accuracy": 0.9, "validation_loss": float("nan")},
]
CURVE = {
    "points": [
        {"n": 30, "accuracy": 0.8, "ci95": [0.7, 0.9], "accuracies": [0.75, 0.85]},
        {"n": 60, "accuracy": 0.9, "ci95": [0.85, 0.95], "accuracies": [0.88, 0.92]},
    ],
    "sentence": "more pictures would help: from 30 to 60 training pictures",
}


def judged(n_classes, n=400, seed=0, names=None):
    """Probabilities, labels, names and figures; ties on purpose."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % n_classes)
    scores = rng.normal(size=(n, n_classes)).round(1)
    scores[np.arange(n), labels] += 2
    probabilities = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    names = names or [f"class {number}" for number in range(n_classes)]
    return probabilities, labels, names, evaluate(probabilities, labels)


def candidates(n_layers=3, preparations=("standard", "sqrt-l2")):
    return [
        {
            "layers": [f"block{i}", "top"],
            "preparation": preparation,
            "head": f"{head}(C=0.1)",
            "accuracy": 0.5 + 0.4 * i / n_layers + 0.01 * (head == "ridge"),
        }
        for i in range(n_layers)
        for preparation in preparations
        for head in ("logistic", "ridge")
    ]


def texts(path):
    """What stands in an SVG; a file that is not well-formed raises."""
    root = ElementTree.parse(path).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return ["".join(one.itertext()) for one in root.iter("{http://www.w3.org/2000/svg}text")]


def figures(n_classes=3, names=None):
    """Every figure, as a function of a path alone."""
    probabilities, labels, names, measured = judged(n_classes, names=names)
    rows = [{**row, "validation_accuracy": 0.9} for row in HISTORY]
    sure, wrong = probabilities.max(1), probabilities.argmax(1) != labels
    points = measured.reliability.points
    return {
        "confusion": lambda path: plot_confusion(measured.confusion, names, "test", path),
        "calibration": lambda path: plot_calibration(points, sure, wrong, "test", path),
        "ranking": lambda path: plot_ranking(probabilities, labels, names, "test", path),
        "learning": lambda path: plot_learning_curve(CURVE, path),
        "search": lambda path: plot_search(candidates(), path),
        "history": lambda path: plot_history(rows, 1, 90, path),
    }


@pytest.mark.parametrize("name", figures())
def test_same_data_same_bytes(name, tmp_path):
    draw = figures()[name]
    for place in ("first.svg", "second.svg"):
        draw(tmp_path / place)
    first = (tmp_path / "first.svg").read_bytes()
    assert first == (tmp_path / "second.svg").read_bytes()
    assert texts(tmp_path / "first.svg")


@pytest.mark.parametrize("name", figures())
def test_a_file_stands_for_itself(name, tmp_path):
    """It has a size, a white page, a title, names at its axes, and fetches nothing."""
    figures()[name](tmp_path / "a.svg")
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    width, height = float(root.get("width")), float(root.get("height"))
    assert (root.get("viewBox"), min(width, height) > 150) == (f"0 0 {width:g} {height:g}", True)
    style = root.find(f"{SVG}style").text
    paper = next(root.iter(f"{SVG}rect"))
    assert (paper.get("class"), float(paper.get("width"))) == ("paper", width)
    assert ".paper{fill:#fff}" in style
    assert root.find(f"{SVG}title").text == texts(tmp_path / "a.svg")[0]
    named = [one for one in root.iter(f"{SVG}text") if "name" in one.get("class", "").split()]
    assert named
    used = {kind for one in root.iter() for kind in one.get("class", "").split()}
    assert {kind for kind in used if f".{kind}" not in style} == set()
    text = (tmp_path / "a.svg").read_text("utf-8")
    assert "url(" not in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("name", figures(8, ODD))
def test_everything_is_drawn_on_the_page(name, tmp_path):
    """Texts begin and end within the page, estimated by their letters."""
    figures(8, ODD)[name](tmp_path / "a.svg")
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    width, height = float(root.get("width")), float(root.get("height"))
    for group in root.iter(f"{SVG}g"):
        x, y = map(float, group.get("transform").removeprefix("translate(")[:-1].split())
        for one in group.iter(f"{SVG}text"):
            if one.get("transform"):
                continue
            letters = 6.6 * len(one.text or "")
            kinds = one.get("class", "").split()
            left = (
                x
                + float(one.get("x"))
                - letters * (1 if "end" in kinds else 0.5 * ("mid" in kinds))
            )
            assert left >= -1
            assert left + letters <= width + 1
            assert y + float(one.get("y")) < height


@pytest.mark.parametrize("n_classes", [2, 8, 30])
def test_names_of_classes_stand_as_they_are(n_classes, tmp_path):
    names = (ODD + [f"kind {i}" for i in range(30)])[:n_classes]
    wanted = [
        "$x_1$",
        "<script>",
        "a&b",
        "Bäume & Blätter",
        "_hidden",
        "猫",
        r"bad\xff\x01",
        r"two\nlines",
    ]
    draw = figures(n_classes, names)
    draw["confusion"](tmp_path / "a.svg")
    found = texts(tmp_path / "a.svg")
    assert all(found.count(name) == 2 for name in wanted[:n_classes])
    draw["ranking"](tmp_path / "b.svg")
    if n_classes == 8:
        legend = [text.rsplit(": ", 1)[0] for text in texts(tmp_path / "b.svg")]
        assert set(wanted) <= set(legend)
    assert "<script>" not in (tmp_path / "a.svg").read_text("utf-8")


def test_titles_tell_split_and_number(tmp_path):
    probabilities, labels, names, measured = judged(2, 1200)
    sure, wrong = probabilities.max(1), probabilities.argmax(1) != labels
    plot_confusion(measured.confusion, names, "test", tmp_path / "a.svg")
    plot_calibration(measured.reliability.points, sure, wrong, "validation", tmp_path / "b.svg")
    plot_ranking(probabilities, labels, names, "validation", tmp_path / "c.svg")
    title = f"Confusion on test, n = 1,200, accuracy {measured.accuracy.value:.3f}"
    assert title in texts(tmp_path / "a.svg")
    assert "Calibration on validation, n = 1,200" in texts(tmp_path / "b.svg")
    error = f"expected calibration error {measured.reliability.error:.3f} (dashed: none)"
    assert error in texts(tmp_path / "b.svg")
    title = "Ranking by the probability of class 1 on validation, n = 1,200"
    assert title in texts(tmp_path / "c.svg")


def test_counts_and_shares_of_two_classes(tmp_path):
    *_, names, measured = judged(2)
    plot_confusion(measured.confusion, names, "test", tmp_path / "a.svg")
    found = texts(tmp_path / "a.svg")
    for row in measured.confusion.tolist():
        for count in row:
            assert str(count) in found
            assert f"{count / sum(row):.1%}" in found


@pytest.mark.parametrize("n_classes", [41, 150, 1000])
def test_many_classes_name_the_most_confused_pairs(n_classes, tmp_path):
    *_, names, measured = judged(n_classes, 3000)
    plot_confusion(measured.confusion, names, "test", tmp_path / "a.svg")
    confusion = measured.confusion.copy()
    np.fill_diagonal(confusion, 0)
    given, called = np.argwhere(confusion == confusion.max())[0]
    found = texts(tmp_path / "a.svg")
    assert sum(" → " in text for text in found) == 20
    if np.sum(confusion == confusion.max()) < 20:
        assert f"class {given} → class {called}" in found
    assert (tmp_path / "a.svg").stat().st_size < 200_000


def test_many_classes_without_a_mistake(tmp_path):
    labels = np.arange(100) % 50
    names = [str(number) for number in range(50)]
    plot_confusion(
        evaluate(np.eye(50)[labels], labels).confusion, names, "test", tmp_path / "a.svg"
    )
    assert "every picture is called right" in texts(tmp_path / "a.svg")


def test_no_mistake_fades_where_cells_are_merged():
    shares = np.zeros((1000, 1000))
    shares[998, 3] = 0.01
    assert merged(shares).shape == (250, 250)
    assert merged(shares)[249, 0] == 0.01
    np.testing.assert_array_equal(merged(shares[:250, :250]), shares[:250, :250])


def test_a_split_of_one_class_cannot_be_ranked(tmp_path):
    labels, probabilities = np.zeros(20, int), np.tile([0.7, 0.3], (20, 1))
    points = evaluate(probabilities, labels).reliability.points
    plot_ranking(probabilities, labels, "ab", "test", tmp_path / "a.svg")
    assert "every picture is of one class: there is nothing to rank" in texts(tmp_path / "a.svg")
    right = np.zeros(20, bool)
    plot_calibration(points, probabilities.max(1), right, "test", tmp_path / "c.svg")
    assert texts(tmp_path / "c.svg")


@pytest.mark.parametrize("n_classes", [2, 5])
def test_curves_are_scikit_learns(n_classes):
    probabilities, labels, *_ = judged(n_classes, 300)
    curves = class_curves(probabilities, labels)
    assert [curve.number for curve in curves] == ([1] if n_classes == 2 else list(range(5)))
    for curve in curves:
        positive, scores = labels == curve.number, probabilities[:, curve.number]
        wrong, right, _ = roc_curve(positive, scores, drop_intermediate=False)
        corners = set(zip(curve.roc[0].round(9), curve.roc[1].round(9), strict=True))
        assert corners <= set(zip(wrong.round(9), right.round(9), strict=True))
        assert curve.area == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)
        expected = average_precision_score(positive, scores)
        assert curve.precision == pytest.approx(expected, abs=1e-12)
        steps = np.diff(curve.pr[0]) @ curve.pr[1, 1:]
        assert steps == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n_classes", [2, 5, 150])
def test_areas_are_those_of_the_metrics(n_classes, tmp_path):
    probabilities, labels, names, measured = judged(n_classes, 600)
    plot_ranking(probabilities, labels, names, "test", tmp_path / "a.svg")
    found = texts(tmp_path / "a.svg")
    assert f"ROC, area {measured.roc_auc.value:.4f} (dashed: guessing)" in found
    assert f"precision-recall, average {measured.average_precision:.4f}" in found


def test_the_hardest_of_many_classes_are_named(tmp_path):
    probabilities, labels, names, _ = judged(12, 600)
    probabilities[:, 7] = 1 - probabilities[:, 7]
    plot_ranking(probabilities, labels, names, "test", tmp_path / "a.svg")
    found = texts(tmp_path / "a.svg")
    assert "hardest class: area, precision" in found
    assert sum(text.startswith("class ") for text in found) == 10
    assert any(text.startswith("class 7: 0.0") for text in found)


def test_search_shows_the_best_of_each_layer_with_each_head(tmp_path):
    plot_search(candidates(), tmp_path / "a.svg")
    found = texts(tmp_path / "a.svg")
    assert {"logistic", "ridge", "head", "block0+top", "block2+top"} <= set(found)
    assert {"0.5100", "0.5000"} <= set(found)
    assert "best 0.7767: block2+top, standard, ridge(C=0.1)" in found


def test_search_of_one_head_has_a_column_for_each_preparation(tmp_path):
    tried = [one for one in candidates() if one["head"].startswith("ridge")]
    plot_search(tried[:-1], tmp_path / "a.svg")
    wanted = {"standard", "sqrt-l2", "preparation", "not tried", "0.5100"}
    assert wanted <= set(texts(tmp_path / "a.svg"))


def test_search_keeps_the_layers_of_the_best_candidates(tmp_path):
    plot_search(candidates(n_layers=100), tmp_path / "a.svg")
    rows = [text for text in texts(tmp_path / "a.svg") if text.endswith("+top")]
    assert rows == [f"block{i}+top" for i in range(99, 99 - MOST_ROWS, -1)]


def test_search_without_a_figure_says_so(tmp_path):
    plot_search([{**candidates()[0], "accuracy": float("nan")}], tmp_path / "a.svg")
    assert "no candidate has an accuracy" in texts(tmp_path / "a.svg")


def test_the_kept_epoch_is_marked_and_what_is_no_number_is_left_out(tmp_path):
    figures()["history"](tmp_path / "a.svg")
    found = texts(tmp_path / "a.svg")
    assert found[0] == "Fine-tuning on train and validation, n = 90, kept epoch 1"
    assert {"train", "validation", "kept epoch", "loss", "accuracy"} <= set(found)
    said = epoch_charts([{**row, "validation_accuracy": 0.5} for row in HISTORY], 1)["loss"].svg()
    assert "validation from 0.5000 to 0.2500; kept is epoch 1" in said
    assert "nan" not in said


def test_names_stay_different_when_they_are_shortened():
    long = ["x" * 30 + str(i) + "x" * 30 for i in range(3)]
    names = shown(["short", *long, "y" * 60])
    assert names[0] == "short"
    assert len(set(names)) == 5
    assert max(map(len, names)) <= LONGEST
    assert names[4] == "yyyyyyyyyyyyyy…yyyyyyyyy"


def test_a_page_and_a_file_show_the_same_chart(tmp_path):
    probabilities, labels, names, _ = judged(3)
    plot_ranking(probabilities, labels, names, "test", tmp_path / "a.svg")
    ranking = ranking_charts(probabilities, labels, names)
    text = (tmp_path / "a.svg").read_text("utf-8")
    for chart in (ranking.roc, ranking.pr):
        assert str(chart.block().body) in text
        assert str(chart.block().body) in str(chart.svg())


def test_colours_on_paper_are_those_of_the_page_by_day():
    day = page_file("report.css").partition("@media (prefers-color-scheme: dark)")[0]
    for number, colour in enumerate(COLOURS):
        assert f"--k{number}: {colour};" in day
    whole = page_file("report.css")
    for kind, shades in (("right", RIGHT_SHADES), ("wrong", WRONG_SHADES)):
        for number, colour in enumerate(shades):
            assert f".{kind}{number} {{ background: {colour}; }}" in whole


def test_drawing_imports_nothing_that_is_slow(tmp_path):
    script = f"""
import sys
from pathlib import Path
import numpy as np
import pipeline.evaluate.plots as plots
plots.plot_confusion(np.eye(3, dtype=int), "abc", "test", Path({str(tmp_path / "a.svg")!r}))
print(sorted({{"matplotlib", "PIL", "sklearn", "tensorflow"}} & set(sys.modules)))
"""
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )
    assert process.stdout == "[]\n"
