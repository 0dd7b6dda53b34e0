"""Read labels, and groups, off file names such as ``cat.0.jpg``, by a pattern."""

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple, NoReturn

from pipeline.errors import DataError, InputError
from pipeline.images.names import is_picture_name
from pipeline.images.walk import Listing
from pipeline.system.units import counted

SplitPath = tuple[str | None, str]
"""The split that a picture is given for, and its path."""

DIGITS, WORD, MUCH, LITTLE = "d", "a", "*", ""
_EXPRESSIONS = {DIGITS: "[0-9]+", WORD: r"[^\W\d_].*"}

_NUMBERED = re.compile(r"(?P<label>[^.]+)\.[0-9]+")
_PIECE = re.compile(r"\{\{|\}\}|\{([^{}:]*)(?::([^{}]*))?\}|[{}]|[^{}]+")
_MOST_TRIED = 4
NUMBERED = "{label}.{number:d}"
# How names of files usually say labels.
_USUAL = (
    NUMBERED,
    "{label}_{number:d}",
    "{label}-{number:d}",
    "{label} ({number:d})",
    "{label}{number:d}",
    "{number:d}_{label}",
    "{number:d}-{label}",
    "{label}_{*}",
    "{label}-{*}",
)


class NameParts(NamedTuple):
    """What a file name says of its picture."""

    label: str
    group: str | None


@dataclass(frozen=True)
class Field:
    """A place in a pattern.

    Args:
        name: ``"label"``, ``"group"``, or another one, which says nothing.
        kind: ``DIGITS``, ``WORD`` for what begins with a letter, ``MUCH`` for as much as can be,
            ``LITTLE`` for as little as can be.
    """

    name: str
    kind: str = LITTLE

    @property
    def is_open(self) -> bool:
        """Whether nobody said how much it takes."""
        return self.kind == LITTLE

    @property
    def is_used(self) -> bool:
        """Whether what it takes is used."""
        return self.name in NameParts._fields

    @property
    def expression(self) -> str:
        """The regular expression of the place."""
        taken = (".+" if self.is_used else ".*") + ("?" if self.is_open else "")
        taken = _EXPRESSIONS.get(self.kind, taken)
        return f"(?P<{self.name}>{taken})" if self.is_used else taken

    def __str__(self) -> str:
        name = self.name or {DIGITS: "number", WORD: "word"}.get(self.kind, "")
        return f"{{{name}:{self.kind}}}" if name and self.kind else f"{{{name or self.kind}}}"


Piece = str | Field


class Pattern:
    """What finds labels in file names, as `parse_pattern` describes it."""

    def __init__(self, text: str, pieces: Sequence[Piece]) -> None:
        self.text, self.pieces = text, pieces
        names = [piece.name for piece in pieces if isinstance(piece, Field)]
        self.has_label, self.has_group = "label" in names, "group" in names
        self._expression = _compiled(pieces)

    def __call__(self, stem: str) -> str | None:
        """Return the label in a file name without its suffix; None if the pattern does not fit."""
        found = self.read(stem)
        return found and found.label

    def read(self, stem: str) -> NameParts | None:
        """Return what a file name without its suffix says; None if the pattern does not fit it."""
        return _read(self._expression, stem)

    def refuse_ambiguity(self, paths: Sequence[str]) -> None:
        """Raise DataError if the pattern may be read in another way, with another result.

        A field that is marked to take as much as it can settles it; the others then take as little
        as they can.
        """
        places = [i for i, p in enumerate(self.pieces) if isinstance(p, Field) and p.is_open]
        marked = any(isinstance(p, Field) and p.kind == MUCH for p in self.pieces)
        if marked or len(places) < 2:
            return
        stems = [stem_of(path) for path in paths]
        readings: dict[tuple[NameParts | None, ...], str] = {}
        for greedy in product((False, True), repeat=min(len(places), _MOST_TRIED) - 1):
            much = [place for place, wanted in zip(places, greedy, strict=False) if wanted]
            # The last one takes what the others leave; marked, it says that they take little.
            pieces = self._marked(much or places[-1:], MUCH)
            readings.setdefault(_read_all(pieces, stems), _written(pieces))
        digits = self._marked([i for i in places if not _used(self.pieces[i])], DIGITS)
        if (found := _read_all(digits, stems)) in readings:
            readings[found] = _written(digits)
        if len(readings) > 1:
            self._refuse(readings, paths)

    def _marked(self, places: Iterable[int], kind: str) -> list[Piece]:
        return [
            Field(piece.name, kind) if i in places and isinstance(piece, Field) else piece
            for i, piece in enumerate(self.pieces)
        ]

    def _refuse(
        self, readings: dict[tuple[NameParts | None, ...], str], paths: Sequence[str]
    ) -> NoReturn:
        """Tell the first name that is read in more than one way, and how to say each."""
        row = next(i for i, found in enumerate(zip(*readings, strict=True)) if len({*found}) > 1)
        ways = []
        for found, text in readings.items():
            what = "label" if self.has_label else "group"
            first, *others = (one and getattr(one, what) for one in (found[row], *found))
            n = counted(len({*others} - {None}), what)
            ways.append(f"{text!r} for {first!r} ({n} in all)")
        raise DataError(
            f"more than one reading of label_pattern={self.text!r} fits file names such as "
            f"{posixpath.basename(paths[row])!r}: say --label-pattern {', or '.join(ways[:3])}"
        )


