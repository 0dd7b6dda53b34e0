"""Keys of rows and of pictures: fixed-length strings, which numpy sorts and searches quickly."""

import numpy as np

DIGEST_BYTES, VIEW_BYTES = 32, 4
ROW_KEY = np.dtype(f"S{DIGEST_BYTES + VIEW_BYTES}")
PICTURE_KEY = np.dtype(f"S{DIGEST_BYTES}")


def row_keys(digests: np.ndarray, views: np.ndarray | int = 0) -> np.ndarray:
    """Join digests and views into keys that sort by digest, then by view.

    Args:
        digests: (n, 32) uint8.
        views: One view number for all rows, or (n,) int; none is negative.

    Returns:
        (n,) strings of 36 bytes, the view as a big-endian number at the end, in the order given.
    """
    assert np.min(views, initial=0) >= 0, f"view numbers count from 0: {views}"
    keys = np.empty((len(digests), ROW_KEY.itemsize), np.uint8)
    keys[:, :DIGEST_BYTES] = digests
    numbers = np.broadcast_to(np.asarray(views), len(digests)).astype(">u4")
    keys[:, DIGEST_BYTES:] = numbers[:, None].view(np.uint8)
    return keys.view(ROW_KEY).ravel()


def picture_keys(digests: np.ndarray) -> np.ndarray:
    """View digests (n, 32) uint8 as (n,) strings of 32 bytes."""
    return np.ascontiguousarray(digests, np.uint8).view(PICTURE_KEY).ravel()


def positions(table: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return where each key is in a sorted table of distinct keys: (n,) int, -1 where it is not.

    Numbers are compared faster than strings: the first eight bytes of a digest find the place, and
    whole keys are compared from there on. Only the views of one picture share these bytes.
    """
    found = np.full(len(keys), -1)
    numbers, wanted = _beginnings(table), _beginnings(keys)
    places = np.searchsorted(numbers, wanted)
    rows = np.flatnonzero(places < len(table))
    while len(rows):
        at = places[rows]
        same = table[at] == keys[rows]
        found[rows[same]] = at[same]
        rows = rows[~same & (numbers[at] == wanted[rows])]
        places[rows] += 1
        rows = rows[places[rows] < len(table)]
    return found


def _beginnings(keys: np.ndarray) -> np.ndarray:
    """Return the first eight bytes of keys as numbers (n,) uint64, which sort as the keys do."""
    raw = np.ascontiguousarray(keys).view(np.uint8).reshape(len(keys), keys.dtype.itemsize)
    return np.ascontiguousarray(raw[:, :8]).view(">u8").ravel().astype(np.uint64)
