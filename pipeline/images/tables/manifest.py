"""Rows of tables of pictures: path, label, and where wanted split and group."""

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import NamedTuple

from pipeline.errors import DataError, UnknownNameError
from pipeline.images.names import SPLIT_NAMES
from pipeline.images.tables.column_names import NONE
from pipeline.images.tables.content import TableColumn
from pipeline.images.tables.labels import is_missing, missing_labels


class TableRow(NamedTuple):
    """One picture of a manifest.

    Args:
        number: Row number in the file.
        path: Relative to the manifest's folder, or absolute.
        label: Class name.
        split: ``"train"``, ``"validation"``, ``"test"`` or None.
        group: Name of the group that must stay whole, or None.
    """

    number: int
    path: str
    label: str
    split: str | None
    group: str | None


def check_filled(
    where: str, numbers: Sequence[int], paths: TableColumn, labels: TableColumn
) -> None:
    """Raise DataError for a row without a path or a label."""
    missing = {""} if labels.classes else {"", *missing_labels(labels.counts)}
    for number, path, label in zip(numbers, paths.values, labels.values, strict=True):
        if not path or label in missing:
            word = f"{label!r}, as for no value (write another word if it is a class)"
            raise DataError(
                f"expected a {'label' if path else 'path'} in row {number} of {where}, received "
                f"{word if path and label else 'none'}: fill it in, or remove the row"
            )


def table_rows(
    where: str,
    numbers: Sequence[int],
    paths: Sequence[str],
    labels: Sequence[str],
    split: TableColumn | None,
    group: TableColumn | None,
) -> Iterator[TableRow]:
    """Yield the rows of a manifest, each path once, in their order; paths are written in one way.

    Raises:
        UnknownNameError: A split has no known name.
        DataError: A row has no split while others have one, or says otherwise than another row.
    """
    splits = _splits(where, numbers, split) if split and split.counts else repeat(None)
    alone = {"", *filter(is_missing, group.counts)} if group else set()
    groups = (None if name in alone else name for name in group.values) if group else repeat(None)
    first: dict[str, TableRow] = {}
    for values in zip(numbers, paths, labels, splits, groups, strict=False):
        row = TableRow(*values)
        same = first.setdefault(row.path, row)
        if same is row:
            yield row
        elif row[1:] != same[1:]:
            raise _differ(where, same, row)


def _splits(where: str, numbers: Sequence[int], split: TableColumn) -> Iterator[str]:
    for number, said in zip(numbers, split.values, strict=True):
        if said in split.splits:
            yield split.splits[said]
        elif said:
            hint = f"in row {number} of {where} give one of {', '.join(SPLIT_NAMES)}, or say "
            raise UnknownNameError("split", said, SPLIT_NAMES, f"{hint}--split-column {NONE}")
        else:
            raise DataError(
                f"expected a split in every row of {where} or in none, received none in row "
                f"{number}: fill it in, or leave the column out (--split-column {NONE})"
            )


def _differ(where: str, one: TableRow, other: TableRow) -> DataError:
    names = ("label", "split", "group")
    name = next(name for name in names if getattr(one, name) != getattr(other, name))
    return DataError(
        f"expected one {name} for {one.path} in {where}, received {getattr(one, name)!r} in row "
        f"{one.number} and {getattr(other, name)!r} in row {other.number}: keep one of the two "
        "rows; if these are two pictures, write their folders into the paths"
    )


def why_unusable(path: str) -> str | None:
    """Return why a path of a manifest cannot be followed; None if it can."""
    if path == ".." or path.startswith("../"):
        return "leads out of the manifest's folder: give an absolute path"
    return "no path: it holds a NUL character" if "\0" in path else None
