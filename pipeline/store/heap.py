"""A check of HDF5's heap of texts, before HDF5 reads it.

Texts of variable length lie in "global heap collections", which have no checksum. HDF5 walks
through one object by object, and where a size was altered it may walk for ever, deaf to an
interruption. Shards hold no such texts; those that were written earlier hold their attributes so.

A collection (HDF5 file format specification, section III.E): "GCOL", version 1, three zero bytes,
its size (8 bytes), then objects: index (2), references (2), reserved (4), size (8), the data padded
to 8 bytes. An object with index 0 is the free space, and the last.
"""

import struct
from pathlib import Path

SIGNATURE = b"GCOL\x01\0\0\0"
HEADER = struct.Struct("<HHIQ")
HEAD_BYTES = 1 << 16
"""Where the attributes of a shard are, which were written before anything else."""


def check_heaps(path: Path) -> None:
    """Raise ValueError when a heap of texts at the beginning of a file does not add up.

    Raises:
        OSError: The file may not be read, or is gone.
        ValueError: A heap is damaged.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    begin = head.find(SIGNATURE)
    while begin >= 0:
        begin = head.find(SIGNATURE, _end_of_heap(head, begin))


def _end_of_heap(head: bytes, begin: int) -> int:
    first = begin + len(SIGNATURE) + 8
    end = begin + int.from_bytes(head[first - 8 : first], "little")
    if end > len(head):
        raise ValueError(f"the heap of texts at byte {begin} has an impossible size")
    place = first
    while place < end:
        if end - place < HEADER.size:
            break  # too small for another object: unused
        index, _, _, size = HEADER.unpack_from(head, place)
        place += size if index == 0 else HEADER.size + -(-size // 8) * 8
        if index == 0:
            break
    if place > end or (end - place >= HEADER.size):
        raise ValueError(f"the heap of texts at byte {begin} does not add up")
    return end
