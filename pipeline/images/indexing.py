"""Index a source: digest every file, number the labels, say which split each picture is for.

A pool is pictures without labels, taken as they lie, whatever their folders and tables say beside.
What a data set says beyond content has one value there: one class without a name, all in train.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pipeline.config import USUAL, DataConfig
from pipeline.errors import DataError
from pipeline.images.corrections import Corrections, correct
from pipeline.images.dataset import Dataset
from pipeline.images.digests import digest_files
from pipeline.images.files import Files
from pipeline.images.identity import NO_STAMP, Identities, stacked
from pipeline.images.layout import check_enough_classes
from pipeline.images.leftout import LeftOut, check_some
from pipeline.images.own import is_own, note_own
from pipeline.images.readings import LISTED, Reading
from pipeline.images.sources import Source, scan
from pipeline.images.splits import component_keys, hold_out
from pipeline.images.usable import check_every_class, check_left
from pipeline.system.progress import SILENT, Reporter

logger = logging.getLogger(__name__)


def index(
    location: str | Path,
    config: DataConfig = USUAL,
    *,
    memory: Path | None = None,
    remember: bool = True,
    confined: bool = False,
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
        remember: Whether what was read now is written into the memory, and that the place is this
            user's own, see :mod:`pipeline.images.own`; who only looks does not.
        confined: Whether to leave out what links and tables have elsewhere.
        reporter: Told of files, part ``"index"``, from the calling thread.

    Returns:
        The index, rows ordered by path.

    Raises:
        InputError: If the location or an argument cannot be used.
        DataError: If nothing can be learnt from what is there.
    """
    source = scan(location, config, confined=confined)
    digests, reasons = digest_files(source, memory, reporter, remember)
    done = None
    table = config.corrections
    if table is not None and (not confined or is_own(table)):
        corrected = correct(source, digests, reasons, table)
        source, digests, reasons = corrected.source, corrected.digests, corrected.reasons
        done = corrected.done
        (logger.warning if done.unmatched else logger.info)("%s", done.sentence)
    if config.min_per_class > 1:
        source, digests, reasons = _without_small(source, digests, reasons, config.min_per_class)
    dataset = replace(_dataset(source, digests, reasons, config, done), corrections=done)
    check_left(dataset, dataset.left_out)
    check_every_class(dataset, dataset.left_out, ("train",))
    if not (dataset.splits == "test").any():
        check_every_class(dataset, dataset.left_out, ("test",))
    if memory is not None and remember:
        for place in filter(None, (dataset.location, dataset.indexing["root"], table)):
            note_own(place)
    return dataset


def _without_small(
    source: Source, digests: np.ndarray, reasons: dict[int, str], least: int
) -> tuple[Source, np.ndarray, dict[int, str]]:
    """Leave out classes with fewer different pictures that can be read, and say so."""
    contents = {
        (label, digest.tobytes())
        for row, (label, digest) in enumerate(zip(source.labels, digests, strict=True))
        if row not in reasons
    }
    counts = Counter(label for label, _ in contents)
    dropped = {name: counts[name] for name in sorted(set(source.labels)) if counts[name] < least}
    if not dropped:
        return source, digests, reasons
    kept = [label not in dropped for label in source.labels]
    check_enough_classes(source.location, len(set(source.labels)), len(dropped), least)
    reading = replace(source.reading, dropped_classes=dropped, min_per_class=least)
    logger.info("%s", reading.dropped)
    fewer = replace(
        source,
        paths=tuple(compress(source.paths, kept)),
        labels=tuple(compress(source.labels, kept)),
        splits=tuple(compress(source.splits, kept)),
        groups=None if source.groups is None else tuple(compress(source.groups, kept)),
        reading=reading,
    )
    rows = np.flatnonzero(kept)
    places = {row: place for place, row in enumerate(rows.tolist())}
    return (
        fewer,
        digests[rows],
        {places[row]: why for row, why in reasons.items() if row in places},
    )


