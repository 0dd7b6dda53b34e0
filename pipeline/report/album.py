"""The pictures of one data set that a report shows, and what runs say of its test pictures."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.images import SPLITS, Dataset
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


Key = tuple[bytes, str, int]
"""A picture by its content and label, whatever it is called; the number tells copies apart."""


@dataclass(frozen=True)
class Album:
    """Pictures in the order of the data set.

    Args:
        paths: n paths, as the data set names them today.
        labels: n class names.
        splits: n names of splits.
        digests: (n, 32) uint8.
        rows: (n,) int, rows of the data set that is shown; None where it is not what it was.
        n_all: Pictures there are; more than n where this is a sample.
        n_mistakes: Mistakes among the pictures there are.
        n_mistakes_kept: Mistakes among these.
        places: Where each picture of the data set is among these, by its key.
    """

    paths: tuple[str, ...]
    labels: tuple[str, ...]
    splits: tuple[str, ...]
    digests: np.ndarray
    rows: np.ndarray | None
    n_all: int
    n_mistakes: int
    n_mistakes_kept: int
    places: dict[Key, int]

    def __len__(self) -> int:
        return len(self.paths)

    def of(self, predictions: RunPredictions) -> np.ndarray:
        """Return where each predicted picture is among these: (m,) int, -1 where it is not."""
        return np.array([self.places.get(key, -1) for key in predicted_keys(predictions)], int)

    @property
    def sampled(self) -> bool:
        """Whether there are more pictures than these."""
        return len(self) < self.n_all


def choose_pictures(
    dataset: Dataset | None,
    predictions: Sequence[tuple[str, RunPredictions]],
    wanted: Sequence[str],
    most: int,
    seed: int,
) -> Album:
    """Choose the pictures to show: all, or a seeded sample that keeps the mistakes.

    The data set counts where it is still what it was. Predictions are of each run in detail, with
    the name of the split that was judged. Paths that are ``wanted`` come after the mistakes, of
    which the surest stay if there are more than ``most``.
    """
    if dataset is None:
        split, first = predictions[0]
        paths, digests = first.paths, first.digests
        labels = [first.classes[label] for label in first.labels.tolist()]
        splits = [split] * len(first)
    else:
        called = {split: split for split in SPLITS} | {"test": dataset.test_name}
        paths, digests = tuple(dataset.paths), dataset.digests
        labels = [dataset.classes[label] for label in dataset.labels.tolist()]
        splits = [called[split] for split in dataset.splits.tolist()]
    keys = list(_keys(digests, labels))
    mistakes = _mistakes(keys, [one for _, one in predictions])
    kept = list(range(len(paths)))
    if len(paths) > most:
        names = set(wanted)
        named = [row for row, path in enumerate(paths) if path in names]
        others = np.random.default_rng(seed).permutation(len(paths)).tolist()
        kept = sorted(list(dict.fromkeys([*mistakes, *named, *others]))[:most])
    return Album(
        paths=tuple(paths[row] for row in kept),
        labels=tuple(labels[row] for row in kept),
        splits=tuple(splits[row] for row in kept),
        digests=digests[kept],
        rows=None if dataset is None else np.array(kept, int),
        n_all=len(paths),
        n_mistakes=len(mistakes),
        n_mistakes_kept=len(set(mistakes).intersection(kept)),
        places={keys[row]: place for place, row in enumerate(kept)},
    )


def predicted_keys(predictions: RunPredictions) -> Iterator[Key]:
    """Yield the key of each predicted picture."""
    labels = [predictions.classes[label] for label in predictions.labels.tolist()]
    return _keys(predictions.digests, labels)


def _keys(digests: np.ndarray, labels: Sequence[str]) -> Iterator[Key]:
    seen: Counter[tuple[bytes, str]] = Counter()
    for digest, label in zip(digests, labels, strict=True):
        content = (digest.tobytes(), label)
        yield (*content, seen[content])
        seen[content] += 1


def _mistakes(keys: Sequence[Key], predictions: Sequence[RunPredictions]) -> list[int]:
    """Return the rows of keys that some run calls wrongly, the surest mistakes first."""
    where = {key: row for row, key in enumerate(keys)}
    sure: dict[int, float] = {}
    for one in predictions:
        predicted, confidence = list(predicted_keys(one)), one.confidence
        for row in np.flatnonzero(one.wrong).tolist():
            if (place := where.get(predicted[row])) is not None:
                sure[place] = max(sure.get(place, 0.0), float(confidence[row]))
    return sorted(sure, key=lambda row: (-sure[row], row))
