"""The dataset index: which pictures there are, what is in them, and what each is for.

Pictures are known by the SHA-256 of their bytes; paths only say where the bytes lie today. Nothing
is decoded here.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pipeline.errors import DataError, UnknownNameError
from pipeline.images.sources import Source, scan
from pipeline.images.splits import hold_out
from pipeline.images.threads import thread_count

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled pictures, rows ordered by path.

    Args:
        root: The folder that was indexed.
        paths: n paths relative to ``root``, with ``/``, sorted.
        digests: uint8 (n, 32), SHA-256 of each file's bytes.
        labels: int64 (n,), index into ``classes``.
        classes: Class names, sorted.
        splits: str (n,), ``"train"``, ``"validation"`` or ``"test"``. ``"test"`` is always the
            final test, see ``test_name``.
        given_splits: True if the folder decides the split, False if content does.
        test_name: What the folder calls the final test: ``"validation"`` where it has train and
            validation only, else ``"test"``.
        ignored: What lies in the folder and is not used.
        unreadable: (path, reason) of pictures whose bytes could not be read; they have no row.
    """

    root: Path
    paths: tuple[str, ...]
    digests: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    splits: np.ndarray
    given_splits: bool
    test_name: str
    ignored: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]

    def __len__(self) -> int:
        return len(self.paths)

    def fullpath(self, row: int) -> Path:
        """Return where the file of a row lies."""
        return self.root / self.paths[row]

    def read(self, row: int) -> bytes:
        """Return the bytes of a row's file; raises OSError."""
        return self.fullpath(row).read_bytes()

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
    def n_leaked(self) -> int:
        """Number of test rows whose bytes also occur in train or validation."""
        outside = {self.digests[row].tobytes() for row in np.flatnonzero(self.splits != "test")}
        return sum(self.digests[row].tobytes() in outside for row in self.select("test"))

    @cached_property
    def n_contradictory(self) -> int:
        """Number of rows whose bytes also occur under another label."""
        labels: dict[bytes, set[int]] = {}
        for content, label in zip(self.digests, self.labels.tolist(), strict=True):
            labels.setdefault(content.tobytes(), set()).add(label)
        return sum(len(labels[content.tobytes()]) > 1 for content in self.digests)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the number of pictures of each class and of each split that is not empty."""
        names = {"test": self.test_name}
        return {
            "classes": {
                name: int((self.labels == label).sum()) for label, name in enumerate(self.classes)
            },
            "splits": {
                names.get(split, split): int(count)
                for split in SPLITS
                if (count := (self.splits == split).sum())
            },
        }

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of contents, labels and splits; paths and their order do not matter."""
        records = sorted(
            b"\0".join((content.tobytes(), split.encode(), _encode(self.classes[label])))
            for content, label, split in zip(
                self.digests, self.labels, self.splits.tolist(), strict=True
            )
        )
        # Hashing each record first keeps its bounds, whatever bytes a class name has.
        return hashlib.sha256(b"".join(hashlib.sha256(r).digest() for r in records)).hexdigest()


