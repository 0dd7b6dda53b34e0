"""What an ONNX file says of itself, read from its bytes without any library that would load it.

Only what has to be known before a library sees the file: which tensors lie in other files. The file
is mapped, not read: memory does not grow with it.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import WeightsError

_MOST_NODES, _MOST_DEPTH = 2_000_000, 20
# Numbers of the fields in onnx.proto: which message lies in which.
_MODEL, _GRAPH, _NODE, _ATTRIBUTE, _TENSOR, _SPARSE, _FUNCTION, _ENTRY = range(8)
_INSIDE: dict[int, dict[int, int]] = {
    _MODEL: {7: _GRAPH, 25: _FUNCTION},
    _GRAPH: {1: _NODE, 5: _TENSOR, 15: _SPARSE},
    _FUNCTION: {7: _NODE},
    _NODE: {5: _ATTRIBUTE},
    _ATTRIBUTE: {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE},
    _SPARSE: {1: _TENSOR, 2: _TENSOR},
    _TENSOR: {13: _ENTRY},
}
_KEY, _VALUE = 1, 2


def external_files(path: Path) -> dict[str, Path]:
    """Return the files beside an ONNX file that hold tensors of it, by the name that it says.

    Raises:
        WeightsError: It is no ONNX, or names a file outside its folder.
        OSError: It cannot be read.
    """
    found: dict[str, Path] = {}
    key = ""
    for field, text in _entries(path):
        if field == _KEY:
            key = text
        elif key == "location":
            found[text] = _beside(path, text)
    return found


def _beside(path: Path, name: str) -> Path:
    folder, file = path.parent.resolve(), path.parent / name
    if Path(name).is_absolute() or not file.resolve().is_relative_to(folder) or not name:
        raise WeightsError(
            f"expected weights in the folder of {path}, received external data in {name!r}; put "
            f"them beside it and export again"
        )
    if not file.is_file():
        raise WeightsError(f"expected {name}, which holds weights of {path}, in its folder")
    return file


def _entries(path: Path) -> Iterator[tuple[int, str]]:
    with path.open("rb") as file:
        try:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                yield from _Walk(data).message(_MODEL, 0, len(data), 0)
        except (ValueError, IndexError, RecursionError) as error:
            raise WeightsError(
                f"expected a network as ONNX, received {path}, which is damaged or another file "
                f"({str(error)[:100]})"
            ) from error


class _Walk:
    """Goes through the fields of protobuf messages in a mapped file."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data, self._seen = data, 0

    def message(self, kind: int, at: int, end: int, depth: int) -> Iterator[tuple[int, str]]:
        """Yield the keys and values of external data in a message, in the order of the file."""
        inside = _INSIDE.get(kind, {})
        self._seen += 1
        if depth > _MOST_DEPTH or self._seen > _MOST_NODES:
            raise ValueError("more nodes in nodes than any network has")
        while at < end:
            tag, at = self._number(at, end)
            field, wire = tag >> 3, tag & 7
            if wire == 2:
                length, at = self._number(at, end)
                if field == 0 or at + length > end:
                    raise ValueError("a field that ends beyond its message")
                if field in inside:
                    yield from self.message(inside[field], at, at + length, depth + 1)
                elif kind == _ENTRY and field in (_KEY, _VALUE):
                    yield field, self._data[at : at + min(length, 4096)].decode("utf-8")
                at += length
            elif wire == 0:
                _, at = self._number(at, end)
            elif wire in (1, 5):
                at += 8 if wire == 1 else 4
            else:
                raise ValueError("what is no field")

    def _number(self, at: int, end: int) -> tuple[int, int]:
        value = shift = 0
        while at < end and shift < 70:
            byte = self._data[at]
            value |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                return value, at
        raise ValueError("half a number")
