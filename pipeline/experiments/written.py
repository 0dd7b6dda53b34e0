"""What a run folder holds for people: mistakes with their pictures, and plots."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.evaluate import confident_mistakes, confused_pairs
from pipeline.images import Dataset


def test_figures(dataset: Dataset, rows: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """Return the most confused pairs of classes and the surest mistakes, with paths.

    Args:
        dataset: The pictures.
        rows: Rows of the test split (n,).
        probabilities: (n, k) float, row-aligned.
    """
    paths = [dataset.paths[row] for row in rows]
    given = (probabilities, dataset.labels[rows], paths, dataset.classes)
    return {"confused": confused_pairs(*given), "mistakes": confident_mistakes(*given)}


def write_plots(
    folder: Path,
    test: Mapping[str, Any],
    probabilities: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    candidates: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Draw how good a run is, and what a search tried, as SVG files.

    Args:
        folder: Made here.
        test: The test split's part of ``metrics.json``.
        probabilities: (n, k) float, of the test split.
        labels: (n,) int, row-aligned.
        classes: k names.
        candidates: Rows of ``search.json``, if there was a search.
    """
    from pipeline.plots import plot_calibration, plot_confusion, plot_ranking, plot_search

    folder.mkdir()
    plot_confusion(test, classes, folder / "confusion.svg")
    plot_calibration(test, folder / "calibration.svg", probabilities.max(1))
    plot_ranking(probabilities, labels, classes, folder / "ranking.svg", test["split"])
    if candidates:
        plot_search(candidates, folder / "search.svg")
