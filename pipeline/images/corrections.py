"""Corrections: a table that says the labels of some pictures anew. The user's files stay.

What is said of a picture holds for its content, so for every copy of it. A picture that the data
set does not have, but that is there as a file, is one more to learn from: it joins train.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.errors import DataError, InputError, UnknownNameError
from pipeline.images.files import Files, LocalFiles, read_file
from pipeline.images.identity import Identities
from pipeline.images.location import CSV
from pipeline.images.sources import PlacedFiles, Source
from pipeline.images.splits import rows_of_bytes
from pipeline.images.tables.text import read_text
from pipeline.system.cells import named_as, plain
from pipeline.system.units import counted, named

DROP = "drop"
_HEX = re.compile(r"[0-9a-fA-F]{64}")
_MOST_BYTES = 1 << 28


@dataclass(frozen=True)
class Corrections:
    """What a table of corrections did.

    Args:
        file: The table.
        changed: Pictures that have another label now, copies counted.
        confirmed: Pictures whose label was said as it is.
        dropped: Pictures that are left out now.
        added: Paths of pictures that the data set did not have.
        unmatched: What is in the table and is neither in the data set nor a file.
    """

    file: str
    changed: int
    confirmed: int
    dropped: int
    added: tuple[str, ...]
    unmatched: tuple[str, ...]

    @property
    def applied(self) -> int:
        """Pictures of which the table said something, all together."""
        return self.changed + self.confirmed + self.dropped + len(self.added)

    @property
    def sentence(self) -> str:
        """The same in one line."""
        lost = f"; not found: {named(self.unmatched)}" if self.unmatched else ""
        return (
            f"{self.file}: {counted(self.changed, 'label')} changed, {self.confirmed} confirmed, "
            f"{counted(self.dropped, 'picture')} dropped, {len(self.added)} added to train{lost}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, for ``--json``."""
        lists = {"added": list(self.added), "unmatched": list(self.unmatched)}
        return {"applied": self.applied, **vars(self), **lists}


@dataclass(frozen=True)
class Corrected:
    """A source after its corrections, with digests (n, 32) and reasons by row as it had before."""

    source: Source
    digests: np.ndarray
    reasons: dict[int, str]
    done: Corrections


def correct(
    source: Source, digests: np.ndarray, reasons: Mapping[int, str], file: str
) -> Corrected:
    """Apply a table of corrections to a source.

    Args:
        source: The pictures.
        digests: uint8 (n, 32), row-aligned.
        reasons: Why rows have no digest.
        file: A text table with a column ``label``, and ``path`` or ``digest`` or both; a row
            without a label says nothing.

    Raises:
        InputError: It is no such table, or says nothing of these pictures.
        UnknownNameError: A label is no class of them.
        DataError: It says two things of one picture, or leaves less than two classes.
    """
    said = list(_rows(file, sorted(set(source.labels))))
    at = _Places(source, digests, file)
    meant, extra, unmatched = dict[bytes, _Row](), dict[str, tuple[bytes, str]](), list[str]()
    for row in said:
        digest, path = at.of(row)
        if digest is None or (path is not None and row.label == DROP):
            unmatched.append(row.path or row.digest)
            continue
        other = meant.setdefault(digest, row)
        if other.label != row.label:
            raise DataError(
                f"expected one label for a picture in {file}, received {other.label!r} in row "
                f"{other.number} and {row.label!r} in row {row.number} for {row.path or row.digest}"
                f": keep one of the two"
            )
        if path is not None and other is row:
            extra[path] = digest, row.label
    if not meant:
        raise InputError(
            f"expected pictures of {source.location} in {file}, received none of them, e.g. "
            f"{named(unmatched)}: write paths as they are in the data set, or absolute ones"
        )
    labels = [
        meant[one].label if one in meant and row not in reasons else label
        for row, (one, label) in enumerate(zip(rows_of_bytes(digests), source.labels, strict=True))
    ]
    return _put_together(source, digests, reasons, (labels, extra), (file, meant, unmatched))


@dataclass(frozen=True)
class _Row:
    number: int
    path: str
    digest: str
    label: str


def _rows(file: str, classes: Sequence[str]) -> Iterator[_Row]:
    """Yield the rows that say something; see `correct` for what is raised."""
    if DROP in classes:
        raise InputError(
            f"expected no class called {DROP!r} beside {file}, where it means to leave a picture "
            f"out: rename the class"
        )
    empty = True
    for number, (path, digest, label) in rows_of_table(file, ("path", "digest", "label")):
        if not label:
            continue
        empty, label = False, named_as(label, classes.__contains__)
        if label not in (*classes, DROP):
            hint = f"in row {number} of {file} give a class of the data set, or {DROP}"
            raise UnknownNameError("label", label, [*classes, DROP], hint)
        if not path and not digest:
            raise InputError(f"expected a path or a digest in row {number} of {file}: fill it in")
        yield _Row(number, path, digest, label)
    if empty:
        raise InputError(f"expected a label in some row of {file}, received none: fill some in")


