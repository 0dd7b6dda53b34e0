"""What a shard may be made of, looked at byte by byte before HDF5 reads any of it.

HDF5 believes what a file says: crafted ones make it follow links and other files, allocate what is
not there, walk through a heap for ever, or end the process. Shards use little of what HDF5 can do,
and only that little passes here: groups of hard links, and chunked datasets of plain numbers with
a Fletcher-32 and no other filter, all within the file. The layout is that of the HDF5 file format
specification, version 3.0, whose sections are named below. Checksums are left to HDF5.
"""

import math
import struct
from collections.abc import Iterator
from typing import BinaryIO

from pipeline.features.store.dense import dense_links
from pipeline.features.store.pieces import UNDEFINED, Fields, Pieces

SIGNATURE = b"\x89HDF\r\n\x1a\n"
NOTHING, SPACE, LINK_INFO, KIND, FILL, LINK, LAYOUT = 0, 1, 2, 3, 5, 6, 8
GROUP_INFO, FILTERS, ATTRIBUTE, CONTINUED, ATTRIBUTE_INFO = 10, 11, 12, 16, 21
OF_GROUPS = {LINK_INFO, LINK, GROUP_INFO}
OF_DATASETS = {SPACE, KIND, FILL, LAYOUT, FILTERS}
OF_BOTH = {NOTHING, ATTRIBUTE, CONTINUED, ATTRIBUTE_INFO}

ALWAYS = {
    FILL: {bytes((3, when)) for when in range(12)},  # no value of its own; all chunks are there
    GROUP_INFO: {b"\0\0"},
    FILTERS: {b"\x02\x01\x03\0\0\0\0\0"},  # one filter, Fletcher-32, that must be applied
    ATTRIBUTE_INFO: {b"\0\0" + b"\xff" * 16},  # attributes are here, and not in a heap
}
"""Messages that are the same in every shard, whatever HDF5 wrote it, 1.14.2 to 2.0."""

IN_WORDS = {
    LINK_INFO: "a group",
    FILL: "another kind of storage",
    7: "bytes of another file",
    FILTERS: "other filters",
    ATTRIBUTE_INFO: "more attributes",
    22: "two links to one object",
}
"""What a message that is not allowed says, for the error."""

FLAGS = {0, 1, 4}
"""Of a message: that it is constant, or must not be shared; others change how it is read."""

INTEGERS = {
    struct.pack("<BBHIHH", 0x10, sign, 0, size, 0, 8 * size): size
    for size in (1, 2, 4, 8)
    for sign in (0, 8)
}
FLOATS = {
    struct.pack("<BBBBIHHBBBBI", 0x11, 0x20, sign, 0, size, 0, 8 * size, *parts, bias): size
    for size, sign, parts, bias in (
        (2, 15, (10, 5, 0, 10), 15),
        (4, 31, (23, 8, 0, 23), 127),
        (8, 63, (52, 11, 0, 52), 1023),
    )
}
VARIABLE = b"\x19\x01\x01\0\x10\0\0\0\x10\0\0\0\x01\0\0\0\0\0\x08\0"
"""The datatypes there are (section IV.A.2.d): bytes and how large a value is; texts besides."""

Messages = list[tuple[int, bytes]]
"""Kind and content of each message of an object."""


