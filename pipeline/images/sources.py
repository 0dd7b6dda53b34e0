"""Find labelled pictures in folders, and say what is wrong with a layout.

Two layouts are read: ``ROOT/{train,validation|valid|val,test}/<class>/…`` and
``ROOT/<class>/…``; folders inside a class folder belong to the class. Files are told apart by
suffix only, nothing is opened here. A picture in a format that cannot be decoded still counts as a
picture, so that it is reported later with its reason instead of vanishing now.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import DataError, InputError
from pipeline.images.layout import check_layout
from pipeline.images.walk import Found, list_folder, walk

SPLIT_NAMES = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}


@dataclass(frozen=True)
class Source:
    """The labelled pictures of one folder; rows are ordered by path.

    Args:
        root: The folder that was scanned.
        paths: n paths relative to ``root``, with ``/``, sorted.
        labels: n class names, row by row.
        splits: n times ``"train"``, ``"validation"``, ``"test"``, or None where the folder has no
            split folders.
        ignored: What lies there and is not used, relative to ``root``, sorted; folders end in
            ``/``.
    """

    root: Path
    paths: tuple[str, ...]
    labels: tuple[str, ...]
    splits: tuple[str | None, ...]
    ignored: tuple[str, ...]


def scan(root: str | Path) -> Source:
    """List the labelled pictures below ``root``.

    Args:
        root: A folder in one of the two layouts.

    Returns:
        The pictures with labels and given splits, rows ordered by path.

    Raises:
        InputError: If ``root`` is missing or no folder, or a folder in it cannot be listed.
        DataError: If nothing can be learnt from the layout; the message says how to mend it.
    """
    root = _existing_folder(root)
    folders, loose = list_folder(root, "")
    split_folders = _split_folders(root, folders)
    if split_folders:
        found = list(_scan_splits(root, folders, split_folders))
    else:
        found = [_scan_class(root, (), name, None) for name in folders]
    check_layout(root, loose, found)
    return _assemble(root, loose, found)


def _existing_folder(root: str | Path) -> Path:
    root = Path(root)
    if not root.exists():
        raise InputError(
            f"expected a folder of pictures, but {root} does not exist: check the path"
        )
    if not root.is_dir():
        raise InputError(
            f"expected a folder of pictures, but {root} is a file: give the folder that holds the "
            "class folders (unpack archives first)"
        )
    return root


def _split_folders(root: Path, folders: list[str]) -> dict[str, str]:
    """Map folder name to split; two folders for one split are an error."""
    named = {name: SPLIT_NAMES[name.lower()] for name in folders if name.lower() in SPLIT_NAMES}
    by_split = {split: name for name, split in named.items()}
    for name, split in named.items():
        if by_split[split] != name:
            raise DataError(
                f"expected one {split} folder in {root}, received {name!r} and "
                f"{by_split[split]!r}: merge them or move one away"
            )
    return named


def _scan_splits(root: Path, folders: list[str], splits: dict[str, str]) -> Iterator[Found]:
    for name in folders:
        if name not in splits:
            found = _scan_class(root, (), name, None)
            _refuse_mixture(root, found, next(iter(splits)))
            yield found
            continue
        classes, loose = list_folder(root / name, f"{name}/")
        found_here = [_scan_class(root, (name,), label, splits[name]) for label in classes]
        _refuse_unsorted_split(root, name, loose, found_here)
        yield Found("", splits[name], (), (*loose.pictures, *loose.ignored))
        yield from found_here


def _scan_class(root: Path, parents: tuple[str, ...], name: str, split: str | None) -> Found:
    pictures, ignored = walk(root, (*parents, name))
    if not pictures:
        # A class without a picture is no class; it is listed so that a wrong path shows.
        ignored = ["/".join((*parents, name)) + "/"]
    return Found(name, split, tuple(pictures), tuple(ignored))


def _refuse_mixture(root: Path, found: Found, split_folder: str) -> None:
    if found.pictures:
        raise DataError(
            f"expected either split folders or class folders in {root}, received both: the split "
            f"folder {split_folder!r} and the folder {found.label!r} with pictures; move "
            f"{found.label!r} into a split folder, or rename {split_folder!r} if it is a class"
        )


def _refuse_unsorted_split(root: Path, name: str, loose: Found, classes: list[Found]) -> None:
    if loose.pictures and not any(found.pictures for found in classes):
        raise DataError(
            f"expected class folders in {root / name}, received pictures without any, e.g. "
            f"{loose.pictures[0]}: move each to {name}/<class>/, or move {name!r} away if its "
            "pictures have no labels"
        )


def _assemble(root: Path, loose: Found, found: list[Found]) -> Source:
    rows = sorted((path, part.label, part.split) for part in found for path in part.pictures)
    ignored = [*loose.pictures, *loose.ignored, *(path for part in found for path in part.ignored)]
    return Source(
        root=root,
        paths=tuple(path for path, _, _ in rows),
        labels=tuple(label for _, label, _ in rows),
        splits=tuple(split for _, _, split in rows),
        ignored=tuple(sorted(ignored)),
    )
