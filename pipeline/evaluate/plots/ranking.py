"""How well probabilities rank pictures: ROC and precision-recall curves."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.evaluate.plots.canvas import COLOURS, QUIET, drawn, finish, say, shown, titled

MOST_THIN = 10
"""Classes whose own curves are drawn; where there are more, those with the lowest precision."""

GRID = np.linspace(0, 1, 501)


@dataclass(frozen=True)
class Curve:
    """One class against all others.

    Args:
        number: Of the class.
        roc: False and true positive rates, (2, m).
        pr: Recall and precision, (2, m), by rising recall; precision is that of the highest
            threshold that reaches the recall, and holds from the recall before.
        area: Under the ROC curve.
        precision: Average precision.
        share: Of the class among the pictures.
    """

    number: int
    roc: np.ndarray
    pr: np.ndarray
    area: float
    precision: float
    share: float


def plot_ranking(
    probabilities: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    path: Path,
    split: str = "test",
) -> None:
    """Draw the ROC and the precision-recall curve side by side.

    Of two classes they are those of the second. Of more, the thick line is the mean over classes,
    each against all others, and thin ones are single classes: all of ten, else the ten with the
    lowest average precision. The areas are those of ``metrics.json``.

    Args:
        probabilities: (n, k) float, row-aligned with ``labels``.
        labels: (n,) int, class numbers.
        classes: k names.
        path: Of the file, ``.svg`` or ``.png``.
        split: Where the pictures come from.
    """
    curves = class_curves(probabilities, labels)
    names, binary = shown(classes), len(classes) == 2
    what = f"Ranking by the probability of {names[1]}" if binary else "Ranking"
    with drawn(path, titled(what, split, len(labels)), 8.4 if binary else 11, 4.6) as figure:
        if not curves:
            say(figure, "every picture is of one class: there is nothing to rank")
        elif binary:
            _draw(figure.subplots(1, 2), curves[0], COLOURS[0])
        else:
            hardest = sorted(curves, key=lambda curve: (curve.precision, curve.number))
            _draw_classes(figure, curves, hardest[:MOST_THIN], names)


def class_curves(probabilities: np.ndarray, labels: np.ndarray) -> list[Curve]:
    """Return the curves of each class that has pictures and is not alone; of two, of the second."""
    numbers = [1] if probabilities.shape[1] == 2 else np.unique(labels).tolist()
    curves = []
    for number in numbers:
        positive = labels == number
        if positive.any() and not positive.all():
            curves.append(_curve(number, probabilities[:, number], positive))
    return curves


def _curve(number: int, scores: np.ndarray, positive: np.ndarray) -> Curve:
    """Follow both curves from one score of a positive to the next lower one.

    Between two such scores nothing but false alarms comes in, so no other threshold has a corner:
    these are the points of scikit-learn's ``roc_curve``, from a plain sort. A thousand classes take
    a tenth of the time.
    """
    n, ordered = len(scores), np.sort(scores)
    steps, counts = np.unique(scores[positive], return_counts=True)
    steps, right = steps[::-1], np.cumsum(counts[::-1])
    called = n - np.searchsorted(ordered, steps, "left")
    called_before = n - np.searchsorted(ordered, steps, "right")
    right_before = np.append(0, right[:-1])
    corners = np.stack([called_before - right_before, called - right], axis=1).ravel()
    wrong = np.concatenate([[0], corners, [n - right[-1]]]) / (n - right[-1])
    hits = np.stack([right_before, right], axis=1).ravel()
    roc = np.stack([wrong, np.concatenate([[0], hits, right[-1:]]) / right[-1]])
    recall, precision = right / right[-1], right / called
    average = float(np.sum(np.diff(recall, prepend=0) * precision))
    pr = np.stack([np.append(0, recall), np.append(precision[0], precision)])
    return Curve(number, roc, pr, float(np.trapezoid(*roc[::-1])), average, float(right[-1] / n))


def _mean(curves: Sequence[Curve]) -> Curve:
    """Return the mean over classes: of hit rates at equal false alarms, of precision at recall.

    Precision counts as a step, as in the average precision: it is that of the first threshold that
    reaches a recall.
    """
    rates = np.mean([np.interp(GRID, *curve.roc) for curve in curves], axis=0)
    firsts = [np.searchsorted(curve.pr[0], GRID) for curve in curves]
    precisions = [curve.pr[1, first] for curve, first in zip(curves, firsts, strict=True)]
    roc = np.stack([np.append(0, GRID), np.append(0, rates)])
    figures = [(curve.area, curve.precision, curve.share) for curve in curves]
    return Curve(-1, roc, np.stack([GRID, np.mean(precisions, axis=0)]), *np.mean(figures, axis=0))


def _draw(pair: Sequence[Any], curve: Curve, colour: str) -> list[Any]:
    """Draw the curve that is meant, and what guessing would give."""
    left, right = pair
    lines = _draw_curve(pair, curve, linewidth=2, color=colour)
    style = {"color": QUIET, "linestyle": ":", "linewidth": 1}
    left.plot([0, 1], [0, 1], **style)
    right.plot([0, 1], [curve.share, curve.share], **style)
    finish(left, "false positive rate", "true positive rate", f"ROC, area {curve.area:.4f}")
    finish(right, "recall", "precision", f"precision-recall, average {curve.precision:.4f}")
    for axes in pair:
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    return lines


def _draw_classes(
    figure: Any, curves: Sequence[Curve], thin: Sequence[Curve], names: Sequence[str]
) -> None:
    """Draw some classes below the mean of all, and name them beside the axes."""
    pair, lines = figure.subplots(1, 2), []
    for place, curve in enumerate(thin):
        style = {"color": COLOURS[place % 6], "linestyle": "-" if place < 6 else "--"}
        lines += _draw_curve(pair, curve, linewidth=0.9, **style)
    mean = _mean(curves)
    lines = _draw(pair, mean, "black") + lines
    texts = [names[curve.number] for curve in thin]
    texts = [
        f"{text}: {curve.area:.3f}, {curve.precision:.3f}"
        for text, curve in zip([f"mean of {len(curves)}", *texts], [mean, *thin], strict=True)
    ]
    _name_lines(figure, lines, texts, "hardest class" if len(thin) < len(curves) else "class")


def _draw_curve(pair: Sequence[Any], curve: Curve, **style: Any) -> list[Any]:
    left, right = pair
    right.plot(*curve.pr, drawstyle="steps-pre", **style)
    return list(left.plot(*curve.roc, **style))


def _name_lines(figure: Any, lines: Sequence[Any], texts: Sequence[str], what: str) -> None:
    """Set names after the legend was made: it leaves out those that begin with an underscore."""
    legend = figure.legend(
        lines,
        ["x" for _ in lines],
        loc="outside right upper",
        title=f"{what}: area, precision",
        alignment="left",
    )
    for entry, text in zip(legend.get_texts(), texts, strict=True):
        entry.set_text(text)
