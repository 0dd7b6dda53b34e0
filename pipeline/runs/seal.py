"""Seals: that a run's files are those that it was written with.

``run.json`` says size and SHA-256 of the other files, and its own digest as ``seal``, as
``bundle.json`` does: over everything else in the file, in canonical form. That finds damage and
careless changes; who wrote a file it does not say. Runs from before there were seals have none.
"""

import hashlib
import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.system.files import atomic_path, canonical_json, sha256

SEAL = "seal"


@dataclass(frozen=True)
class FileDigest:
    """What a file was when it was written.

    Args:
        bytes: Its size.
        sha256: Of its bytes, in hex.
    """

    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "FileDigest":
        """Look at a file; raises OSError."""
        return cls(path.stat().st_size, sha256(path))

    def check(self, path: Path) -> None:
        """Raise ValueError where a file is not what it was, and OSError where it is not there."""
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size != self.bytes:
            raise ValueError(
                f"it was altered since it was written, {found.st_size:,} bytes instead of "
                f"{self.bytes:,}"
            )
        if sha256(path) != self.sha256:
            raise ValueError("it was altered since it was written, its SHA-256 is another one")


def write_sealed(path: Path, value: Mapping[str, Any]) -> None:
    """Write plain JSON values with a seal over all of them, atomically."""
    with atomic_path(path) as temporary:  # of ASCII: a path or a class need not be text
        text = json.dumps({**value, SEAL: _seal_of(value)}, indent=2, allow_nan=False)
        temporary.write_text(text, "utf-8")


def check_seal(value: Mapping[str, Any]) -> None:
    """Raise ValueError where a seal is there and is not that of the other values."""
    if SEAL in value and value[SEAL] != _seal_of(value):
        raise ValueError("it was altered since it was written, its seal is broken")


def _seal_of(value: Mapping[str, Any]) -> str:
    rest = {key: one for key, one in value.items() if key != SEAL}
    return hashlib.sha256(canonical_json(rest).encode()).hexdigest()
