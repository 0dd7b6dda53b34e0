"""The reader of PyTorch's first file format."""

import pickle
import struct
from collections import OrderedDict

import numpy as np
import pytest

from pipeline.backbones.torch_pickle import read_torch_pickle
from pipeline.errors import WeightsError


class _Global:
    """Pickles as a bare reference to ``module.name``, without the module being there."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class _Call:
    """Pickles as a call of a global."""

    def __init__(self, function, *args):
        self.function, self.args = function, args


class _Storage:
    def __init__(self, key, kind, n_values):
        self.pid = ("storage", _Global("torch", kind), key, "cpu", n_values, None)


class _Pickler(pickle._Pickler):
    """The pure Python pickler, so that globals can be written that do not exist here."""

    def save(self, obj, *args, **kwargs):
        if isinstance(obj, _Global):
            self.write(f"c{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, _Call):
            self.save(obj.function)
            self.save(obj.args)
            self.write(pickle.REDUCE)
        else:
            super().save(obj, *args, **kwargs)

    def persistent_id(self, obj):
        return obj.pid if isinstance(obj, _Storage) else None


REBUILD = _Global("torch._utils", "_rebuild_tensor_v2")


def tensor(storage, offset, shape, strides):
    return _Call(REBUILD, storage, offset, shape, strides, False, OrderedDict())


def write(path, tensors, storages, magic=0x1950A86A20F9469CFC6C):
    """Write the format as its own documentation tells: five pickles, then the storages."""
    with path.open("wb") as file:
        system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
        for value in (magic, 1001, system, OrderedDict(tensors), list(storages)):
            _Pickler(file, 2).dump(value)
        for values in storages.values():
            file.write(struct.pack("<q", len(values)) + values.tobytes())
    return path


def test_offsets_and_strides_are_honoured(tmp_path):
    values = np.arange(24, dtype="<f4")
    storage = _Storage("7", "FloatStorage", 24)
    count = _Storage("8", "LongStorage", 1)
    path = write(
        tmp_path / "a.pth",
        {
            "plain": tensor(storage, 0, (4, 6), (6, 1)),
            "transposed": tensor(storage, 0, (6, 4), (1, 6)),
            "tail": tensor(storage, 20, (4,), (1,)),
            "broadcast": tensor(storage, 3, (2, 2), (0, 1)),
            "scalar": tensor(count, 0, (), ()),
            "nothing": tensor(storage, 24, (0, 3), (3, 1)),
        },
        {"7": values, "8": np.array([2**40], "<i8")},
    )
    read = read_torch_pickle(path)
    assert list(read) == ["plain", "transposed", "tail", "broadcast", "scalar", "nothing"]
    np.testing.assert_array_equal(read["plain"], values.reshape(4, 6))
    np.testing.assert_array_equal(read["transposed"], values.reshape(4, 6).T)
    np.testing.assert_array_equal(read["tail"], values[20:])
    np.testing.assert_array_equal(read["broadcast"], [[3, 4], [3, 4]])
    assert (read["scalar"].shape, read["scalar"].item()) == ((), 2**40)
    assert read["nothing"].shape == (0, 3)
    assert all(array.flags.c_contiguous for array in read.values())


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("builtins", "eval"), ("torch", "load"), ("collections", "Counter")],
)
def test_other_globals_are_refused(tmp_path, module, name):
    trap = _Call(_Global(module, name), str(tmp_path / "trap"))
    path = write(tmp_path / "evil.pth", {"x": trap}, {})
    with pytest.raises(WeightsError, match=rf"evil\.pth: it names {module}\.{name}"):
        read_torch_pickle(path)


@pytest.mark.parametrize(
    ("view", "message"),
    [
        ((0, (5,), (1,)), "reaches beyond its storage"),
        ((1, (4,), (1,)), "reaches beyond its storage"),
        ((0, (2, 2), (3, 1)), "reaches beyond its storage"),
        ((-1, (1,), (1,)), "impossible shape"),
        ((3, (2,), (-1,)), "impossible shape"),
        ((0, (2, 2), (1,)), "impossible shape"),
    ],
)
def test_views_outside_their_storage_are_refused(tmp_path, view, message):
    storage = _Storage("0", "FloatStorage", 4)
    path = write(tmp_path / "a.pth", {"x": tensor(storage, *view)}, {"0": np.zeros(4, "<f4")})
    with pytest.raises(WeightsError, match=message):
        read_torch_pickle(path)


def test_every_truncation_is_refused(tmp_path):
    storage = _Storage("0", "FloatStorage", 4)
    path = tmp_path / "a.pth"
    write(path, {"x": tensor(storage, 0, (4,), (1,))}, {"0": np.ones(4, "<f4")})
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(WeightsError, match=r"PyTorch weights in the format before 1\.6"):
            read_torch_pickle(path)


def test_other_formats_are_refused(tmp_path):
    storage = _Storage("0", "FloatStorage", 1)
    tensors, storages = {"x": tensor(storage, 0, (1,), (1,))}, {"0": np.ones(1, "<f4")}
    with pytest.raises(WeightsError, match="does not begin as such a file does"):
        read_torch_pickle(write(tmp_path / "a.pth", tensors, storages, magic=1))
    (tmp_path / "zip.pth").write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(WeightsError, match=r"received .*zip\.pth"):
        read_torch_pickle(tmp_path / "zip.pth")
