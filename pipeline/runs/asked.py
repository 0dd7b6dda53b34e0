"""Which pictures were asked about last, in each place: an answer from disk leaves no new run.

``runs/.asked/`` holds a file for each place: the digest of what was there when it was last trained
on, and when that was. Without them the newest runs say it.
"""

import datetime
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.errors import RunError
from pipeline.runs.record import RunFolder
from pipeline.system.files import atomic_path, matching, readable
from pipeline.system.typed import read_json, typed

FOLDER = ".asked"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A data set in its place.

    Args:
        root: The place: an absolute path, or a URL.
        name: Its short name.
        digest: Of contents, labels and splits, in hex.
        when: It was last asked about, ISO 8601 in UTC.
    """

    root: str
    name: str
    digest: str
    when: str


def remember_asked(runs: Path, root: str, name: str, digest: str) -> None:
    """Remember that a data set is asked about now; raises StoreError where that cannot be kept."""
    now = datetime.datetime.now(datetime.UTC).isoformat()
    file = f"{hashlib.sha256(root.encode(errors='surrogateescape')).hexdigest()[:16]}.json"
    value = asdict(Asked(root=root, name=name, digest=digest, when=now))
    with atomic_path(runs / FOLDER / file) as temporary:
        temporary.write_text(json.dumps(value), "utf-8")  # of ASCII: a path need not be text


def asked(runs: Path, candidates: Sequence[RunFolder]) -> list[Asked]:
    """Return what was asked about and has runs, the last at the end; a place may be there often.

    Args:
        runs: Folder of the runs.
        candidates: All runs in it.

    Raises:
        RunError: What was remembered is damaged.
    """
    of_runs = [
        Asked(root=data.root, name=data.name, digest=data.digest, when=run.created)
        for run in candidates
        for data in [run.dataset]
    ]
    known = {one.digest for one in of_runs}
    noted = map(_read, matching(runs / FOLDER, "[!.]*.json"))
    return sorted([*of_runs, *(one for one in noted if one.digest in known)], key=_when)


def _when(one: Asked) -> str:
    return one.when


def _read(path: Path) -> Asked:
    try:
        with readable(path):
            read: Asked = typed(Asked, read_json(path))
    except (OSError, ValueError) as error:
        raise RunError(
            f"expected which pictures were asked about in {path}, received: {error}; remove that "
            f"file"
        ) from error
    return read
