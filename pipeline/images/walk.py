"""Walk folders of pictures: what is hidden, what is a picture, and no endless loops."""

import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError

_DECODED = "jpg jpeg jpe jfif jif mpo png apng webp gif tif tiff bmp dib avif avifs"
# Pictures too, though nothing here decodes them: to be reported with a reason, not dropped.
_FOREIGN = (
    "jp2 j2k jpx jpf jpc jxl heic heif hif ico cur icns svg psd xcf eps tga pcx pbm pgm ppm pnm "
    "hdr exr dds qoi raw dng cr2 cr3 nef arw orf rw2 raf"
)
PICTURE_SUFFIXES = frozenset(f".{suffix}" for suffix in f"{_DECODED} {_FOREIGN}".split())
# Leavings of operating systems; names that begin with a dot are hidden anyway.
CLUTTER = frozenset(("__macosx", "thumbs.db", "desktop.ini"))


@dataclass(frozen=True)
class Found:
    """What one folder holds: a class folder, or (label ``""``) what lies loose beside classes.

    Args:
        label: Class name as the folder spells it.
        split: ``"train"``, ``"validation"``, ``"test"`` or None.
        pictures: Paths relative to the scanned root.
        ignored: Paths relative to the scanned root; folders end in ``/``.
    """

    label: str
    split: str | None
    pictures: tuple[str, ...]
    ignored: tuple[str, ...]


def is_picture_name(name: str) -> bool:
    """Say whether the suffix of a file name is one that pictures have.

    >>> is_picture_name("Cat.JPG"), is_picture_name("cat.heic"), is_picture_name("notes.txt")
    (True, True, False)
    """
    return os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES


def list_folder(folder: Path, prefix: str) -> tuple[list[str], Found]:
    """List one folder without descending.

    Args:
        folder: The folder.
        prefix: What to put before the names to make them relative to the root, e.g. ``"train/"``.

    Returns:
        The sorted names of visible sub-folders, and the files beside them.
    """
    folders: list[str] = []
    pictures: list[str] = []
    ignored: list[str] = []
    for entry in _visible(folder):
        if entry.is_dir():
            folders.append(entry.name)
        else:
            (pictures if _is_picture(entry) else ignored).append(prefix + entry.name)
    return folders, Found("", None, tuple(pictures), tuple(ignored))


def walk(root: Path, parts: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """List all files below ``root/parts…``, following symbolic links.

    Every folder is entered once, and the folders above the start never: a link back up ends there.

    Args:
        root: The scanned root.
        parts: Names that lead from the root to the folder to start in; none for the root itself.

    Returns:
        Paths of pictures and paths of other files, relative to ``root``.
    """
    pictures: list[str] = []
    ignored: list[str] = []
    above = [root.joinpath(*parts[:depth]) for depth in range(len(parts))]
    entered = {_identity(folder) for folder in above}
    waiting = ["/".join(parts)]
    while waiting:
        folder = waiting.pop()
        identity = _identity(root / folder)
        if identity in entered:
            ignored.append(f"{folder}/")
            continue
        entered.add(identity)
        for entry in _visible(root / folder):
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir():
                waiting.append(path)
            else:
                (pictures if _is_picture(entry) else ignored).append(path)
    return pictures, ignored


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _is_picture(entry: os.DirEntry[str]) -> bool:
    # A dangling link counts, so that it is reported as unreadable; opening a pipe would hang.
    regular = entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))
    return regular and is_picture_name(entry.name)


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not _is_clutter(entry.name)]
    except OSError as error:
        raise InputError(
            f"the folder {folder} cannot be listed ({error.strerror}): make it readable or move it "
            "out of the picture folder"
        ) from error
    return sorted(shown, key=lambda entry: entry.name)


def _is_clutter(name: str) -> bool:
    return name.startswith(".") or name.lower() in CLUTTER
