"""Where pictures are: a local path or a URL, and what kind of source that is."""

import os
import posixpath
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from pipeline.errors import InputError, without_secrets
from pipeline.images.names import is_archive_name
from pipeline.system.files import expanded
from pipeline.system.filesystems import check_url

FOLDER, ZIP, TAR, CSV, TSV, PARQUET = "folder", "zip", "tar", "csv", "tsv", "parquet"
TXT, JSON = "txt", "json"
MANIFESTS = (CSV, TSV, PARQUET, TXT, JSON)
_KINDS = {
    **{f".{kind}": kind for kind in (ZIP, TAR, *MANIFESTS)},
    **dict.fromkeys((".tab", ".data"), TXT),
    **dict.fromkeys((".jsonl", ".ndjson"), JSON),
}
# What holds tables too, but not as this program reads them.
_SHEETS = (".xlsx", ".xls", ".ods", ".numbers", ".feather", ".arrow", ".pkl", ".pickle", ".sqlite")
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".lzma")
_COMPRESSED_TAR = (".tgz", ".tbz", ".tbz2", ".txz", *(f".tar{end}" for end in _COMPRESSED))
_FILE_URL = "file://"


@dataclass(frozen=True)
class Location:
    """A place that pictures come from.

    Args:
        url: What the user said, to be opened.
        given: The same, to be shown: without password and signature.
        text: The same for every way to say it: the resolved absolute path, or the URL without
            password and, on the web, without what follows its question mark.
        name: Short name: of the folder, or of the file without its suffix.
        kind: ``"folder"``, ``"zip"``, ``"tar"``, ``"csv"``, ``"tsv"``, ``"parquet"``, ``"txt"`` for
            another table, or ``"json"``, which is refused with what to do.
        remote: Whether it is a URL.
    """

    url: str
    given: str
    text: str
    name: str
    kind: str
    remote: bool

    @property
    def path(self) -> Path:
        """The local path, as given."""
        return _local_path(self.url)


def resolve_location(location: str | Path) -> str:
    """Return the one text by which a location is known: resolved path, or URL without secrets.

    >>> resolve_location("https://me:secret@host/pets/")
    'https://me@host/pets'
    """
    text = str(location)
    return _public(text) if is_remote(text) else os.path.realpath(_local_path(text))


def locate(location: str | Path) -> Location:
    """Say what kind of source a location is.

    Raises:
        InputError: It is not there, or a file that cannot be read in place.
    """
    text, remote = resolve_location(location), is_remote(location)
    given = without_secrets(str(location)) if remote else str(location)
    if remote:
        check_url(str(location))
        bare = text.partition("://")[2]
        kind = _kind(given, bare) or FOLDER
        name = unquote(posixpath.basename(bare))
    else:
        kind, name = _local_kind(given), Path(text).name
    if kind != FOLDER:
        name = posixpath.splitext(name)[0]
    return Location(str(location), given, text, name, kind, remote)


def archive_kind(path: Path) -> str | None:
    """Return ``"zip"`` or ``"tar"`` if the suffix says so, else None.

    Raises:
        InputError: It is an archive that cannot be read in place.
    """
    kind = _kind(str(path), path.name)
    return kind if kind in (ZIP, TAR) else None


def is_remote(location: str | Path) -> bool:
    """Return whether a location is a URL, of something else than local files."""
    return "://" in str(location) and not str(location).startswith(_FILE_URL)


def _local_path(text: str) -> Path:
    if text.startswith(_FILE_URL):
        return Path(unquote(text.removeprefix(_FILE_URL)))
    return expanded(text)


def _public(url: str) -> str:
    """Leave out password and signature, for this text is written into every run."""
    web = url.startswith(("http://", "https://"))
    return without_secrets(url.partition("?")[0] if web else url).rstrip("/")


def _local_kind(given: str) -> str:
    path = _local_path(given)
    if os.path.isdir(path):
        return FOLDER
    if not os.path.exists(path):
        raise InputError(
            f"expected a folder of pictures, but {given} does not exist: check the path"
        )
    if kind := _kind(given, path.name):
        return kind
    if path.suffix.lower() in _SHEETS:
        raise InputError(
            f"expected a table as text or Parquet, received {given}: save it as .csv, with a row "
            "of column names and a row for each picture"
        )
    raise InputError(
        f"expected a folder of pictures, a .zip or .tar file, or a .csv, .tsv or .parquet file of "
        f"paths and labels, but {given} is another file: give one of these"
    )


def _kind(given: str, name: str) -> str | None:
    """Return what a suffix says; None if nothing."""
    lower = name.lower()
    if lower.endswith(_COMPRESSED_TAR):
        raise InputError(
            f"expected an archive that can be read in place, received {given}: a compressed .tar "
            "has to be read from its start for every picture; unpack it, or make it a .tar or .zip"
        )
    kind = _KINDS.get(os.path.splitext(lower)[1])
    if kind is None and is_archive_name(lower):
        raise InputError(
            f"expected a folder, a .zip or a .tar file, received {given}, an archive or a part of "
            "one that is not read here: unpack it, and give the folder"
        )
    return kind
