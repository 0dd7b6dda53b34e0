"""Tables of pictures: path, label, and where wanted split and group."""

import csv
import io
import os
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.errors import DataError, InputError, UnknownNameError
from pipeline.images.location import PARQUET, TSV
from pipeline.images.names import SPLIT_NAMES

REQUIRED = ("path", "label")
OPTIONAL = ("split", "group")
FIRST_ROW = 2
"""Rows are numbered as a spreadsheet numbers them; the names of the columns are row 1."""


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


def read_manifest(where: str, kind: str, content: bytes, folder: str | None) -> list[TableRow]:
    """Read the rows of a manifest, one per picture.

    Args:
        where: The manifest, as the user named it.
        kind: ``"csv"``, ``"tsv"`` or ``"parquet"``.
        content: Its bytes.
        folder: Its folder if that is a local one: absolute paths in it become relative.

    Returns:
        The rows, in the manifest's order; a row that is there twice comes once.

    Raises:
        InputError: It cannot be read as such a table, or a split has no known name.
        DataError: A row says nothing, or says otherwise than another one.
    """
    if kind == PARQUET:
        header, records = _parquet(where, content)
    else:
        header, records = _text_table(where, content, "\t" if kind == TSV else ",")
    columns = _columns(where, header)
    rows = [
        _row(where, number, record, len(header), columns, folder)
        for number, record in enumerate(records, FIRST_ROW)
        if any(map(str.strip, record))
    ]
    _check_splits(where, rows)
    return list(_distinct(where, rows))


def _text_table(
    where: str, content: bytes, delimiter: str
) -> tuple[Sequence[str], Iterable[Sequence[str]]]:
    try:
        text = content.decode("utf-8-sig")
        records = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except UnicodeDecodeError as error:
        raise InputError(
            f"expected UTF-8 text in {where}, received another encoding (byte {error.start}): save "
            "it as UTF-8"
        ) from error
    except csv.Error as error:
        raise InputError(
            f"expected a table in {where}, received what is none ({error}): mend its quotes"
        ) from error
    return (records[0] if records else []), records[1:]


def _parquet(where: str, content: bytes) -> tuple[Sequence[str], Iterable[Sequence[str]]]:
    try:
        # Only those who have Parquet files pay for it.
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise InputError(
            f"expected the package pyarrow to read {where}, which is not installed: "
            "pip install 'bottleneck-pipeline[parquet]', or save the table as .csv"
        ) from error
    try:
        table = parquet.ParquetFile(io.BytesIO(content))
        header = table.schema_arrow.names
        wanted = [name for name in header if name.strip().lower() in (*REQUIRED, *OPTIONAL)]
        columns = [table.read([name]).column(0).to_pylist() for name in wanted]
    except (pyarrow.ArrowException, OSError, ValueError, KeyError) as error:
        raise InputError(
            f"expected a Parquet file, received {where}, which cannot be read as one ({error}): "
            "write it again"
        ) from error
    texts = [["" if value is None else str(value) for value in column] for column in columns]
    return wanted, list(zip(*texts, strict=True))


def _columns(where: str, header: Sequence[str]) -> dict[str, int]:
    """Return where each known column stands."""
    names = [name.strip().lower() for name in header]
    for name in (*REQUIRED, *OPTIONAL):
        if names.count(name) > 1:
            raise InputError(f"expected one column {name} in {where}, received several: keep one")
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise InputError(
            f"expected the columns path and label (split and group if wanted) in {where}, received "
            f"{', '.join(names) or 'none'}: name the columns in the first row, one as "
            f"{missing[0]!r}"
        )
    return {name: names.index(name) for name in (*REQUIRED, *OPTIONAL) if name in names}


def _row(
    where: str,
    number: int,
    record: Sequence[str],
    n_columns: int,
    columns: Mapping[str, int],
    folder: str | None,
) -> TableRow:
    if len(record) != n_columns:
        raise InputError(
            f"expected {n_columns} values in row {number} of {where}, received {len(record)}: put "
            "quotes around values that hold the separator"
        )
    values = {name: record[at].strip() for name, at in columns.items()}
    for name in REQUIRED:
        if not values[name]:
            raise DataError(
                f"expected a {name} in row {number} of {where}, received none: fill it in, or "
                "remove the row"
            )
    split = _split(where, number, values.get("split", ""))
    path = _tidy(values["path"], folder)
    return TableRow(number, path, values["label"], split, values.get("group") or None)


def _split(where: str, number: int, name: str) -> str | None:
    if name and name.lower() not in SPLIT_NAMES:
        hint = f"in row {number} of {where} give one of {', '.join(SPLIT_NAMES)}"
        raise UnknownNameError("split", name, SPLIT_NAMES, hint)
    return SPLIT_NAMES[name.lower()] if name else None


def _tidy(path: str, folder: str | None) -> str:
    """Write one path in one way, so that two rows for it are seen."""
    if "://" in path:
        return path
    path = posixpath.normpath(path)
    if folder is not None and path.startswith(f"{folder.rstrip(os.sep)}/"):
        return os.path.relpath(path, folder)
    return path


def _check_splits(where: str, rows: Sequence[TableRow]) -> None:
    without = next((row for row in rows if row.split is None), None)
    if without is not None and any(row.split for row in rows):
        raise DataError(
            f"expected a split in every row of {where} or in none, received none in row "
            f"{without.number}: fill it in, or leave the column out"
        )


def _distinct(where: str, rows: Sequence[TableRow]) -> Iterator[TableRow]:
    """Yield each path once; two rows that disagree on it are an error."""
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
