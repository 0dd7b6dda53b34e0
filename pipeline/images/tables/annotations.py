"""Lists of labels that are no tables: what the first lines of a table made of them would be."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
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
        words = [word.strip().strip("\"'") for word in re.split(separator, line.strip())]
        at = next((at for at, word in enumerate(words) if is_picture_name(word)), None)
        others = [word for place, word in enumerate(words) if place != at and word]
        after = [word for word in words[at + 1 :] if word] if at is not None else []
        if at is not None and others:
            return words[at], (after or others)[0]
    return None


def json_hint(content: bytes) -> str:
    """Return how to make a table of JSON, or of a JSON value a line, with its first picture."""
    found = None
    if len(content) <= _MOST_JSON:
        try:
            found = _in_json(_parsed(content.decode("utf-8-sig")))
        except ValueError:  # neither JSON nor UTF-8: the hint is the usual one
            found = None
    return _hint(*(found or ("images/1.jpg", "cat")))


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return [json.loads(line) for line in islice(text.splitlines(), _N_LINES) if line.strip()]


def _in_json(value: Any) -> tuple[str, str] | None:
    """Return the path and the label of one picture, from the forms that are met often."""
    if isinstance(value, Mapping):
        if isinstance(value.get("images"), list) and isinstance(value.get("annotations"), list):
            return _in_coco(value)
        for key, held in value.items():
            if is_picture_name(str(key)) and isinstance(held, str | int):
                return str(key), str(held)
            if isinstance(held, list) and held and is_picture_name(str(held[0])):
                return str(held[0]), str(key)
        lists = [held for held in value.values() if isinstance(held, list)]
        return next(filter(None, map(_in_json, lists)), None)
    return next(filter(None, map(_in_record, _records(value)[:_N_LINES])), None)


def _in_record(record: Mapping[str, Any]) -> tuple[str, str] | None:
    plain = {key: str(held) for key, held in record.items() if isinstance(held, str | int)}
    path = next((held for held in plain.values() if is_picture_name(held)), None)
    labels = [held for key, held in plain.items() if says(LABEL, key)]
    others = [held for held in plain.values() if held != path]
    label = next(iter([*labels, *others]), None)
    return (path, label) if path and label else None


def _in_coco(value: Mapping[str, Any]) -> tuple[str, str] | None:
    paths = {one.get("id"): one.get("file_name") for one in _records(value["images"])}
    classes = {one.get("id"): one.get("name") for one in _records(value.get("categories"))}
    for one in _records(value["annotations"]):
        path = paths.get(one.get("image_id"))
        label = classes.get(one.get("category_id"), one.get("category_id"))
        if path and label is not None:
            return str(path), str(label)
    return None


def _records(value: Any) -> Sequence[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
