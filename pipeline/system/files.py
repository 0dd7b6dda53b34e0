"""Files that appear whole or not at all, and damaged ones that are set aside, never deleted."""

import errno
import hashlib
import json
import logging
import os
import shutil
import stat
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pipeline.errors import InputError, StoreError

TEMPORARY_PREFIX = ".tmp-"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_OF_FILES = (errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.EACCES, errno.EPERM)
"""What file systems fail of besides, those behind a network too; no pipe and no terminal does."""
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""What says nothing about a file: the machine, or what this process may take of it, is used up."""

MAX_PATH = 240
"""Characters of a path that are shown whole."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; on success it becomes ``path``, else it goes.

    The file is fsynced before the rename and the folder after it, so that neither a crash of the
    program nor of the machine can leave a half-written file under the final name. What else fails
    in the context comes as it is.

    Raises:
        StoreError: The folder cannot be written or the disk is full.
    """
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}-{path.name}")
    doing = f"cannot write {path}"
    try:
        with _explained(doing):
            path.parent.mkdir(parents=True, exist_ok=True)
        with _explained(doing, writing=temporary):
            yield temporary
        with _explained(doing):
            fsync(temporary)
            os.replace(temporary, path)
            fsync(path.parent)
    finally:
        with suppress(OSError):  # what went wrong before matters more, and `verify` clears up
            temporary.unlink()


@contextmanager
def output_path(path: Path) -> Iterator[Path]:
    """Yield where to write what the user named: a file appears whole, see `atomic_path`.

    What is no regular file (a device, a pipe, what this process prints to) gets what was written as
    a stream, at the end; it is never replaced. Nor is a link: the file that it leads to is.

    Raises:
        StoreError: It cannot be written.
    """
    if not is_stream(path):
        with atomic_path(Path(os.path.realpath(path))) as temporary:
            yield temporary
        return
    doing = f"cannot write {path}"
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder, path.name)
        with _explained(doing, writing=written):
            yield written
        with _explained(doing), written.open("rb") as file:
            shown = [one for number, one in _SHOWN if _is_descriptor(path, number)]
            if shown:  # it goes where everything else is printed, after what was printed before
                shutil.copyfileobj(file, shown[0]().buffer)
                shown[0]().flush()
                return
            with open(path, "wb") as stream:
                shutil.copyfileobj(file, stream)


_SHOWN = ((1, lambda: sys.stdout), (2, lambda: sys.stderr))


def is_stream(path: Path) -> bool:
    """Return whether a path is there and no file that could be replaced, nor a folder."""
    if path.is_dir() or not path.exists():
        return False
    return not path.is_file() or any(_is_descriptor(path, number) for number, _ in _SHOWN)


def is_stdout(path: Path) -> bool:
    """Return whether what is written to a path comes out with what is printed."""
    return _is_descriptor(path, 1)


def _is_descriptor(path: Path, number: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(number))
    except (OSError, ValueError):
        return False


@contextmanager
def atomic_folder(final: Path, doing: str = "", way_out: str = "") -> Iterator[Path]:
    """Yield a temporary folder beside ``final``; on success it becomes ``final``, else it goes.

    Where another process was quicker, its folder stays. What else fails in the context than writing
    comes as it is.

    Args:
        final: The folder.
        doing: What cannot be done where it cannot be written, for the error.
        way_out: What to do then.

    Raises:
        StoreError: The folder cannot be written or the disk is full.
    """
    temporary = final.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}")
    doing = doing or f"cannot write {final}"
    try:
        with _explained(doing, way_out):
            temporary.mkdir(parents=True)
        with _explained(doing, way_out, writing=temporary):
            yield temporary
        with _explained(doing, way_out):
            for path in (*temporary.rglob("*"), temporary):
                fsync(path)
            try:
                os.rename(temporary, final)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            fsync(final.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _explained(doing: str, way_out: str = "", writing: Path | None = None) -> Iterator[None]:
    """Raise StoreError for what cannot be written.

    Where others' code does the ``writing``, what it fails of otherwise, such as a picture that
    cannot be read, comes as it is.
    """
    try:
        yield
    except OSError as error:
        if writing is not None and not _is_of_writing(error, writing):
            raise
        if error.errno in _FULL:
            stays = "free some space and start again, what is finished stays"
        else:
            stays = "name another folder or make this one writable, what is finished stays"
        reason = error.strerror or str(error)
        raise StoreError(f"{doing}: {reason}; {way_out or stays}") from error


def _is_of_writing(error: OSError, path: Path) -> bool:
    """Return whether an error is that of writing a path: writing itself does not say which."""
    if error.errno in (*_FULL, errno.EROFS):
        return True
    if error.filename is None:
        return error.errno in _OF_FILES
    named = [name for name in (error.filename, error.filename2) if isinstance(name, str)]
    return any(Path(name).is_relative_to(path) for name in named)


def rename(path: Path, to: Path) -> None:
    """Give a file another name in its folder.

    Raises:
        StoreError: The folder cannot be written.
    """
    with _explained(f"cannot rename {path}"):
        os.replace(path, to)
        fsync(to.parent)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    with atomic_path(path) as temporary:  # JSON's own escapes for a name that is no text
        text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
        temporary.write_text(text, "utf-8", "backslashreplace")


def unreadable(path: Path | str, error: OSError | MemoryError) -> StoreError:
    """Return the error that says why a file could not be read: that says nothing about the file."""
    number = errno.ENOMEM if isinstance(error, MemoryError) else error.errno
    way_out = {
        errno.ELOOP: "links lead in a circle, remove one of them",
        errno.ENAMETOOLONG: "use shorter names",
        errno.EACCES: "make it readable",
        errno.EPERM: "make it readable",
        errno.EMFILE: "allow more open files (`ulimit -n`) and start again",
        errno.ENFILE: "close some programs and start again",
        errno.ENOMEM: "free some memory and start again",
    }.get(number or 0, "see that the disk or the connection works, and start again")
    reason = os.strerror(errno.ENOMEM) if isinstance(error, MemoryError) else error.strerror
    name = str(path) if len(str(path)) < MAX_PATH else f"{str(path)[:60]}…{str(path)[-60:]}"
    return StoreError(f"cannot read {name}: {reason or error}; {way_out}, nothing is lost")


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raise StoreError where a file that is there cannot be read: that says nothing about it."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, MemoryError) as error:
        raise unreadable(path, error) from error


def expanded(path: Path | str) -> Path:
    """Return a path in which ``~`` and ``~user`` stand for home folders.

    Raises:
        InputError: There is no such user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        name = Path(path).parts[0]
        raise InputError(
            f"expected a home folder where a path begins with ~, received {path}, and there is no "
            f"user {name[1:]!r}; write the whole path, or ./{name} for a folder of that name"
        ) from error


