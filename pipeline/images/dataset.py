"""The dataset index: which pictures there are, what is in them, and what each is for.

Pictures are known by the SHA-256 of their bytes; paths only say where the bytes lie today. Nothing
is decoded here.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import compress
from typing import Any

import numpy as np

from pipeline.errors import UnknownNameError
from pipeline.images.corrections import Corrections
from pipeline.images.files import Files
from pipeline.images.leftout import LeftOut
from pipeline.images.readings import Reading, folder_tree
from pipeline.images.splits import (
    component_keys,
    content_numbers,
    encoded,
    hold_out,
    rows_of_bytes,
)

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled pictures, rows ordered by path.

    Args:
        location: Where they are: a resolved absolute path, or a URL.
        name: Short name of that place.
        files: What reads them.
        paths: n paths relative to ``location``, with ``/``, sorted; a manifest's may be absolute.
        digests: uint8 (n, 32), SHA-256 of each file's bytes.
        labels: int64 (n,), index into ``classes``.
        classes: Class names, sorted.
        splits: str (n,), ``"train"``, ``"validation"`` or ``"test"``. ``"test"`` is always the
            final test, see ``test_name``.
        groups: int64 (n,), index into ``group_names``, -1 for a picture of no group; None where
            no groups are given. Groups are never divided.
        group_names: Names of the groups, sorted.
        given_splits: True if the source decides the split, False if content does.
        test_name: What the source calls the final test: ``"validation"`` where it has train and
            validation only, else ``"test"``.
        ignored: What lies there and is not used.
        reading: How the source was read.
        indexing: The settings that decided it, by the names of `pipeline.config.DataConfig`.
        left_out: Pictures whose bytes could not be read; they have no row.
        corrections: What a table of corrections did; None without one.
    """

    location: str
    name: str
    files: Files
    paths: tuple[str, ...]
    digests: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    splits: np.ndarray
    groups: np.ndarray | None
    group_names: tuple[str, ...]
    given_splits: bool
    test_name: str
    ignored: tuple[str, ...]
    reading: Reading
    indexing: Mapping[str, Any]
    left_out: tuple[LeftOut, ...]
    corrections: Corrections | None = None

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def n_found(self) -> int:
        """Number of pictures that were found, whether their bytes could be read or not."""
        return len(self) + len(self.left_out)

    @property
    def unreadable(self) -> tuple[tuple[str, str], ...]:
        """(path, reason) of pictures whose bytes could not be read."""
        return tuple((one.path, one.reason) for one in self.left_out)

    def read(self, row: int) -> bytes:
        """Return the bytes of a row's file; raises OSError. Several threads may read at once."""
        return self.files.read(self.paths[row])

    def select(self, split: str) -> np.ndarray:
        """Return the row numbers of a split, int64 (k,), ascending; empty if it has none.

        Args:
            split: ``"train"``, ``"validation"`` or ``"test"``.

        Raises:
            UnknownNameError: If it is none of these.
        """
        if split not in SPLITS:
            raise UnknownNameError("split", split, SPLITS, f"choose one of {', '.join(SPLITS)}")
        return np.flatnonzero(self.splits == split)

    @cached_property
    def keys(self) -> np.ndarray:
        """What stands for each row's component: uint8 (n, 32), equal for what must stay together.

        Pictures of the same bytes or the same group, or joined by a chain of both, are one
        component; without groups a picture's key is its digest.
        """
        return component_keys(self.digests, self.groups, self.group_names)

    def bundles(self, rows: np.ndarray) -> np.ndarray | None:
        """Number rows (k,) alike that folds must keep together; None if every row is by itself.

        Returns:
            int64 (k,), row-aligned with ``rows``, equal within a component.
        """
        numbers = content_numbers(self.keys[rows])
        return None if numbers.max(initial=-1) + 1 == len(rows) else numbers

    def taking(self, rows: np.ndarray) -> "Dataset":
        """Return the data set of some rows (n,) bool alone, in their order, for counting."""
        if rows.all():
            return self
        return replace(
            self,
            paths=tuple(compress(self.paths, rows.tolist())),
            digests=self.digests[rows],
            labels=self.labels[rows],
            splits=self.splits[rows],
            groups=None if self.groups is None else self.groups[rows],
        )

    def contents_of(self, label: int) -> np.ndarray:
        """Return the numbers of a class's distinct contents, int64, ascending: equal for equal."""
        begins, contents = self._contents_by_class
        return contents[begins[label] : begins[label + 1]]

    @cached_property
    def _contents_by_class(self) -> tuple[np.ndarray, np.ndarray]:
        """Where each class begins among the distinct contents of all, and these."""
        # np.unique takes fifteen times as long.
        pairs = np.sort(self.labels * len(self) + self._contents)
        pairs = pairs[np.diff(pairs, prepend=-1) > 0]
        begins = np.searchsorted(pairs, np.arange(len(self.classes) + 1) * len(self))
        return begins, pairs % max(len(self), 1)

    @cached_property
    def n_leaked(self) -> int:
        """Number of test rows whose bytes also occur in train or validation."""
        outside = np.zeros(len(self), bool)
        outside[self._contents[self.splits != "test"]] = True
        return int(outside[self._contents[self.splits == "test"]].sum())

    @cached_property
    def n_contradictory(self) -> int:
        """Number of rows whose bytes also occur under another label."""
        lowest = np.full(len(self), len(self.classes))
        highest = np.full(len(self), -1)
        np.minimum.at(lowest, self._contents, self.labels)
        np.maximum.at(highest, self._contents, self.labels)
        return int((lowest != highest)[self._contents].sum())

    @cached_property
    def _contents(self) -> np.ndarray:
        return content_numbers(self.digests)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the number of pictures of each class and of each split that is not empty."""
        names = {"test": self.test_name}
        by_class = np.bincount(self.labels, minlength=len(self.classes)).tolist()
        return {
            "classes": dict(zip(self.classes, by_class, strict=True)),
            "splits": {
                names.get(split, split): int(count)
                for split in SPLITS
                if (count := (self.splits == split).sum())
            },
        }

    def tree(self) -> dict[str, Any]:
        """Return which folders were taken for what, see `pipeline.images.readings.folder_tree`."""
        labels = [self.classes[label] for label in self.labels]
        return folder_tree(self.paths, self.reading, labels)

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of contents, labels, splits and groups; paths and order do not matter."""
        endings = {
            (split, label): b"\0".join((b"", split.encode(), encoded(name)))
            for split in SPLITS
            for label, name in enumerate(self.classes)
        }
        records = [
            content + endings[where] + group
            for content, where, group in zip(
                rows_of_bytes(self.digests),
                zip(self.splits.tolist(), self.labels.tolist(), strict=True),
                self._group_records(),
                strict=True,
            )
        ]
        records.sort()
        # Hashing each record first keeps its bounds, whatever bytes a class name has.
        sha256 = hashlib.sha256
        return sha256(b"".join([sha256(record).digest() for record in records])).hexdigest()

    def _group_records(self) -> list[bytes]:
        if self.groups is None:
            return [b""] * len(self)
        return [b"\0" + key for key in rows_of_bytes(self.keys)]


def validation_slice(
    dataset: Dataset, rows: np.ndarray, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Hold out a stable part of some rows (k,), e.g. of train for early stopping.

    The draw is independent of the test split's.

    Returns:
        (fit_rows, validation_rows): row numbers, each in the order of ``rows``. Byte-identical
        pictures, and pictures of one group, are all in one of the two.

    Raises:
        InputError: If the fraction is not above 0 and below 1.
    """
    rows = np.asarray(rows, dtype=np.int64)
    keys, labels = dataset.keys[rows], dataset.labels[rows]
    held = hold_out(keys, labels, fraction, purpose="validation", seed=seed)
    return rows[~held], rows[held]
