"""Lists of labels that are no tables: what the first lines of a table made of them would be."""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain, islice
from typing import Any

from pipeline.images.names import is_picture_name
from pipeline.images.tables.column_names import LABEL, says

_MOST_JSON = 1 << 26
"""Larger files are not read for the sake of an example."""
_N_LINES = 20


def table_hint(lines: Iterable[str], folder: str = "") -> str | None:
    """Return how to make a table of a text that names pictures and their labels; None if it cannot.

    Args:
        lines: Its first lines, such as ``val_0.JPEG<tab>n03444034<tab>0<tab>32``.
        folder: Where the pictures lie as seen from the table, with a slash at its end.

    >>> table_hint(["val_0.JPEG n03444034 0 32"], "images/")
    'make a .csv table of it, whose first two lines are path,label and images/val_0.JPEG,n03444034'
    """
    found = next(filter(None, map(_picture_and_label, islice(lines, _N_LINES))), None)
    return _hint(folder + found[0], found[1]) if found else None


def _hint(path: str, label: str) -> str:
    return f"make a .csv table of it, whose first two lines are path,label and {path},{label}"


def _picture_and_label(line: str) -> tuple[str, str] | None:
    for separator in (r"[\t,;|]", r"\s+"):
        words = [word.strip("\"' ") for word in re.split(separator, line.strip())]
        path = next(filter(is_picture_name, words), "")
        others = [word for word in words if word not in ("", path)]
        after = filter(None, words[words.index(path) + 1 :]) if path else ()
        if path and others:
            return path, next(iter(after), others[0])
    return None


def json_hint(content: bytes) -> str:
    """Return how to make a table of JSON, or of a JSON value a line, with its first picture."""
    found = None
    if len(content) <= _MOST_JSON:
        # Neither JSON nor UTF-8, nested without end, or odd: the hint is the usual one.
        with suppress(ValueError, TypeError, RecursionError):
            found = next(_in_json(_parsed(content.decode("utf-8-sig"))), None)
    return _hint(*(found or ("images/1.jpg", "cat")))


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return [json.loads(line) for line in islice(text.splitlines(), _N_LINES) if line.strip()]


def _in_json(value: Any) -> Iterator[tuple[str, str]]:
    """Yield paths and labels of pictures, from the forms that are met often."""
    if isinstance(value, list):
        yield from chain.from_iterable(map(_in_json, value))
    if not isinstance(value, dict):
        return
    yield from _in_coco(value)
    plain = {key: str(held) for key, held in value.items() if isinstance(held, str | int)}
    path = next(filter(is_picture_name, plain.values()), "")
    others = [key for key, held in plain.items() if held != path]
    if path and others:
        yield path, plain[next((key for key in others if says(LABEL, key)), others[0])]
    for key, held in value.items():
        if is_picture_name(key) and key in plain:
            yield key, plain[key]
        elif isinstance(held, list) and held and is_picture_name(str(held[0])):
            yield str(held[0]), key
        else:
            yield from _in_json(held)


def _in_coco(value: dict[str, Any]) -> Iterator[tuple[str, str]]:
    images, classes, annotations = (
        [one for one in value.get(key) or () if isinstance(one, dict)]
        for key in ("images", "categories", "annotations")
    )
    paths = {one.get("id"): one.get("file_name") for one in images}
    names = {one.get("id"): one.get("name") for one in classes}
    for one in annotations:
        label = names.get(one.get("category_id"), one.get("category_id"))
        if (path := paths.get(one.get("image_id"))) and label is not None:
            yield str(path), str(label)