def index(
    root: str | Path,
    *,
    seed: int = 0,
    test_fraction: float = 0.2,
    n_threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Scan a folder of pictures, hash every file and say which split each belongs to.

    Splits given by folders are kept. Where there are train and validation only, validation is the
    final test. Where there are none (or train alone), the split is made from content, see
    :mod:`pipeline.images.splits`.

    Args:
        root: A folder in one of the layouts of :mod:`pipeline.images.sources`.
        seed: Of the split made here; another seed is another split.
        test_fraction: Share of pictures to hold out where no split is given.
        n_threads: Threads that read and hash; None for one a core.
        progress: Called with (files done, files in all) from the calling thread.

    Returns:
        The index, rows ordered by path.

    Raises:
        InputError: If the folder or an argument cannot be used.
        DataError: If nothing can be learnt from the folder.
    """
    source = scan(root)
    results = list(_hash_files(source, thread_count(n_threads), progress))
    kept = [row for row, result in enumerate(results) if isinstance(result, bytes)]
    digests = _stack(result for result in results if isinstance(result, bytes))
    unreadable = tuple(
        (path, result)
        for path, result in zip(source.paths, results, strict=True)
        if isinstance(result, str)
    )
    names = [source.labels[row] for row in kept]
    classes = tuple(sorted(set(source.labels)))
    _check_readable(source, classes, names, unreadable)
    labels = _encode_labels(names, classes)
    given = {split for split in source.splits if split} - {"train"}
    splits = (
        _given_splits(source, kept, given)
        if given
        else _made_splits(digests, labels, test_fraction, seed)
    )
    _check_splits(source, classes, labels, splits)
    return Dataset(
        root=source.root,
        paths=tuple(source.paths[row] for row in kept),
        digests=digests,
        labels=labels,
        classes=classes,
        splits=splits,
        given_splits=bool(given),
        test_name="validation" if given == {"validation"} else "test",
        ignored=source.ignored,
        unreadable=unreadable,
    )


def validation_slice(
    dataset: Dataset, rows: np.ndarray, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Hold out a stable part of some rows, e.g. of train for early stopping.

    Args:
        dataset: The index.
        rows: Row numbers (k,) to divide.
        fraction: Share to hold out, above 0 and below 1.
        seed: Of the draw, independent of the test split's.

    Returns:
        (fit_rows, validation_rows): row numbers, each in the order of ``rows``. Byte-identical
        pictures are all in one of the two.

    Raises:
        InputError: If the fraction is out of range.
    """
    rows = np.asarray(rows, dtype=np.int64)
    digests, labels = dataset.digests[rows], dataset.labels[rows]
    held = hold_out(digests, labels, fraction, purpose="validation", seed=seed)
    return rows[~held], rows[held]


def _hash_files(
    source: Source, n_threads: int, progress: Callable[[int, int], None] | None
) -> Iterator[bytes | str]:
    """Yield, per path, the digest or the reason why there is none."""
    pool = ThreadPoolExecutor(n_threads, thread_name_prefix="hash")
    try:
        paths = (source.root / path for path in source.paths)
        for n_done, result in enumerate(pool.map(_hash_file, paths), start=1):
            yield result
            if progress:
                progress(n_done, len(source.paths))
    finally:
        pool.shutdown(cancel_futures=True)


def _hash_file(path: Path) -> bytes | str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        return error.strerror or type(error).__name__


def _stack(digests: Iterable[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32).copy()


def _encode_labels(names: list[str], classes: tuple[str, ...]) -> np.ndarray:
    numbers = {name: number for number, name in enumerate(classes)}
    return np.array([numbers[name] for name in names], dtype=np.int64)


def _check_readable(
    source: Source,
    classes: tuple[str, ...],
    names: list[str],
    unreadable: tuple[tuple[str, str], ...],
) -> None:
    for name in sorted(set(classes) - set(names)):
        path, reason = next(
            bad for bad in unreadable if source.labels[source.paths.index(bad[0])] == name
        )
        raise DataError(
            f"expected readable pictures of class {name!r} in {source.root}, but none can be read, "
            f"e.g. {path} ({reason}): make them readable or move the class folder away"
        )


def _given_splits(source: Source, kept: list[int], given: set[str]) -> np.ndarray:
    final = "validation" if given == {"validation"} else "test"
    splits = [source.splits[row] or "train" for row in kept]
    return np.array(["test" if split == final else split for split in splits])


def _made_splits(
    digests: np.ndarray, labels: np.ndarray, test_fraction: float, seed: int
) -> np.ndarray:
    held = hold_out(digests, labels, test_fraction, purpose="test", seed=seed)
    return np.where(held, "test", "train")


def _check_splits(
    source: Source, classes: tuple[str, ...], labels: np.ndarray, splits: np.ndarray
) -> None:
    trained = set(labels[splits == "train"].tolist())
    for label, name in enumerate(classes):
        if label not in trained:
            raise DataError(
                f"expected readable train pictures of class {name!r} in {source.root}, but none "
                "can be read: make them readable or remove the class"
            )
    if not (splits == "test").any():
        raise DataError(
            f"expected a picture for the final test in {source.root}, received none that can be "
            "read and is not needed for training: add different pictures"
        )


def _encode(name: str) -> bytes:
    # Names of files need not be valid text on every system.
    return name.encode("utf-8", "surrogateescape")
