"""The pictures of one data set that a report shows, and where each comes from."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.images import SPLITS, Dataset
from pipeline.report.predictions import RunPredictions

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
