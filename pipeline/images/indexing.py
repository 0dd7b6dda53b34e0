"""Index a source: digest every file, number the labels, say which split each picture is for."""

from collections.abc import Sequence
from itertools import compress
from pathlib import Path

import numpy as np

from pipeline.config import USUAL, DataConfig
from pipeline.errors import DataError
from pipeline.images.dataset import Dataset
from pipeline.images.digests import digest_files
from pipeline.images.sources import Source, scan
from pipeline.images.splits import component_keys, hold_out
from pipeline.system.progress import SILENT, Reporter


def index(
    location: str | Path,
    config: DataConfig = USUAL,
    *,
    memory: Path | None = None,
    remember: bool = True,
    reporter: Reporter = SILENT,
) -> Dataset:
    """List the pictures of a location, hash every file and say which split each belongs to.

    Given splits are kept. Where there are train and validation only, validation is the final test.
    Where there are none (or train alone), the split is made from content, see
    :mod:`pipeline.images.splits`.

    Args:
        location: A folder, archive or table, or the URL of one, see :mod:`pipeline.images.sources`.
        config: How to read it, and what to hold out where no split is given.
        memory: Folder in which digests are remembered, so that unchanged files are not read again;
            None to read every file.
        remember: Whether what was read now is written into the memory; who only looks does not.
        reporter: Told of files, part ``"index"``, from the calling thread.

    Returns:
        The index, rows ordered by path.

    Raises:
        InputError: If the location or an argument cannot be used.
        DataError: If nothing can be learnt from what is there.
    """
    source = scan(location, config)
    digests, reasons = digest_files(source, memory, reporter, remember)
    return _dataset(source, digests, reasons, config)


def _dataset(
    source: Source, digests: np.ndarray, reasons: dict[int, str], config: DataConfig
) -> Dataset:
    """Put together what could be read, with its splits."""
    kept = np.ones(len(digests), bool)
    kept[list(reasons)] = False
    classes, labels = _numbered(source.labels, kept)
    _check_readable(source, classes, labels, reasons)
    digests = digests[kept]
    group_names: tuple[str, ...] = ()
    groups = None
    if source.groups is not None:
        group_names, groups = _numbered(source.groups, kept)
    given = {split for split in source.splits if split} - {"train"}
    test_name = "validation" if given == {"validation"} else "test"
    if given:
        purposes = {None: "train", test_name: "test"}
        splits = np.array([purposes.get(split, split) for split in source.splits])[kept]
        _check_groups(source, groups, group_names, splits)
    else:
        keys = component_keys(digests, groups, group_names)
        held = hold_out(keys, labels, config.test_fraction, purpose="test", seed=config.seed)
        splits = np.where(held, "test", "train")
    _check_splits(source, classes, labels, splits)
    return Dataset(
        location=source.location,
        name=source.name,
        files=source.files,
        paths=tuple(compress(source.paths, kept.tolist())),
        digests=digests,
        labels=labels,
        classes=classes,
        splits=splits,
        groups=groups,
        group_names=group_names,
        given_splits=bool(given),
        test_name=test_name,
        ignored=source.ignored,
        reading=source.reading,
        indexing=config.indexing,
        unreadable=tuple((source.paths[row], reason) for row, reason in sorted(reasons.items())),
    )


def _numbered(names: Sequence[str | None], kept: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the sorted names, and the number of each kept one among them: int64 (n,), None -1."""
    known = tuple(sorted({name for name in names if name is not None}))
    numbers: dict[str | None, int] = {None: -1}
    numbers.update((name, number) for number, name in enumerate(known))
    return known, np.array([numbers[name] for name in names], np.int64)[kept]


def _check_readable(
    source: Source, classes: tuple[str, ...], readable: np.ndarray, reasons: dict[int, str]
) -> None:
    counts = np.bincount(readable, minlength=len(classes))
    for label in np.flatnonzero(counts == 0):
        name = classes[label]
        row = next(row for row in sorted(reasons) if source.labels[row] == name)
        raise DataError(
            f"expected readable pictures of class {name!r} in {source.location}, but none can be "
            f"read, e.g. {source.paths[row]} ({reasons[row]}): make them readable or leave the "
            "class out"
        )


def _check_groups(
    source: Source, groups: np.ndarray | None, names: tuple[str, ...], splits: np.ndarray
) -> None:
    """Refuse given splits that tear a group apart: its pictures would leak into the test."""
    if groups is None:
        return
    home = np.full(len(names), "", splits.dtype)
    grouped = groups >= 0
    home[groups[grouped]] = splits[grouped]
    torn = np.flatnonzero(grouped & (home[groups] != splits))
    if len(torn):
        group = groups[torn[0]]
        raise DataError(
            f"expected every group of {source.location} in one split, received {names[group]!r} in "
            f"{splits[torn[0]]} and {home[group]}: give all its rows the same split"
        )


def _check_splits(
    source: Source, classes: tuple[str, ...], labels: np.ndarray, splits: np.ndarray
) -> None:
    trained = np.bincount(labels[splits == "train"], minlength=len(classes))
    for label in np.flatnonzero(trained == 0):
        raise DataError(
            f"expected readable train pictures of class {classes[label]!r} in {source.location}, "
            "received none: make them readable, divide its groups, or remove the class"
        )
    if not (splits == "test").any():
        raise DataError(
            f"expected a picture for the final test in {source.location}, received none that can "
            "be read and is not needed for training: add different pictures"
        )
