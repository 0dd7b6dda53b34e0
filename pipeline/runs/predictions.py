"""The predictions of a run, one CSV row per picture."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from pipeline.errors import RunError
from pipeline.images import Dataset
from pipeline.system.cells import CellRows, cell

COLUMNS = ["path", "digest", "split", "label", "prediction"]
"""Of the file, before a column ``p:<class>`` of probabilities for each class."""


@dataclass(frozen=True)
class PredictionRows:
    """Predictions of one split, row-aligned.

    Args:
        paths: (n,) relative to the data's root.
        digests: (n, 32) uint8, SHA-256 of the files' bytes.
        split: The split they come from.
        labels: (n,) int.
        probabilities: (n, k) float.
        classes: k names.
    """

    paths: Sequence[str]
    digests: np.ndarray
    split: str
    labels: np.ndarray
    probabilities: np.ndarray
    classes: Sequence[str]

    @classmethod
    def of(cls, dataset: Dataset, rows: np.ndarray, probabilities: np.ndarray) -> "PredictionRows":
        """Take rows of the final test split, with their probabilities (len(rows), k)."""
        return cls(
            [dataset.paths[row] for row in rows],
            dataset.digests[rows],
            dataset.test_name,
            dataset.labels[rows],
            probabilities,
            dataset.classes,
        )

    def write(self, path: Path) -> None:
        """Write one CSV row per picture, with a probability column ``p:<class>`` each."""
        # File names need not be text on every system; what they are made of comes back as it was.
        with open(path, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            table = csv.writer(file)
            table.writerow(COLUMNS + [f"p:{name}" for name in self.classes])
            for i, picture in enumerate(self.paths):
                probabilities = self.probabilities[i]
                label = self.classes[self.labels[i]]
                prediction = self.classes[int(probabilities.argmax())]
                digest = self.digests[i].tobytes().hex()
                figures = [f"{value:.6g}" for value in probabilities]
                texts = map(cell, (picture, digest, self.split, label, prediction))
                table.writerow([*texts, *figures])


@contextmanager
def open_rows(path: Path) -> Iterator["csv.DictReader[str]"]:
    """Open a file of predictions: one row per picture, by column.

    Raises:
        RunError: The file is gone, or what the context finds in it is none of ours.
    """
    try:
        with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
            table = csv.DictReader(file)
            table.reader = cast(Any, CellRows(file))
            yield table
    except (OSError, KeyError, ValueError, csv.Error) as error:
        raise RunError(f"expected predictions in {path}, received: {error}") from error
