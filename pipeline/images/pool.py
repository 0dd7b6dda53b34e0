"""Pools: pictures without labels, taken as they lie, whatever their folders and tables say beside.

What a data set says beyond content has one value there: one class without a name, all in train.
"""

from collections.abc import Sequence
from itertools import compress
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pipeline.config import USUAL, DataConfig
from pipeline.images.dataset import Dataset
from pipeline.images.digests import digest_files
from pipeline.images.files import Files
from pipeline.images.identity import NO_STAMP, Identities, stacked
from pipeline.images.leftout import LeftOut, check_some
from pipeline.images.own import note_own
from pipeline.images.readings import LISTED, Reading
from pipeline.images.sources import scan
from pipeline.system.progress import SILENT, Reporter

NO_CLASS = ""


def index_pool(
    location: str | Path,
    config: DataConfig = USUAL,
    *,
    memory: Path | None = None,
    remember: bool = True,
    reporter: Reporter = SILENT,
) -> Dataset:
    """List the pictures of a location, and hash every file.

    Args:
        location: A folder, archive or table, or the URL of one.
        config: Where paths are in a table; what it says of labels and splits is refused.
        memory: As for `index`, as what follows.
        remember: The same.
        reporter: The same.

    Returns:
        The pictures, rows ordered by path, all of one class without a name.

    Raises:
        InputError: The location or a setting cannot be used.
        DataError: There are no pictures, or none that can be read.
    """
    source = scan(location, config, labelled=False)
    digests, reasons = digest_files(source, memory, reporter, remember)
    left_out = [LeftOut(source.paths[row], reasons[row], NO_CLASS, "train") for row in reasons]
    check_some(source.location, len(digests), [one.to_dict() for one in left_out])
    kept = np.ones(len(digests), bool)
    kept[list(reasons)] = False
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
    """Return given pictures as a pool.

    Args:
        name: What they are called together.
        pictures: Their names and bytes.
        digests: uint8 (n, 32), of the bytes of each.
    """
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