def rows_of_table(
    file: str, names: Sequence[str], setting: str = "corrections"
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the numbers of a table's rows, and what columns say; nothing where there is none.

    Names of columns are in small letters. Corrections have a column ``label``, and one that says
    the picture; ``setting`` names the table in the sentence.

    Raises:
        InputError: It is no such table, or cannot be read.
    """
    try:
        if os.path.getsize(file) > _MOST_BYTES:
            raise InputError(f"expected a table of pictures, received {file}, which is too large")
        content = read_file(file)
    except OSError as error:
        raise InputError(
            f"expected a table of paths and labels, received {setting}={file}: "
            f"{error.strerror or error}; check the path"
        ) from error
    if b"digest" in content.partition(b"\n")[0].lower():  # a table of ours may hold names as bytes
        content = plain(content.decode("utf-8", "surrogateescape")).encode()
    table = read_text(file, CSV, content)
    columns = {column.name.lower(): column.values for column in table.columns}
    said = "path" in columns or "digest" in columns
    if not said or (setting == "corrections" and "label" not in columns):
        raise InputError(
            f"expected the columns path (or digest) and label in {file}, received "
            f"{named(list(columns))}: name them so"
        )
    nothing = [""] * len(table.numbers)
    cells = zip(*(columns.get(name, nothing) for name in names), strict=True)
    yield from zip(table.numbers, cells, strict=True)


class _Places:
    """Where the pictures are that rows of a table mean; paths may be relative to its folder."""

    def __init__(self, source: Source, digests: np.ndarray, file: str) -> None:
        known = rows_of_bytes(digests)
        self._by_path = dict(zip(source.paths, known, strict=True))
        self._known = {one for one in known if any(one)}
        self._others = PlacedFiles()
        self._root, self._folder = source.location, os.path.dirname(os.path.abspath(file))

    def of(self, row: _Row) -> tuple[bytes | None, str | None]:
        """Return the content that a row means, None if there is none; and its path if it is new."""
        said = row.digest or (row.path if _HEX.fullmatch(row.path) else "")
        if said:
            digest = bytes.fromhex(said) if _HEX.fullmatch(said) else b""
            if digest in self._known or not row.path or row.path == said:
                return (digest if digest in self._known else None), None
        found = self._at(named_as(row.path, self._at))
        # Where its content changed since the table was made, what was said is of another one.
        return found if found and said in ("", found[0].hex()) else (None, None)

    def _at(self, path: str) -> tuple[bytes, str | None] | None:
        """Return the content at a path, and its whole path if it is new; None if nothing is."""
        place = os.path.normpath(os.path.join(self._folder, path))
        within = os.path.relpath(place, self._root).replace(os.sep, "/")
        for one in (path, within):
            if any(digest := self._by_path.get(one, b"")):
                return digest, None
        try:
            digest = self._others.digest(place)
        except (OSError, ValueError):
            return None
        return digest, None if digest in self._known else place


def _put_together(
    source: Source,
    digests: np.ndarray,
    reasons: Mapping[int, str],
    now: tuple[Sequence[str], Mapping[str, tuple[bytes, str]]],
    said: tuple[str, Mapping[bytes, _Row], Sequence[str]],
) -> Corrected:
    """Return the source with its labels of now, less what is dropped, and what is new."""
    (labels, extra), (file, meant, unmatched) = now, said
    kept = [row for row, label in enumerate(labels) if label != DROP]
    if len({labels[row] for row in kept}) < 2:
        raise DataError(
            f"expected two classes or more in {source.location} after {file}, received "
            f"{named(sorted({labels[row] for row in kept}))}: drop fewer pictures"
        )
    new = [row for row in kept if row not in reasons]
    touched = [row for row in new if digests[row].tobytes() in meant]
    changed = sum(labels[row] != source.labels[row] for row in touched)
    done = Corrections(
        file,
        changed,
        len(touched) - changed,
        len(labels) - len(kept),
        tuple(extra),
        tuple(unmatched),
    )
    paths = [*(source.paths[row] for row in kept), *extra]
    order = sorted(range(len(paths)), key=paths.__getitem__)

    def by_path(said: Sequence[Any], of_new: Sequence[Any]) -> tuple[Any, ...]:
        both = [*(said[row] for row in kept), *of_new]
        return tuple(both[at] for at in order)

    added = np.frombuffer(b"".join(digest for digest, _ in extra.values()), np.uint8)
    place_of = {row: place for place, row in enumerate(kept)}
    again = {place: at for at, place in enumerate(order)}
    whole = replace(
        source,
        files=_with_added(source.files, extra) if extra else source.files,
        paths=by_path(source.paths, list(extra)),
        labels=by_path(labels, [label for _, label in extra.values()]),
        splits=by_path(source.splits, ["train"] * len(extra)),
        groups=source.groups and by_path(source.groups, [None] * len(extra)),
    )
    left = {again[place_of[row]]: why for row, why in reasons.items() if row in place_of}
    return Corrected(
        whole, np.concatenate([digests[kept], added.reshape(-1, 32)])[order], left, done
    )


def _with_added(files: Files, added: Mapping[str, Any]) -> Files:
    """Return what reads the files of a source, and pictures at whole paths beside them."""
    plain = all(map(os.path.isfile, added))
    if isinstance(files, LocalFiles) and plain:
        return LocalFiles(files.root)
    return _AddedFiles(files, added)


class _AddedFiles(Files):
    """The files of an archive, a table or a URL, with local ones beside them."""

    def __init__(self, files: Files, added: Mapping[str, Any]) -> None:
        self.waits, self._files, self._added = files.waits, files, frozenset(added)
        self._others = PlacedFiles()

    def read(self, path: str) -> bytes:
        """Return a file's bytes; raises OSError."""
        return (self._others if path in self._added else self._files).read(path)

    def identities(self, paths: Sequence[str]) -> Identities:
        """Return those of the files of the source."""
        return self._files.identities(paths)
