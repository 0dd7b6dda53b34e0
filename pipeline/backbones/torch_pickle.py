"""Reader of PyTorch's first file format (before 1.6: pickles and raw storages), without torch.

A pickle can run any code, so the unpickler admits exactly what a dictionary of tensors needs:
``OrderedDict``, the function that rebuilds a tensor, and the names of the storage types, all
replaced by stand-ins of our own. Anything else in the file is refused.

Layout: pickles of a magic number, the protocol version, facts on the system, the dictionary, and
the list of storage keys; then each storage in that order as an int64 count and its raw values.
"""

import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from pipeline.errors import WeightsError

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_STORAGE_DTYPES = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("<i1"),
    "ByteStorage": np.dtype("<u1"),
    "BoolStorage": np.dtype("?"),
}


class _Storage(NamedTuple):
    """A run of values that tensors are views of."""

    key: str
    dtype: np.dtype
    n_values: int


class _Tensor(NamedTuple):
    """A view of a storage; offset and strides count values."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple, strides: tuple, *_: object
) -> _Tensor:
    """Stand in for ``torch._utils._rebuild_tensor_v2``; gradient flags and hooks are dropped."""
    return _Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


class _TensorUnpickler(pickle.Unpickler):
    """An unpickler that knows tensors and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _STORAGE_DTYPES:
            return _STORAGE_DTYPES[name]
        raise pickle.UnpicklingError(f"it names {module}.{name}, which no weights file needs")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _device, n_values, view = pid
        if kind != "storage" or view is not None:
            raise pickle.UnpicklingError(f"it refers to {kind!r} instead of a storage")
        return _Storage(str(key), dtype, int(n_values))


def read_torch_pickle(path: Path) -> dict[str, np.ndarray]:
    """Read a dictionary of tensors.

    Args:
        path: A ``.pth`` file in the format described above.

    Returns:
        Arrays by name in the file's order, each contiguous and of the tensor's shape and dtype.

    Raises:
        WeightsError: If the file is of another format, damaged, or names anything but tensors.
    """
    try:
        with path.open("rb") as file:
            return _read(file, path.stat().st_size)
    # What a damaged pickle raises is as varied as its opcodes.
    except (
        pickle.UnpicklingError, EOFError, OSError, struct.error, MemoryError, OverflowError,
        ValueError, TypeError, AttributeError, LookupError, ImportError,
    ) as error:  # fmt: skip
        reason = str(error) or type(error).__name__
        raise WeightsError(
            f"expected PyTorch weights in the format before 1.6, received {path}: {reason}; "
            f"install the package that it came from again"
        ) from error


def _read(file: BinaryIO, file_size: int) -> dict[str, np.ndarray]:
    magic, protocol, system = (_TensorUnpickler(file).load() for _ in range(3))
    if magic != _MAGIC or protocol != _PROTOCOL or not system["little_endian"]:
        raise ValueError("it does not begin as such a file does")
    tensors = _TensorUnpickler(file).load()
    storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    keys = _TensorUnpickler(file).load()
    values = {key: _read_storage(file, storages[key], file_size) for key in keys}
    return {name: _view(tensor, values[tensor.storage.key]) for name, tensor in tensors.items()}


def _read_storage(file: BinaryIO, storage: _Storage, file_size: int) -> np.ndarray:
    (n_values,) = struct.unpack("<q", file.read(8))
    n_bytes = n_values * storage.dtype.itemsize
    if n_values != storage.n_values or not 0 <= n_bytes <= file_size - file.tell():
        raise ValueError(f"storage {storage.key} is truncated or of another length")
    return np.frombuffer(file.read(n_bytes), dtype=storage.dtype)


def _view(tensor: _Tensor, values: np.ndarray) -> np.ndarray:
    """Cut a tensor out of its storage. Strides matter: kernels may lie in another axis order."""
    if (
        len(tensor.shape) != len(tensor.strides)
        or min((tensor.offset, *tensor.shape, *tensor.strides)) < 0
    ):
        raise ValueError("a tensor has an impossible shape")
    last = tensor.offset + sum(
        (n - 1) * stride for n, stride in zip(tensor.shape, tensor.strides, strict=True)
    )
    if 0 not in tensor.shape and last >= len(values):
        raise ValueError(f"a tensor reaches beyond its storage {tensor.storage.key}")
    strides = tuple(stride * values.itemsize for stride in tensor.strides)
    view = np.lib.stride_tricks.as_strided(
        values[tensor.offset :], tensor.shape, strides, writeable=False
    )
    return np.ascontiguousarray(view).reshape(tensor.shape)