class Structure:
    """What a file says about itself, without HDF5.

    Args:
        file: The file, open for reading bytes.

    Attributes:
        attributes: The bytes of each of the file's attributes.

    Raises:
        ValueError: It is nothing that a shard may be.
        OSError: It cannot be read.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._pieces = Pieces(file)
        self._seen: set[int] = set()
        self._n_bytes = 0
        self._root = self._messages(_root(self._pieces), OF_GROUPS)
        self.attributes = dict(self._attributes(self._root, variable=True))

    def check(self) -> list[str]:
        """Look at the rest: every dataset, in the root and in the groups there; raises as above.

        Returns:
            Their names. HDF5, asked to list them, may end the process where it cannot read on.
        """
        names = []
        for name, place in self._links(self._root):
            messages = self._messages(place, OF_GROUPS | OF_DATASETS)
            if LAYOUT in dict(messages):
                names.append(name)
                self._check_dataset(messages)
                continue
            for inner, there in self._links(messages):
                names.append(f"{name}/{inner}")
                self._check_dataset(self._messages(there, OF_DATASETS))
        return names

    def _messages(self, place: int, allowed: set[int]) -> Messages:
        """Return the messages of an object header of version 2 (section IV.A.1.b)."""
        head = Fields(self._pieces.take(place, 6))
        known, version, flags = head.raw(4) == b"OHDR", head.number(1), head.number(1)
        if not known or version != 2 or flags & ~0x33:
            raise ValueError(f"no object at byte {place}")
        skipped = 6 + 16 * bool(flags & 0x20) + 4 * bool(flags & 0x10)
        width = 1 << (flags & 3)
        size = Fields(self._pieces.take(place + skipped, width)).number(width)
        parts, found = [(place + skipped + width, size)], []
        for begin, length in parts:
            if begin in self._seen:
                raise ValueError(f"what is at byte {begin} is used twice")
            self._seen.add(begin)
            for kind, content in _split(self._pieces.take(begin, length)):
                if kind not in allowed | OF_BOTH or content not in ALWAYS.get(kind, {content}):
                    what = IN_WORDS.get(kind, f"message {kind}")
                    raise ValueError(f"{what} at byte {place}, which no shard has")
                if kind == CONTINUED:
                    parts.append(self._continued(Fields(content)))
                found.append((kind, content))
        return found

    def _continued(self, fields: Fields) -> tuple[int, int]:
        place, length = fields.number(8), fields.number(8)
        if self._pieces.take(place, 4) != b"OCHK":
            raise ValueError(f"no rest of an object at byte {place}")
        return place + 4, length - 8  # without the signature and the checksum

    def _attributes(
        self, messages: Messages, *, variable: bool = False
    ) -> Iterator[tuple[str, bytes]]:
        """Yield the name and the bytes of each attribute (section IV.A.2.m), in texts at most."""
        for kind, content in messages:
            if kind == ATTRIBUTE:
                yield self._attribute(Fields(content), variable)

    def _attribute(self, fields: Fields, variable: bool) -> tuple[str, bytes]:
        if (fields.number(1), fields.number(1)) != (3, 0):
            raise ValueError("an attribute of a kind that no shard has")
        n_name, n_kind, n_space, _ = (fields.number(n) for n in (2, 2, 2, 1))
        name = fields.raw(n_name).rstrip(b"\0").decode("utf-8")
        kind, shape = fields.raw(n_kind), _shape(fields.raw(n_space))
        if kind == VARIABLE and variable and not shape:
            return name, self._text(fields)
        size = _size(kind) or _text_size(kind)
        if not size or len(shape) > 1:
            raise ValueError(f"the attribute {name!r} of a type that no shard has")
        return name, fields.raw(size * math.prod(shape))

    def _text(self, fields: Fields) -> bytes:
        """Return a text of variable length, as earlier shards have them (section III.E).

        They lie in "global heap collections", which have no checksum. HDF5 walks through one object
        by object, and where a size was altered it may walk for ever, deaf to an interruption.
        """
        length, place, number = (fields.number(n) for n in (4, 8, 4))
        head = Fields(self._pieces.take(place, 16))
        if head.raw(8) != b"GCOL\x01\0\0\0":
            raise ValueError(f"no heap of texts at byte {place}")
        heap = Fields(self._pieces.take(place + 16, head.number(8) - 16))
        texts = {}
        while heap.left >= 16:
            index, _, _, size = (heap.number(n) for n in (2, 2, 4, 8))
            if index == 0:  # the free space, which counts itself, is the last
                if size != heap.left + 16:
                    raise ValueError(f"the heap of texts at byte {place} does not add up")
                break
            texts[index] = heap.raw(-(-size // 8) * 8)[:length]
        if len(texts.get(number, b"")) != length:
            raise ValueError(f"no text {number} in the heap at byte {place}")
        return texts[number]

    def _links(self, messages: Messages) -> list[tuple[str, int]]:
        """Return the name and place of all that a group holds; refuse anything but hard links."""
        links = [content for kind, content in messages if kind == LINK]
        for kind, content in messages:
            if kind == LINK_INFO:
                links += dense_links(self._pieces, content)
        return [_target(Fields(content)) for content in links]

    def _check_dataset(self, messages: Messages) -> None:
        """Refuse what is no chunked array of numbers that lies within the file."""
        for _ in self._attributes(messages):
            pass
        of = dict(messages)
        if len(OF_DATASETS & of.keys()) != len(OF_DATASETS):
            raise ValueError("a dataset that is not whole")
        item, shape = _size(of[KIND]), _shape(of[SPACE])
        if not item:
            raise ValueError("a dataset of a type that no shard has")
        self._n_bytes += item * math.prod(shape)
        if not shape or not math.prod(shape) or self._n_bytes > self._pieces.size:
            raise ValueError(f"a dataset of {shape} in a file of {self._pieces.size} bytes")
        self._check_chunks(Fields(of[LAYOUT]), shape, item)

    def _check_chunks(self, fields: Fields, shape: tuple[int, ...], item: int) -> None:
        """Hold a layout of version 4 (section IV.A.2.i) against the shape: chunks of whole rows."""
        version, layout, flags, n_sides, width = (fields.number(1) for _ in range(5))
        if (version, layout, n_sides) != (4, 2, len(shape) + 1) or not 1 <= width <= 8:
            raise ValueError("a dataset that is not chunked")
        chunk = tuple(fields.number(width) for _ in range(n_sides))
        if not 1 <= chunk[0] <= shape[0] or chunk[1:] != (*shape[1:], item):
            raise ValueError(f"chunks of {chunk} in a dataset of {shape}")
        index, size = fields.number(1), math.prod(chunk) + 4  # Fletcher-32 takes four bytes
        if index == 1 and flags == 2:
            self._check_chunk(fields, size, 8)
        elif index == 3 and flags == 0:
            self._check_index(fields, size, -(-shape[0] // chunk[0]))
        else:
            raise ValueError("chunks that are found in a way that no shard has")

    def _check_chunk(self, fields: Fields, size: int, width: int) -> None:
        """Refuse a chunk that is not as long as it must be, or beyond the end of the file."""
        single = width == 8
        place = UNDEFINED if single else fields.number(8)
        length, skipped = fields.number(width), fields.number(4)
        place = fields.number(8) if single else place
        if (length, skipped) != (size, 0) or place + size > self._pieces.size:
            raise ValueError(
                f"a chunk of {length} bytes at byte {place}, not of {size} in the file"
            )

    def _check_index(self, fields: Fields, size: int, n_chunks: int) -> None:
        """Look at each chunk of a fixed array (sections VII.B and following)."""
        bits, address = fields.number(1), fields.raw(8)
        head = Fields(self._pieces.take(Fields(address).number(8), 24))
        known, entry = head.raw(6) == b"FAHD\0\x01", head.number(1)
        pages, n_entries = head.number(1), head.number(8)
        if not known or (bits, pages, n_entries) != (10, 10, n_chunks) or not 13 <= entry <= 20:
            raise ValueError("an index of chunks that is not whole")
        data = head.number(8)
        if self._pieces.take(data, 14) != b"FADB\0\x01" + address:
            raise ValueError(f"no index of chunks at byte {data}")
        begin, page = data + 14, 1 << bits
        if n_chunks > page:
            n_pages = -(-n_chunks // page)
            begin += -(-n_pages // 8) + 4  # a bit for each, and a checksum
        for first in range(0, n_chunks, page):
            n = min(page, n_chunks - first)
            entries = Fields(self._pieces.take(begin, n * entry))
            for _ in range(n):
                self._check_chunk(entries, size, entry - 12)
            begin += n * entry + 4


def _root(pieces: Pieces) -> int:
    """Return where the root group is, by a superblock of version 3 (section II.A)."""
    fields = Fields(pieces.take(0, 48))
    if fields.raw(8) != SIGNATURE or fields.raw(3) != b"\x03\x08\x08":
        raise ValueError("it does not begin as a shard does")
    _, base, extension, end, root = (fields.number(n) for n in (1, 8, 8, 8, 8))
    if (base, extension) != (0, UNDEFINED):
        raise ValueError("it does not begin as a shard does")
    if end != pieces.size:
        raise ValueError(f"{end} bytes announced, {pieces.size} found")
    return root


def _split(data: bytes) -> Iterator[tuple[int, bytes]]:
    fields = Fields(data)
    while fields.left >= 4:
        kind, size, flags = (fields.number(n) for n in (1, 2, 1))
        if flags not in FLAGS:
            raise ValueError(f"a message with flags {flags}, which no shard has")
        yield kind, fields.raw(size)


def _shape(content: bytes) -> tuple[int, ...]:
    """Return the sides of a dataspace of version 2 (section IV.A.2.b); none of a scalar's."""
    fields = Fields(content)
    version, n_sides, flags, kind = (fields.number(1) for _ in range(4))
    sides, known = fields.raw(8 * n_sides), 1 if n_sides else 0
    if (version, flags, kind) != (2, known, known) or fields.raw(fields.left) != known * sides:
        raise ValueError("a shape of a kind that no shard has")
    return tuple(Fields(sides[8 * n :]).number(8) for n in range(n_sides))


def _size(kind: bytes) -> int:
    """Return the bytes of a number of a datatype, in whatever order; 0 if it is none of ours."""
    little = kind[:1] + bytes(order & 0xFE for order in kind[1:2]) + kind[2:]
    return (INTEGERS | FLOATS).get(little, 0)


def _text_size(kind: bytes) -> int:
    """Return the bytes of a text of fixed length, however it is padded; 0 if it is none."""
    fields = Fields(kind)
    known = fields.number(1) == 0x13 and fields.number(1) in (0, 1, 2, 16, 17, 18)
    return fields.number(4) if known and fields.raw(2) == b"\0\0" and fields.left == 4 else 0


def _target(fields: Fields) -> tuple[str, int]:
    """Return the name of a link and the place that it leads to (section IV.A.2.g)."""
    version, flags = fields.number(1), fields.number(1)
    if version != 1 or flags & ~0x13:
        raise ValueError("a link that leads elsewhere, which no shard has")
    fields.raw(bool(flags & 16))  # that the name is in UTF-8
    name, place = fields.raw(fields.number(1 << (flags & 3))), fields.number(8)
    if fields.left:
        raise ValueError("a link of a kind that no shard has")
    return name.decode("utf-8"), place