def parse_pattern(text: str) -> Pattern:
    """Return what finds labels by a template.

    Args:
        text: Has ``{label}`` once, where the label stands, unless folders say it; ``{group}``, if
            wanted, where the name of what stays in one split stands, such as a patient; ``{}`` for
            anything, or ``{}`` with a name. Each takes as little as it can, from left to right;
            with ``*`` (``{*}``, ``{label:*}``) as much as it can, with ``d`` (``{number:d}``)
            digits, with ``a`` (``{word:a}``) what begins with a letter. Whatever else is in it
            stands for itself; a brace is written twice. A suffix of pictures at its end means
            nothing.

    Raises:
        InputError: It cannot be read, or has no place for a label or a group.

    >>> parse_pattern("{}_{label}")("IMG_dog"), parse_pattern("{label}.{}")("dog")
    ('dog', None)
    >>> parse_pattern("{label}_{number:d}")("american_pit_bull_12")
    'american_pit_bull'
    """
    stem, suffix = posixpath.splitext(text)
    whole = stem if is_picture_name(f"name{suffix}") else text
    pieces = [_piece(text, found) for found in _PIECE.finditer(whole)]
    names = [piece.name for piece in pieces if isinstance(piece, Field)]
    if names.count("label") != 1 and (names.count("label") or "group" not in names):
        _refuse(text, "{label} once (or {group} alone, where folders say the labels)")
    if names.count("group") > 1:
        _refuse(text, "{group} once or not at all")
    if "split" in names:
        _refuse(text, "no {split}, which folders or a column of a table say,")
    if "/" in text:
        way_out = "--classes-at says which folders are classes, '{group}_{}' groups inside them"
        _refuse(text, f"no folders ({way_out})")
    return Pattern(text, pieces)


def _piece(text: str, found: re.Match[str]) -> Piece:
    name, kind = found.groups()
    if found[0] in ("{", "}"):
        _refuse(text, "every brace closed, or written twice if it stands for itself,")
    if name is None:
        return found[0][:1] if found[0] in ("{{", "}}") else found[0]
    if name == MUCH and kind is None:
        return Field("", MUCH)
    if (kind or LITTLE) not in (DIGITS, WORD, MUCH, LITTLE):
        kinds = "d (digits), a (letters first) or * (as much as can be)"
        _refuse(text, f"{kinds} behind the colon of {found[0]}")
    return Field(name, kind or LITTLE)


def _refuse(text: str, expected: str) -> NoReturn:
    raise InputError(
        f"expected {expected} in the pattern of file names, received label_pattern={text!r}: give "
        'e.g. "{label}.{}" for cat.0.jpg, or "{label}_{number:d}" for pit_bull_12.jpg'
    )


def _compiled(pieces: Iterable[Piece]) -> re.Pattern[str]:
    parts = (piece.expression if isinstance(piece, Field) else re.escape(piece) for piece in pieces)
    return re.compile("".join(parts), re.DOTALL)


def _written(pieces: Iterable[Piece]) -> str:
    return "".join(
        str(piece) if isinstance(piece, Field) else piece.replace("{", "{{").replace("}", "}}")
        for piece in pieces
    )


