"""Links of a group that has many: a tree of their names, and a heap that holds them.

HDF5 writes them so from the ninth on (file format specification, sections III.A.2 and III.G). Here
they are followed as far as our writer ever goes: a tree of two levels, a heap of two.
"""

import struct
from collections.abc import Iterator

from pipeline.features.store.pieces import UNDEFINED, Fields, Pieces

NAMES = 5
"""A tree whose records are the hash of a name (4 bytes) and the number of a heap object (7)."""

RECORD_BYTES, HASH_BYTES, NODE_BYTES = 11, 4, 512
MOST_OF_LEAF, MOST_OF_NODE = 45, 24
"""Records that fit."""

WIDTH, FIRST_BYTES, LARGEST_BYTES, MOST_ROWS = 4, 512, 1 << 16, 9
"""Blocks of a heap in a row, the bytes of one in the first two rows and in the last, and rows."""

BLOCK_HEAD = 21


def dense_links(pieces: Pieces, content: bytes) -> list[bytes]:
    """Return the link messages of a group that lie in a heap; none where it has no heap.

    ``content`` is the group's message of link information (section IV.A.2.c). Raises ValueError if
    they are laid out in another way than our writer's.
    """
    fields = Fields(content)
    if fields.raw(2) != b"\0\0" or fields.left != 16:
        raise ValueError("a group of a kind that no shard has")
    heap, tree = fields.number(8), fields.number(8)
    if heap == tree == UNDEFINED:
        return []
    records = _records(pieces, tree)
    blocks = _Heap(pieces, heap, len(records))
    return [blocks.object(Fields(record[HASH_BYTES:])) for record in records]


def _records(pieces: Pieces, place: int) -> list[bytes]:
    head = Fields(pieces.take(place, 38))
    known = head.raw(12) == struct.pack("<4sBBIH", b"BTHD", 0, NAMES, NODE_BYTES, RECORD_BYTES)
    depth, split = head.number(2), head.raw(2)
    root, n_records, n_all = head.number(8), head.number(2), head.number(8)
    if not known or depth > 1 or split != b"\x64\x28":
        raise ValueError(f"no tree of names at byte {place}")
    found = list(_node(pieces, root, n_records) if depth else _leaf(pieces, root, n_records))
    if len(found) != n_all or len(set(found)) != n_all:
        raise ValueError(f"{n_all} names announced, {len(set(found))} found at byte {root}")
    return found


def _node(pieces: Pieces, place: int, n_records: int) -> Iterator[bytes]:
    node = Fields(pieces.take(place, NODE_BYTES))
    if node.raw(6) != bytes((*b"BTIN", 0, NAMES)) or not 1 <= n_records <= MOST_OF_NODE:
        raise ValueError(f"no node of a tree of names at byte {place}")
    yield from (node.raw(RECORD_BYTES) for _ in range(n_records))
    for _ in range(n_records + 1):
        yield from _leaf(pieces, node.number(8), node.number(1))


def _leaf(pieces: Pieces, place: int, n_records: int) -> Iterator[bytes]:
    leaf = Fields(pieces.take(place, NODE_BYTES))
    if leaf.raw(6) != bytes((*b"BTLF", 0, NAMES)) or not 1 <= n_records <= MOST_OF_LEAF:
        raise ValueError(f"no leaf of a tree of names at byte {place}")
    yield from (leaf.raw(RECORD_BYTES) for _ in range(n_records))


class _Heap:
    """The direct blocks of a fractal heap, whose sizes double from row to row."""

    def __init__(self, pieces: Pieces, place: int, n_objects: int) -> None:
        self._pieces, self._place = pieces, place
        head = Fields(pieces.take(place, 146))
        # Seven bytes identify an object, there are no filters, blocks have checksums, and no object
        # is larger than 4 KiB. None lies outside the blocks ("huge") or has no block ("tiny").
        known = head.raw(30) == struct.pack("<4sBHHBIQQ", b"FRHP", 0, 7, 0, 2, 4096, 0, UNDEFINED)
        head.raw(2 * 8)  # free space is of use to who writes
        n_bytes, n_used, _, n_inside = (head.number(8) for _ in range(4))
        known &= head.raw(4 * 8) == bytes(4 * 8)
        shape = struct.pack("<HQQHH", WIDTH, FIRST_BYTES, LARGEST_BYTES, 32, 1)
        known &= head.raw(len(shape)) == shape
        root, n_rows = head.number(8), head.number(2)
        if not known or n_inside != n_objects or n_rows > MOST_ROWS:
            raise ValueError(f"no heap of links at byte {place}")
        self._blocks = list(self._in_rows(root, n_rows)) if n_rows else [(0, FIRST_BYTES, root)]
        sizes = [size for _, size, _ in self._blocks]
        whole = FIRST_BYTES * WIDTH << n_rows - 1 if n_rows else FIRST_BYTES
        if (n_bytes, n_used) != (whole, sum(sizes)):
            raise ValueError(f"a heap of links at byte {place} that does not add up")
        for offset, _, block in self._blocks:
            self._check_head(b"FHDB", block, offset)

    def _in_rows(self, root: int, n_rows: int) -> Iterator[tuple[int, int, int]]:
        """Yield (offset, size, place) of each block that there is."""
        self._check_head(b"FHIB", root, 0)
        fields = Fields(self._pieces.take(root + 17, 8 * WIDTH * n_rows))
        offset = 0
        for row in range(n_rows):
            size = FIRST_BYTES << max(0, row - 1)
            for _ in range(WIDTH):
                place = fields.number(8)
                if place != UNDEFINED:
                    yield offset, size, place
                offset += size

    def _check_head(self, signature: bytes, place: int, offset: int) -> None:
        expected = struct.pack("<4sBQI", signature, 0, self._place, offset)
        if self._pieces.take(place, 17) != expected:
            raise ValueError(f"no block of a heap at byte {place}")

    def object(self, number: Fields) -> bytes:
        """Return what the heap holds under a number: how it lies there, its offset, its length."""
        how, offset, length = number.number(1), number.number(4), number.number(2)
        for begin, size, place in self._blocks:
            if how == 0 and begin + BLOCK_HEAD <= offset and offset + length <= begin + size:
                return self._pieces.take(place + offset - begin, length)
        raise ValueError(f"no link at {offset} of a heap")
