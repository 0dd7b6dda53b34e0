"""What a run says of its test pictures, as arrays."""

from dataclasses import dataclass

import numpy as np

from pipeline.runs import RunFolder


@dataclass(frozen=True)
class RunPredictions:
    """Predictions of one run, in the order of its ``predictions.csv``.

    Args:
        paths: n paths relative to the data's root.
        digests: (n, 32) uint8.
        labels: (n,) int, class numbers.
        called: (n,) int, what each picture was called.
        probabilities: (n, k) float.
        classes: k names.
    """

    paths: tuple[str, ...]
    digests: np.ndarray
    labels: np.ndarray
    called: np.ndarray
    probabilities: np.ndarray
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def confidence(self) -> np.ndarray:
        """(n,) float, probability of what each picture was called."""
        return self.probabilities[np.arange(len(self)), self.called]

    @property
    def confusion(self) -> np.ndarray:
        """(k, k) int, row i, column j counts pictures of class i called class j."""
        k = len(self.classes)
        return np.bincount(self.labels * k + self.called, minlength=k * k).reshape(k, k)

    @property
    def given(self) -> np.ndarray:
        """(n,) float, probability of the given label."""
        return self.probabilities[np.arange(len(self)), self.labels]

    @property
    def wrong(self) -> np.ndarray:
        """(n,) bool."""
        return self.labels != self.called

    def surest_mistakes(self) -> np.ndarray:
        """Return the rows that are called wrongly, surest first; of equals by path."""
        rows = np.flatnonzero(self.wrong).tolist()
        sure = self.confidence
        return np.array(sorted(rows, key=lambda row: (-sure[row], self.paths[row])), int)

    def confused(self, most: int, each: int) -> tuple[tuple[int, ...], ...]:
        """Return pictures of the most confused pairs of classes: rows, surest first, pair by pair.

        There are ``most`` pairs at most, and of ``each`` so many pictures.
        """
        pairs: dict[tuple[int, int], list[int]] = {}
        for row in self.surest_mistakes().tolist():
            pairs.setdefault((int(self.labels[row]), int(self.called[row])), []).append(row)
        often = sorted(pairs.values(), key=lambda rows: -len(rows))
        return tuple(tuple(rows[:each]) for rows in often[:most])


def read_predictions(run: RunFolder) -> RunPredictions:
    """Read a run's ``predictions.csv``.

    Raises:
        RunError: The file is gone, or does not belong to the run.
    """
    classes = run.dataset.classes
    numbers = {name: number for number, name in enumerate(classes)}
    read = [
        (
            row["path"],
            row["digest"],
            numbers[row["label"]],
            numbers[row["prediction"]],
            [float(row[f"p:{name}"]) for name in classes],
        )
        for row in run.predictions()
    ]
    paths, digests, labels, called, probabilities = zip(*read, strict=True)
    return RunPredictions(
        paths,
        np.frombuffer(bytes.fromhex("".join(digests)), np.uint8).reshape(-1, 32),
        np.array(labels),
        np.array(called),
        np.array(probabilities),
        classes,
    )