def _used(piece: Piece) -> bool:
    return isinstance(piece, Field) and piece.is_used


def _read(expression: re.Pattern[str], stem: str) -> NameParts | None:
    match = expression.fullmatch(stem)
    said = {} if match is None else match.groupdict()
    return None if match is None else NameParts(said.get("label", ""), said.get("group"))


def _read_all(pieces: Iterable[Piece], stems: Iterable[str]) -> tuple[NameParts | None, ...]:
    expression = _compiled(pieces)
    return tuple(_read(expression, stem) for stem in stems)


def stem_of(path: str) -> str:
    """Return the name of a file without the suffix of pictures."""
    name = posixpath.basename(path)
    return posixpath.splitext(name)[0] if is_picture_name(name) else name


class NamePattern(NamedTuple):
    """A pattern that names of files fit, and the labels that they say by it, sorted."""

    pattern: str
    labels: list[str]


def pattern_of(paths: Iterable[str]) -> NamePattern | None:
    """Return the pattern by which names of files say two labels or more, each of several pictures.

    >>> pattern_of(["IMG_cat_1.jpg", "IMG_cat_2.jpg", "IMG_dog_1.jpg", "IMG_dog_7.jpg"])
    NamePattern(pattern='{label}_{number:d}', labels=['IMG_cat', 'IMG_dog'])
    >>> pattern_of(["IMG_1.jpg", "IMG_2.jpg"]) is None
    True
    """
    stems = [stem_of(path) for path in paths]
    found = (NamePattern(text, _labels(stems, parse_pattern(text))) for text in _USUAL)
    return next((each for each in found if each.labels), None)


def _labels(stems: Iterable[str], pattern: Pattern) -> list[str]:
    """Return the labels in some names; none if one does not fit, or they are hardly labels."""
    counts: Counter[str] = Counter()
    for stem in stems:
        if (label := pattern(stem)) is None or not re.search(r"[^\W\d_]", label):
            return []
        counts[label] += 1
    return sorted(counts) if len(counts) > 1 < min(counts.values()) else []


def label_as_numbered(pictures: Iterable[SplitPath]) -> list[Listing] | None:
    """Label pictures that are all named LABEL.NUMBER, with two labels or more; None if not so."""
    found = _listed(pictures, lambda stem: _read(_NUMBERED, stem))
    if isinstance(found, str) or len({part.label for part in found}) < 2:
        return None
    return found


def label_pictures(pictures: Iterable[SplitPath], pattern: Pattern) -> list[Listing] | str:
    """Return the pictures by label, split and group, or the first path that does not fit.

    Raises:
        DataError: More than one reading of the pattern fits.
    """
    pictures = list(pictures)
    found = _listed(pictures, pattern.read)
    if not isinstance(found, str):
        pattern.refuse_ambiguity([path for _, path in pictures])
    return found


def groups_in_names(paths: Iterable[str], pattern: Pattern) -> dict[str, str]:
    """Return the group of each picture by its name; a name that says none is one of its own.

    So is a name that is a group for others: ``x`` is of one group with ``x_flip``.

    Raises:
        DataError: No two pictures are of one group, or more than one reading of the pattern fits.
    """
    stems = {path: stem_of(path) for path in paths}
    found = {path: pattern.read(stem) for path, stem in stems.items()}
    pattern.refuse_ambiguity(list(stems))
    said = {one.group for one in found.values() if one}
    groups = {
        path: stems[path] if one is None or stems[path] in said else str(one.group)
        for path, one in found.items()
    }
    if len(set(groups.values())) == len(groups):
        raise DataError(
            f"expected several pictures of one group by label_pattern={pattern.text!r}, received "
            f"none in {counted(len(groups), 'file name')}, e.g. {min(stems, default='')!r}: give a "
            "pattern that fits, or leave it out"
        )
    return groups


def _listed(
    pictures: Iterable[SplitPath], read: Callable[[str], NameParts | None]
) -> list[Listing] | str:
    sorted_out: dict[tuple[NameParts, str | None], list[str]] = {}
    for split, path in pictures:
        if (found := read(stem_of(path))) is None:
            return path
        sorted_out.setdefault((found, split), []).append(path)
    return [
        Listing(found.label, split, tuple(paths), (), found.group)
        for (found, split), paths in sorted_out.items()
    ]
