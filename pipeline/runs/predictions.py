"""The predictions of a run, one CSV row per picture."""

import csv
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from pipeline.errors import RunError
from pipeline.images import Dataset
from pipeline.system.cells import CellRows, cell
from pipeline.system.files import readable

COLUMNS = ["path", "digest", "split", "label", "prediction"]
"""Of the file, before a column ``p:<class>`` of probabilities for each class."""
MOST_LINE = 1 << 24
_DIGEST = re.compile("[0-9a-f]{64}")


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


def read_rows(path: Path, classes: Sequence[str], n: int) -> Iterator[dict[str, str]]:
    """Yield the rows of a file of n predictions by column, checked for what they are to be.

    An old run does not say its classes. Raises RunError if the file is gone, none of ours, or of
    other classes or pictures.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError("what is no file")
        with (
            readable(path),
            open(path, newline="", encoding="utf-8", errors="surrogateescape") as file,
        ):
            yield from _checked(CellRows(_lines(file)), classes, n)
    except (OSError, ValueError, csv.Error) as error:
        raise RunError(
            f"expected the predictions of {n:,} pictures in {path}, received: {error}; restore the "
            f"file, or move that folder away and train again"
        ) from error


def _lines(file: TextIO) -> Iterator[str]:
    """Yield lines, none of which is longer than any of ours."""
    while line := file.readline(MOST_LINE):
        if len(line) == MOST_LINE:
            raise ValueError(f"a line of {MOST_LINE:,} signs or more")
        yield line


def _checked(rows: Iterator[list[str]], classes: Sequence[str], n: int) -> Iterator[dict[str, str]]:
    columns = next(rows, [])
    if columns[:5] != COLUMNS or (classes and columns[5:] != [f"p:{name}" for name in classes]):
        raise ValueError("other columns than those of the run")
    known, found = frozenset(classes), 0
    for found, row in enumerate(rows, start=1):
        if len(row) != len(columns) or found > n or not _DIGEST.fullmatch(row[1]):
            raise ValueError(f"row {found}, which is none of ours")
        if known and not known.issuperset(row[3:5]):
            raise ValueError(f"row {found}, which is of no class of the run")
        if not all(0 <= float(value) < 1.01 for value in row[5:]):  # 1 may be rounded up
            raise ValueError(f"row {found}, with what is no probability")
        yield dict(zip(columns, row, strict=True))
    if found != n:
        raise ValueError(f"{found:,} rows")
