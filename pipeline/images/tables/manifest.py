"""Rows of tables of pictures: path, label, and where wanted split and group."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

from pipeline.errors import DataError, UnknownNameError
from pipeline.images.names import SPLIT_NAMES
from pipeline.images.tables.column_names import NONE
from pipeline.images.tables.columns import Columns
from pipeline.images.tables.text import TableContent

Tidy = Callable[[str, str], str]
"""Writes a path in one way, from the folder it is relative to, with a slash, and itself."""

_MISSING = {"nan", "<na>", "null"}
"""What programs write where there is no value."""


@dataclass(frozen=True)
class TableRow:
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


def table_rows(where: str, table: TableContent, columns: Columns, tidy: Tidy) -> list[TableRow]:
    """Return the rows of a manifest, one per picture.

    Args:
        where: The manifest, as the user named it.
        table: What is in it.
        columns: Which column says what.
        tidy: Writes a path in one way, so that two rows for it are seen.

    Returns:
        The rows, in the manifest's order.

    Raises:
        UnknownNameError: A split has no known name.
        DataError: A row says nothing.
    """
    splits = columns.split.splits if columns.split else {}
    path_at, group_at = columns.path, columns.group
    split_at = columns.split.at if columns.split else None
    folders = table.folders or repeat("", len(table.records))
    rows = []
    for number, record, label, folder in zip(
        table.numbers, table.records, columns.labels, folders, strict=True
    ):
        path = record[path_at].strip()
        if not path or not label or label.lower() in _MISSING:
            raise DataError(
                f"expected a {'label' if path else 'path'} in row {number} of {where}, received "
                f"{repr(label) if path and label else 'none'}: fill it in, or remove the row"
            )
        split = None
        if split_at is not None and (said := record[split_at].strip()):
            split = splits.get(said) or _unknown_split(where, number, said)
        group = None if group_at is None else record[group_at].strip() or None
        rows.append(TableRow(number, tidy(folder, path), label, split, group))
    _check_splits(where, rows)
    return rows


def _unknown_split(where: str, number: int, name: str) -> str:
    hint = (
        f"in row {number} of {where} give one of {', '.join(SPLIT_NAMES)}, or say --split-column "
        f"{NONE}"
    )
    raise UnknownNameError("split", name, SPLIT_NAMES, hint)


def _check_splits(where: str, rows: Sequence[TableRow]) -> None:
    without = next((row for row in rows if row.split is None), None)
    if without is not None and any(row.split for row in rows):
        raise DataError(
            f"expected a split in every row of {where} or in none, received none in row "
            f"{without.number}: fill it in, or leave the column out (--split-column {NONE})"
        )


def distinct_rows(where: str, rows: Sequence[TableRow]) -> Iterator[TableRow]:
    """Yield each path once; two rows that disagree on it are an error.

    Raises:
        DataError: A row says otherwise than another one.
    """
    first: dict[str, TableRow] = {}
    for row in rows:
        same = first.setdefault(row.path, row)
        if same is row:
            yield row
            continue
        for name in ("label", "split", "group"):
            if getattr(same, name) != getattr(row, name):
                raise DataError(
                    f"expected one {name} for {row.path} in {where}, received "
                    f"{getattr(same, name)!r} in row {same.number} and {getattr(row, name)!r} in "
                    f"row {row.number}: keep one of the two rows"
                )


def why_unusable(path: str) -> str | None:
    """Return why a path of a manifest cannot be followed; None if it can."""
    if path == ".." or path.startswith("../"):
        return "leads out of the manifest's folder: give an absolute path"
    return "no path: it holds a NUL character" if "\0" in path else None
