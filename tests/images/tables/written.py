"""Small tables of pictures, and the files that they name."""

import os

NAMES = tuple(f"{number}.jpg" for number in range(6))
LABELS = ("cat", "cat", "cat", "dog", "dog", "dog")
SPLITS = ("Training", "Training", "Testing") * 2


def text_of(header, *columns, separator=","):
    """Write columns below their names."""
    rows = [header, *zip(*columns, strict=True)]
    return "".join(separator.join(map(str, row)) + "\n" for row in rows)


def put(root, text, *paths, name="t.csv"):
    """Write a table, and files that hold their own names; return the table's path."""
    for path in (*paths, name):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(os.fsencode(path))
    (root / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return root / name
