"""The exception tree: everything that is the user's to mend.

PipelineError                 one sentence: expected, received, where, the way out; exit code 2
├── InputError                an argument, path or setting that cannot be used; a ValueError too
│   └── UnknownNameError      a name that no catalog knows; carries the nearest ones
├── DataError                 a picture folder that cannot be learnt from
│   └── UnclearError          one that can be read in several ways, or in none
├── DecodeError               one picture that cannot become an RGB array (quarantined, never fatal)
├── WeightsError              a weights file that is missing or belongs to another architecture
├── StoreError                a feature cache that cannot be read or written
│   ├── DamagedShardError     a shard whose checksum or structure is wrong
│   └── NewerFormatError      a cache written by a newer version of this program
├── ClusterError              workers or a scheduler that cannot be used, or are gone
└── RunError                  a run or bundle that is damaged, foreign or unfit for the request

Programming mistakes stay what they are (TypeError, AssertionError): they are ours, not the user's.
"""

import difflib
import re
from collections.abc import Iterable
from typing import Any

# A password may hold an @, and, where somebody did not encode it, a slash; a port is none.
PASSWORD = re.compile(r"(://[^/:@\s\[]*):(?!:)([^/\s]*|(?!\d+[/\s])[^@\s]*)@")
_SIGNATURE = re.compile(r"(\bhttps?://[^\s?'\"]*)\?[^\s'\")]*?(?=[:;,]?(?:[\s'\")]|$))")


def without_secrets(text: str) -> str:
    """Return a text whose URLs have no passwords and, on the web, no signatures.

    >>> without_secrets("cannot read https://me:secret@host/a.zip?signature=1: gone")
    'cannot read https://me@host/a.zip: gone'
    """
    return _SIGNATURE.sub(r"\1", PASSWORD.sub(r"\1@", text)) if "://" in text else text


class PipelineError(Exception):
    """Base of every error that is told to the user in one sentence; no URL in it has a password.

    Args:
        sentence: What was expected, what came, where, the way out.
    """

    def __init__(self, sentence: str = "") -> None:
        super().__init__(without_secrets(sentence))


class InputError(PipelineError, ValueError):
    """An argument, path or setting cannot be used; what expects Python's ValueError sees one."""


class UnknownNameError(InputError):
    """A name is in no catalog.

    Args:
        kind: What the name should have been, e.g. ``"backbone"``.
        name: What was received.
        known: Every name that would have been accepted.
        hint: The way out, appended as it is.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        self.nearest = nearest_names(name, known)
        suggestion = f"; nearest: {', '.join(self.nearest)}" if self.nearest else ""
        super().__init__(f"unknown {kind} {name!r}{suggestion}{f'; {hint}' if hint else ''}")

    def __reduce__(self) -> Any:
        # It comes back from another process as it is; by default it would be made of its message.
        return type(self).__new__, (type(self), *self.args), vars(self)


class DataError(PipelineError):
    """A folder of pictures cannot be learnt from."""


class UnclearError(DataError):
    """A folder that can be read in several ways, or in none, until the user says more.

    Args:
        sentence: As for every error.
        is_pool: Whether all that is there are pictures without labels.
    """

    def __init__(self, sentence: str = "", *, is_pool: bool = False) -> None:
        super().__init__(sentence)
        self.is_pool = is_pool


class DecodeError(PipelineError):
    """One picture cannot be turned into an RGB array; the message is the reason."""


class WeightsError(PipelineError):
    """Weights are missing, damaged, or of another architecture."""


class StoreError(PipelineError):
    """The feature cache cannot be read or written."""


class DamagedShardError(StoreError):
    """A shard is truncated, altered or not a shard at all."""


class NewerFormatError(StoreError):
    """The cache was written by a newer version of this program."""


class ClusterError(PipelineError):
    """Workers or their scheduler cannot be used, or are gone."""


class RunError(PipelineError):
    """A run folder or bundle is damaged, foreign, or unfit for what was asked."""


def nearest_names(name: str, known: Iterable[str], n: int = 3) -> list[str]:
    """Return up to ``n`` known names that look like ``name``, best first, ignoring case.

    >>> nearest_names("resnet5", ["ResNet50", "VGG16"])
    ['ResNet50']
    """
    by_lower = {candidate.lower(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.lower(), by_lower, n=n, cutoff=0.5)
    return [by_lower[match] for match in matches]
