"""Pictures to be labelled: files as they are named, folders and archives with all in them."""

import os
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from errno import ENOENT
from itertools import accumulate
from pathlib import Path

import numpy as np

from pipeline.config import USUAL, DataConfig
from pipeline.errors import DataError, InputError
from pipeline.images.archives import refuse_unread
from pipeline.images.digests import digest_files
from pipeline.images.files import Files, LocalFiles
from pipeline.images.location import MANIFESTS, archive_kind, locate
from pipeline.images.sources import open_archive, pictures_at, scan
from pipeline.images.walk import LocalTree, NamedTree, Tree
from pipeline.system.progress import SILENT, Reporter
from pipeline.system.units import named


@dataclass(frozen=True)
class _Part:
    """Pictures that are read alike: their paths, and what stands before each when it is named.

    And where they were found, if not by their own name.
    """

    before: str
    paths: Sequence[str]
    files: Files
    tree: Tree | None = None
    location: str = ""


class PictureList:
    """Pictures by row number; in memory are their names, nothing of what is in them."""

    def __init__(self, parts: Sequence[_Part]) -> None:
        self._parts = [part for part in parts if part.paths]
        self._ends = list(accumulate(len(part.paths) for part in self._parts))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def name(self, row: int) -> str:
        """Return a picture's path: as it was named, or as it was found in what was named."""
        part, path = self._place(row)
        return part.before + path

    def read(self, row: int) -> bytes:
        """Return a picture's bytes; raises OSError. Several threads may read at once."""
        part, path = self._place(row)
        return part.files.read(path)

    def digests(
        self, memory: Path, reporter: Reporter = SILENT, remember: bool = False
    ) -> np.ndarray:
        """Return the SHA-256 of every picture, zeros where it cannot be read: uint8 (n, 32).

        They are looked up in the folder ``memory``, and written there if asked to ``remember``. The
        reporter is told of files, part ``"index"``.
        """
        found = []
        for part in self._parts:
            kept = memory if part.location else None
            source = pictures_at(part.location, part.files, part.paths)
            found.append(digest_files(source, kept, reporter, remember)[0])
        return np.concatenate(found)

    @property
    def places(self) -> list[str]:
        """Folders and archives, resolved, in which pictures were found."""
        return [part.location for part in self._parts if part.location]

    def _place(self, row: int) -> tuple[_Part, str]:
        number = bisect_right(self._ends, row)
        part = self._parts[number]
        return part, part.paths[row - self._ends[number] + len(part.paths)]


def find_pictures(paths: Sequence[Path]) -> PictureList:
    """Return the named files, and every picture in the named folders and archives, sorted in each.

    A file that is named is taken whatever its name; in folders and archives the suffix decides, and
    the first bytes where the suffix says nothing. A picture in an archive is named by the archive's
    path and its own, with a slash between.

    Args:
        paths: Picture files, folders, .zip and .tar files.

    Raises:
        InputError: A path is not there, or an archive cannot be read in place.
        DataError: There are no pictures under any of them.
    """
    parts: list[_Part] = []
    for path in paths:
        if reason := _unfit(path):
            raise InputError(
                f"expected a picture, a folder or an archive of pictures, received {path}, {reason}"
            )
        parts.append(_part(path))
    pictures = PictureList(parts)
    if not len(pictures):
        for path, part in zip(paths, parts, strict=True):
            if part.tree is not None:
                refuse_unread(str(path), part.tree)
        raise DataError(f"expected pictures in {named(paths, 3, str)}, received none")
    return pictures


def _unfit(path: Path) -> str:
    """Return why there are no pictures at a path, with the way out; empty where there may be."""
    if path.is_file() and path.suffix.lower()[1:] in MANIFESTS:
        return "which is a table: give the pictures themselves, or the folder that they are in"
    if path.exists():
        return ""
    if set(str(path)) & set("*?["):
        return "which is not there, and no pattern is filled in here: give the folder"
    return "which is not there; put quotes around a path with spaces"


def _part(path: Path) -> _Part:
    if path.is_dir():
        folder = LocalTree(path)
        names, _ = folder.walk(())
        place = locate(path).text
        return _Part(str(path / "_")[:-1], sorted(names), LocalFiles(path), folder, place)
    if archive_kind(path) is None:
        return _Part("", [str(path)], LocalFiles(Path()))
    files = open_archive(locate(path))
    tree = NamedTree(files.names, files.odd, files.is_picture)
    names, _ = tree.walk(())
    return _Part(f"{path}/", sorted(names), files, tree, locate(path).text)


def open_reader(location: str, config: DataConfig = USUAL) -> Callable[[str], bytes]:
    """Return what reads the pictures of a local source by paths that somebody wrote.

    Only those that are found in the source are read, and none that lies elsewhere.

    Raises:
        InputError: It is not there, or cannot be read in place.
        DataError: There are no pictures in it any more.
    """
    source = scan(location, config, confined=True)
    listed = frozenset(source.paths) - source.unreadable.keys()

    def read(path: str) -> bytes:
        if path not in listed:
            raise FileNotFoundError(ENOENT, os.strerror(ENOENT))
        return source.files.read(path)

    return read