def _dataset(
    source: Source,
    digests: np.ndarray,
    reasons: dict[int, str],
    config: DataConfig,
    done: Corrections | None,
) -> Dataset:
    """Put together what could be read, with its splits; what corrections added is in train."""
    given = {split for split in source.splits if split} - {"train"}
    test_name = "validation" if given == {"validation"} else "test"
    purposes = {None: "train", test_name: "test"}
    purposed = [purposes.get(split, split) if given else None for split in source.splits]
    left_out = tuple(
        LeftOut(source.paths[row], reason, source.labels[row], purposed[row])
        for row, reason in sorted(reasons.items())
    )
    kept = _kept(source, digests, reasons, left_out)
    classes, labels = _numbered(source.labels, kept)
    digests = digests[kept]
    group_names: tuple[str, ...] = ()
    groups = None
    if source.groups is not None:
        group_names, groups = _numbered(source.groups, kept)
    if given:
        splits = np.array(purposed)[kept]
        _check_groups(source, groups, group_names, splits)
    else:
        keys = component_keys(digests, groups, group_names)
        added = set[str]() if done is None else {*done.added}
        own = np.array([path not in added for path in compress(source.paths, kept)], bool)
        held = np.zeros(len(own), bool)
        fraction, seed = config.test_fraction, config.seed
        held[own] = hold_out(keys[own], labels[own], fraction, purpose="test", seed=seed)
        for label in np.unique(labels[~own]).tolist():
            mine = np.flatnonzero(own & (labels == label))
            if len(mine) and not held[mine].any():  # there are others now to learn from
                held |= own & (keys == keys[mine[0]]).all(axis=1)
        splits = np.where(held, "test", "train")
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
        left_out=left_out,
    )


def _numbered(names: Sequence[str | None], kept: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the sorted names, and the number of each kept one among them: int64 (n,), None -1."""
    known = tuple(sorted({name for name in names if name is not None}))
    numbers: dict[str | None, int] = {None: -1}
    numbers.update((name, number) for number, name in enumerate(known))
    return known, np.array([numbers[name] for name in names], np.int64)[kept]


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


NO_CLASS = ""


def index_pool(
    location: str | Path,
    config: DataConfig = USUAL,
    *,
    memory: Path | None = None,
    remember: bool = True,
    reporter: Reporter = SILENT,
) -> Dataset:
    """List the pictures of a location, and hash every file; see `index` for what is alike.

    What the config says of labels and splits is refused.

    Returns:
        The pictures, rows ordered by path, all of one class without a name.

    Raises:
        InputError: The location or a setting cannot be used.
        DataError: There are no pictures, or none that can be read.
    """
    source = scan(location, config, labelled=False)
    digests, reasons = digest_files(source, memory, reporter, remember)
    left_out = [LeftOut(source.paths[row], reasons[row], NO_CLASS, "train") for row in reasons]
    kept = _kept(source, digests, reasons, left_out)
    if memory is not None and remember:
        note_own(source.location)
    return _unlabelled(
        (source.location, source.name),
        source.files,
        tuple(compress(source.paths, kept.tolist())),
        digests[kept],
        left_out=tuple(left_out),
        ignored=source.ignored,
    )


def _kept(
    source: Source, digests: np.ndarray, reasons: Mapping[int, str], left_out: Sequence[LeftOut]
) -> np.ndarray:
    """Return which rows have a digest, (n,) bool; raises DataError if none has."""
    check_some(source.location, len(digests), [one.to_dict() for one in left_out])
    kept = np.ones(len(digests), bool)
    kept[list(reasons)] = False
    return kept


def is_pool(dataset: Dataset) -> bool:
    """Return whether pictures were taken without labels."""
    return dataset.classes == (NO_CLASS,)


class Listed(Protocol):
    """Pictures by row number, each with a name."""

    def __len__(self) -> int: ...

    def name(self, row: int) -> str:
        """Return what a row is called in messages."""

    def read(self, row: int) -> bytes:
        """Return a row's picture file; raises OSError."""


def pool_of(name: str, pictures: Listed, digests: np.ndarray) -> Dataset:
    """Return given pictures, called ``name`` together, as a pool; uint8 (n, 32) digests of each."""
    paths = [pictures.name(row) for row in range(len(pictures))]
    return _unlabelled((name, name), _GivenFiles(pictures, paths), paths, digests)


class _GivenFiles(Files):
    """Given pictures as the files of a source; one path given twice is one file."""

    waits = False

    def __init__(self, pictures: Listed, paths: Sequence[str]) -> None:
        self._pictures, self._rows = pictures, dict(zip(paths, range(len(paths)), strict=True))

    def read(self, path: str) -> bytes:
        return self._pictures.read(self._rows[path])

    def identities(self, paths: Sequence[str]) -> Identities:
        return stacked([NO_STAMP] * len(paths))


def _unlabelled(
    place: tuple[str, str], files: Files, paths: Sequence[str], digests: np.ndarray, **more: Any
) -> Dataset:
    """Return pictures as stages take them, of a place with a short name."""
    return Dataset(
        location=place[0],
        name=place[1],
        files=files,
        paths=tuple(paths),
        digests=digests,
        labels=np.zeros(len(paths), np.int64),
        classes=(NO_CLASS,),
        splits=np.full(len(paths), "train"),
        groups=None,
        group_names=(),
        given_splits=False,
        test_name="test",
        reading=Reading(LISTED),
        indexing={},
        **{"ignored": (), "left_out": (), **more},
    )
