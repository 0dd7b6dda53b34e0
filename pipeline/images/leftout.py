"""Pictures that are left out: which, and for what reasons, in a few words."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import DataError

N_EXAMPLES, N_CAUSES = 3, 3
LONGEST = 120
"""Characters of a reason that a sentence about many pictures quotes."""

_OF_ONE_FILE = re.compile(r"0x[0-9a-f]+|'[^']*'|\"[^\"]*\"|\d+(?:[.,]\d+)*")


@dataclass(frozen=True)
class LeftOut:
    """A picture that cannot be used.

    Args:
        path: Where it is, as its data set names it.
        reason: Why it cannot.
        label: Its class.
        split: ``"train"``, ``"validation"`` or ``"test"``; None where that was never drawn.
    """

    path: str
    reason: str
    label: str
    split: str | None

    def to_dict(self) -> dict[str, str]:
        """Return ``{"path", "reason"}``, for ``--json``."""
        return {"path": self.path, "reason": self.reason}


@dataclass(frozen=True)
class Cause:
    """Why some pictures are left out.

    Args:
        reason: In words, with N for numbers and … for names that differ from file to file.
        pictures: How many it is the reason of.
        examples: Paths of the first three.
    """

    reason: str
    pictures: int
    examples: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, for ``--json``."""
        return {**vars(self), "examples": list(self.examples)}

    def __str__(self) -> str:
        short = self.reason if len(self.reason) <= LONGEST else f"{self.reason[:LONGEST]}…"
        example = f"e.g. {self.examples[0]}" if self.pictures > 1 else self.examples[0]
        return f'{self.pictures} × "{short}" ({example})'


def causes(failed: Iterable[Mapping[str, str]]) -> list[Cause]:
    """Group ``{"path", "reason"}`` of pictures by the kind of reason, the commonest first.

    >>> texts = ["cut short after 6 bytes", "cut short after 17 bytes", "no picture"]
    >>> for cause in causes({"path": f"{i}.jpg", "reason": text} for i, text in enumerate(texts)):
    ...     print(cause)
    2 × "cut short after N bytes" (e.g. 0.jpg)
    1 × "no picture" (2.jpg)
    """
    kinds: dict[str, list[tuple[str, str]]] = {}
    for one in failed:
        path, reason = one["path"], one["reason"]
        for name in filter(None, (path, path.rsplit("/", 1)[-1])):
            reason = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "…", reason)
        kinds.setdefault(_OF_ONE_FILE.sub("\0", reason), []).append((path, reason))
    found = [
        Cause(
            _in_common([reason for _, reason in those]),
            len(those),
            tuple(path for path, _ in those[:N_EXAMPLES]),
        )
        for those in kinds.values()
    ]
    return sorted(found, key=lambda cause: -cause.pictures)


def _in_common(reasons: Sequence[str]) -> str:
    """Return reasons of one kind as one, in which only what they share is said."""
    if len(set(reasons)) == 1:
        return reasons[0]
    values = zip(*map(_OF_ONE_FILE.findall, reasons), strict=True)
    shared = iter([len(set(place)) == 1 for place in values])

    def shown(value: re.Match[str]) -> str:
        if next(shared):
            return value[0]
        return "N" if value[0][0].isdigit() else "…"

    return _OF_ONE_FILE.sub(shown, reasons[0])


def why(failed: Iterable[Mapping[str, str]]) -> str:
    """Return the commonest causes, with counts and an example each, as part of a sentence."""
    found = causes(failed)
    parts = list(map(str, found[:N_CAUSES]))
    if rest := sum(cause.pictures for cause in found[N_CAUSES:]):
        parts.append(f"{rest} for other reasons")
    return ", ".join(parts)


def check_some(where: str, n_pictures: int, failed: Sequence[Mapping[str, str]]) -> None:
    """Raise DataError if not one of the pictures that were found somewhere can be used."""
    if n_pictures and len(failed) == n_pictures:
        raise DataError(
            f"expected pictures that can be read in {where}, received {n_pictures} of which none "
            f"can: {why(failed)}; mend, convert or replace them"
        )


def check_strictly(strict: bool, failed: Sequence[Mapping[str, str]], n_pictures: int) -> None:
    """Raise DataError if pictures were left out, where none may be."""
    if strict and failed:
        first = failed[0]
        raise DataError(
            f"expected every picture to be readable (--strict), {len(failed)} of {n_pictures} are "
            f"not, first {first['path']}: {first['reason']}; mend or remove them, what is cached "
            f"stays"
        )