def user_cache(name: str) -> Path | None:
    """Return this program's folder of a name in the user's cache, where the platform has that.

    None where the user has no home.
    """
    home = os.path.expanduser("~")
    usual = {"darwin": f"{home}/Library/Caches", "win32": os.environ.get("LOCALAPPDATA")}
    told = os.environ.get("XDG_CACHE_HOME") or usual.get(sys.platform) or f"{home}/.cache"
    return Path(told, "bottleneck-pipeline", name) if os.path.isabs(told) else None


NOT_OURS = ("lost+found", "System Volume Information")
"""What file systems put into their roots, for nobody to look into."""


def matching(folder: Path, pattern: str) -> list[Path]:
    """Return what lies in a folder under a name, sorted; where there is no folder, nothing.

    `Path.glob` passes over folders that may not be listed, as if they were empty.

    Args:
        folder: The folder.
        pattern: Of a name, as in a shell, or of a sub-folder and a name in it: ``*/recipe.json``.

    Raises:
        StoreError: The folder, or a sub-folder, may not be listed.
    """
    first, _, rest = pattern.partition("/")
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise unreadable(folder, error) from error
    paths = [folder / name for name in names if fnmatchcase(name, first) and name not in NOT_OURS]
    return [found for path in paths for found in matching(path, rest)] if rest else paths


def read_file(path: Path, most: int) -> bytes:
    """Return the bytes of a regular file, which anybody may have written.

    Args:
        path: The file.
        most: Bytes that it may have.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no file, and reading it might never end; or it is longer.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode) or found.st_size > most:
        raise ValueError(f"{found.st_size} bytes" if path.is_file() else "no file")
    return path.read_bytes()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex; raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fsync(path: Path) -> None:
    """Make a file or folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


logger = logging.getLogger(__name__)

DAMAGED_PREFIX = "damaged-"

OnDamage = Callable[[Path, Exception], object]
"""Told which file is damaged and why: gets it out of the way, or raises, or leaves it."""


def leave_damaged(path: Path, error: Exception) -> None:
    """Raise what was found, and leave the file: so does who only looks."""
    raise error


def set_aside(path: Path, reason: object) -> Path | None:
    """Rename a damaged file or folder to ``damaged-…`` beside it.

    Args:
        path: What is damaged.
        reason: Why, for the log.

    Returns:
        Where it is now; None when another process was quicker.

    Raises:
        StoreError: It cannot be renamed.
    """
    aside = _unused(path)
    try:
        path.rename(aside)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(
            f"cannot set the damaged {path} aside: {error.strerror}; move it away yourself, "
            f"what was in it is made again"
        ) from error
    logger.warning("set aside as %s: %s", aside.name, reason)
    return aside


def _unused(path: Path) -> Path:
    """Return a name that is free: what was set aside before stays as it is."""
    aside, number = path.with_name(f"{DAMAGED_PREFIX}{path.name}"), 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{DAMAGED_PREFIX}{number}-{path.name}")
    return aside


def canonical_json(value: Any) -> str:
    """Serialise so that equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def check_free(path: Path, overwrite: bool, setting: str = "out") -> None:
    """Refuse a file that must not be written over, before anything is read or computed.

    Args:
        path: The file; what `is_stream` is not replaced, and so is always free.
        overwrite: Whether one that is there may be replaced; a folder never is.
        setting: What names it, for the sentence.

    Raises:
        InputError: It is a folder, or exists and ``overwrite`` is off.
    """
    if path.is_dir() or (path.exists() and not overwrite and not is_stream(path)):
        kind, way_out = ("folder", "") if path.is_dir() else ("file", ", or use --overwrite")
        raise InputError(
            f"expected a new file, received {setting}={path}, a {kind} that exists; "
            f"name another one{way_out}"
        )
