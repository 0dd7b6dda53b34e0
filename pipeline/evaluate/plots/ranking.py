"""How well probabilities rank pictures: ROC and precision-recall curves."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.evaluate.plots.svg import (
    COLOURS,
    SQUARE,
    Chart,
    even_ticks,
    legend,
    sentence,
    shown,
    titled,
    write_figure,
)
from pipeline.evaluate.ranking import one_against_others

MOST_THIN = 10
"""Classes whose own curves are drawn; where there are more, those with the lowest precision."""

MOST_POINTS = 160
"""Points of a line; a chart is hardly wider in pixels."""

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


@dataclass(frozen=True)
class Named:
    """A curve as it is drawn: classes of its line, and its class, or what it is the mean of."""

    kind: str
    name: str
    curve: Curve


@dataclass(frozen=True)
class Ranking:
    """Both charts, with what their lines are, and how many classes have none.

    The first line is that which is meant, then single classes where there are several, the hardest
    first.
    """

    roc: Chart
    pr: Chart
    lines: tuple[Named, ...]
    n_more: int


def plot_ranking(
    probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[str], split: str, path: Path
) -> None:
    """Draw the ROC and the precision-recall curve of (n, k) probabilities side by side."""
    names = shown(classes)
    ranking = ranking_charts(probabilities, labels, names)
    what = f"Ranking by the probability of {names[1]}" if len(names) == 2 else "Ranking"
    title = titled(what, split, len(labels))
    if ranking is None:
        one_class = sentence("every picture is of one class: there is nothing to rank")
        write_figure(path, title, [one_class])
        return
    blocks = [ranking.roc.block(), ranking.pr.block()]
    if len(ranking.lines) > 1:
        entries = [
            (line.kind, f"{line.name}: {line.curve.area:.3f}, {line.curve.precision:.3f}")
            for line in ranking.lines
        ]
        which = "hardest class" if ranking.n_more else "class"
        blocks.append(legend(f"{which}: area, precision", entries))
    write_figure(path, title, blocks)


def ranking_charts(
    probabilities: np.ndarray, labels: np.ndarray, names: Sequence[str]
) -> Ranking | None:
    """Draw ROC and precision-recall curves; None where every picture is of one class.

    Of two classes they are those of the second. Of more, the thick line is the mean over classes,
    each against all others, and thin ones are single classes: all of ten, else the ten with the
    lowest average precision. The areas are those of ``metrics.json``. Probabilities (n, k) and
    labels (n,) are row-aligned; names stand there as they are.
    """
    curves = class_curves(probabilities, labels)
    if not curves:
        return None
    hardest = sorted(curves, key=lambda curve: (curve.precision, curve.number))[:MOST_THIN]
    lines = [Named(_kind(place), names[curve.number], curve) for place, curve in enumerate(hardest)]
    if len(names) > 2:
        lines.insert(0, Named("mean", f"mean of {len(curves)}", _mean(curves)))
    else:
        lines = [replace(lines[0], kind="c0")]
    unit, meant = even_ticks(0.0, 1.0), lines[0].curve
    roc = Chart((0, 1), (0, 1), "false positive rate", "true positive rate", SQUARE)
    pr = Chart((0, 1), (0, 1), "recall", "precision", SQUARE)
    roc.ticks(unit, unit).line([(0, 0), (1, 1)], "quiet dashed")
    pr.ticks(unit, unit).line([(0, meant.share), (1, meant.share)], "quiet dashed")
    for line in reversed(lines):
        roc.line(_thinned(line.curve.roc.T), line.kind)
        pr.line(_thinned(_stepped(line.curve.pr)), line.kind)
    said = "{} curves; the figures are in the list below".format
    roc.tell(said("ROC"), f"ROC, area {meant.area:.4f} (dashed: guessing)")
    pr.tell(said("Precision-recall"), f"precision-recall, average {meant.precision:.4f}")
    return Ranking(roc, pr, tuple(lines), len(curves) - len(hardest))


def _kind(place: int) -> str:
    n = len(COLOURS)
    return f"c{place % n} thin{' dashed' if place >= n else ''}"


def _stepped(curve: np.ndarray) -> np.ndarray:
    """Let precision hold from the recall before: (m, 2)."""
    recall, precision = curve
    corners = np.stack([np.repeat(recall, 2)[:-1], np.repeat(precision, 2)[1:]])
    return corners.T


def _thinned(points: np.ndarray) -> list[tuple[float, float]]:
    """Leave out points that lie within a pixel or two of their neighbours; ends stay."""
    rounded = np.round(points, 3)
    differs = np.append(True, (rounded[1:] != rounded[:-1]).any(1))
    kept = rounded[differs]
    step = max(1, len(kept) // MOST_POINTS)
    places = np.unique(np.append(np.arange(0, len(kept), step), len(kept) - 1))
    return [(float(x), float(y)) for x, y in kept[places]]


def class_curves(probabilities: np.ndarray, labels: np.ndarray) -> list[Curve]:
    """Return the curves of each class that has pictures and is not alone; of two, of the second."""
    return [_curve(*one) for one in one_against_others(probabilities, labels)]


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
