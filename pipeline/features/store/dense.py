"""Links of a group that has many: a tree of their names, and a heap that holds them.

HDF5 writes them so from the ninth on (file format specification, sections III.A.2 and III.G). Here
they are followed as far as our writer ever goes: a tree of two levels, a heap of two.
"""

from collections.abc import Iterator

from pipeline.features.store.pieces import UNDEFINED, Fields, Pieces

NAMES = 5
"""A tree whose records are the hash of a name (4 bytes) and the number of a heap object (7)."""

RECORD_BYTES, HASH_BYTES = 11, 4


def dense_links(pieces: Pieces, content: bytes) -> list[bytes]:
    """Return the link messages of a group that lie in a heap; none where it has no heap.

    Args:
        pieces: The file.
        content: The group's message of link information (section IV.A.2.c).

    Raises:
        ValueError: They are laid out in another way than our writer's.
    """
    fields = Fields(content)
    version, flags = fields.number(1), fields.number(1)
    fields.raw(8 * bool(flags & 1))
    heap, tree = fields.number(8), fields.number(8)
    if version != 0 or flags & 2:
        raise ValueError("a group of a kind that no shard has")
    if heap == UNDEFINED:
        return []
    blocks = _Heap(pieces, heap)
    return [blocks.object(Fields(record[HASH_BYTES:])) for record in _records(pieces, tree)]


def _records(pieces: Pieces, place: int) -> Iterator[bytes]:
    head = Fields(pieces.take(place, 38))
    known = head.raw(6) == bytes((*b"BTHD", 0, NAMES))
    node_bytes, record_bytes, depth, _ = (head.number(n) for n in (4, 2, 2, 2))
    root, n_records = head.number(8), head.number(2)
    if not known or record_bytes != RECORD_BYTES or depth > 1 or node_bytes > 1 << 16:
        raise ValueError(f"no tree of names at byte {place}")
    if depth == 0:
        yield from _leaf(pieces, root, n_records)
        return
    node = Fields(pieces.take(root, node_bytes))
    if node.raw(6) != bytes((*b"BTIN", 0, NAMES)):
        raise ValueError(f"no node of a tree of names at byte {root}")
    yield from (node.raw(RECORD_BYTES) for _ in range(n_records))
    width = (((node_bytes - 10) // RECORD_BYTES).bit_length() + 7) // 8
    for _ in range(n_records + 1):
        child, n_inside = node.number(8), node.number(width)
        yield from _leaf(pieces, child, n_inside)


def _leaf(pieces: Pieces, place: int, n_records: int) -> Iterator[bytes]:
    leaf = Fields(pieces.take(place, 6 + n_records * RECORD_BYTES))
    if leaf.raw(6) != bytes((*b"BTLF", 0, NAMES)):
        raise ValueError(f"no leaf of a tree of names at byte {place}")
    yield from (leaf.raw(RECORD_BYTES) for _ in range(n_records))


class _Heap:
    """The direct blocks of a fractal heap, whose sizes double from row to row.

    Args:
        pieces: The file.
        place: Of its header.
    """

    def __init__(self, pieces: Pieces, place: int) -> None:
        self._pieces = pieces
        head = Fields(pieces.take(place, 146))
        known = head.raw(5) == b"FRHP\0"
        id_bytes, filters, flags = head.number(2), head.number(2), head.number(1)
        head.raw(4 + 12 * 8)
        width, first, largest, bits, _ = (head.number(n) for n in (2, 8, 8, 2, 2))
        root, n_rows = head.number(8), head.number(2)
        shape = (id_bytes, filters, flags, width, first, largest, bits)
        if not known or shape != (7, 0, 2, 4, 512, 1 << 16, 32) or n_rows > 9:
            raise ValueError(f"no heap of links at byte {place}")
        if n_rows == 0:
            self._blocks = [(0, first, root)]
        else:
            self._blocks = list(self._in_rows(root, width, n_rows, first))

    def _in_rows(
        self, root: int, width: int, n_rows: int, first: int
    ) -> Iterator[tuple[int, int, int]]:
        """Yield (offset, size, place) of each block that there is."""
        fields = Fields(self._pieces.take(root, 17 + 8 * width * n_rows))
        if fields.raw(5) != b"FHIB\0":
            raise ValueError(f"no table of a heap at byte {root}")
        fields.raw(12)
        offset = 0
        for row in range(n_rows):
            size = first << max(0, row - 1)
            for _ in range(width):
                place = fields.number(8)
                if place != UNDEFINED:
                    yield offset, size, place
                offset += size

    def object(self, number: Fields) -> bytes:
        """Return what the heap holds under a number: how it lies there, its offset, its length."""
        how, offset, length = number.number(1), number.number(4), number.number(2)
        for begin, size, place in self._blocks:
            if how == 0 and begin <= offset and offset + length <= begin + size:
                if self._pieces.take(place, 5) != b"FHDB\0":
                    raise ValueError(f"no block of a heap at byte {place}")
                return self._pieces.take(place + offset - begin, length)
        raise ValueError(f"no link at {offset} of a heap")
