"""Files as damage or malice leaves them: seeded mutations of bytes, of JSON and of arrays in a zip.

Every generator yields pairs of a short text, which says what was done, and the mutated file. The
same seed gives the same mutations; some are known troublemakers, which always come first.
"""

import io
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Mutation = tuple[str, bytes]
"""What was done, and the bytes that are left."""


def mutations(data: bytes, seed: int, n: int) -> Iterator[Mutation]:
    """Yield at most ``n`` mutations of a file's bytes, whatever it holds."""
    rng = random.Random(seed)
    known = [
        ("empty", b""),
        ("half", data[: len(data) // 2]),
        ("without its last byte", data[:-1]),
        ("zeros", bytes(len(data))),
        ("twice", data + data),
        ("text", b"hello\n"),
    ]
    kinds = (_flip, _overwrite, _cut_out, _insert, _repeat, _foreign)
    yield from known[:n]
    for _ in range(n - len(known)):
        yield rng.choice(kinds)(data, rng)


def _place(data: bytes, rng: random.Random) -> int:
    """Return a place; every other one at an end of the file, where its structure is."""
    ends = [rng.randrange(len(data) + 1)]
    ends += [min(len(data), rng.randrange(200)), max(0, len(data) - rng.randrange(200))]
    return rng.choice([ends[0], *ends])


def _flip(data: bytes, rng: random.Random) -> Mutation:
    changed, places = bytearray(data), [_place(data, rng) for _ in range(rng.choice((1, 1, 3)))]
    for place in places:
        if place < len(changed):
            changed[place] ^= 1 << rng.randrange(8)
    return f"bits flipped at {places}", bytes(changed)


def _overwrite(data: bytes, rng: random.Random) -> Mutation:
    place, size = _place(data, rng), rng.choice((1, 2, 4, 8, 64))
    new = rng.choice((b"\x00" * size, b"\xff" * size, rng.randbytes(size)))
    return f"{size} bytes overwritten at {place}", data[:place] + new + data[place + size :]


def _cut_out(data: bytes, rng: random.Random) -> Mutation:
    place, size = _place(data, rng), rng.choice((1, 7, 100, len(data) // 3))
    return f"{size} bytes cut out at {place}", data[:place] + data[place + size :]


def _insert(data: bytes, rng: random.Random) -> Mutation:
    place, size = _place(data, rng), rng.choice((1, 4, 50))
    new = rng.choice((rng.randbytes(size), b"\n" * size, b"\x00" * size, b'"' * size))
    return f"{size} bytes inserted at {place}", data[:place] + new + data[place:]


def _repeat(data: bytes, rng: random.Random) -> Mutation:
    place, size = _place(data, rng), rng.choice((10, 100, 1000))
    return f"{size} bytes repeated at {place}", data[: place + size] + data[place:]


def _foreign(data: bytes, rng: random.Random) -> Mutation:
    place = _place(data, rng)
    new = rng.choice((b"\xc3\x28", b"\xed\xa0\x80", b"\x1b[2J", b"\xe2\x80\xae", b"\xef\xbb\xbf"))
    return f"{new!r} inserted at {place}", data[:place] + new + data[place:]


_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**31, 2**63, -(2**64), 10**400, 0.5, -0.5, 1e308, 1e-320),
    *(float("nan"), float("inf"), float("-inf"), "", "nan", "/dev/zero", "../../x", "a\x00b"),
    *("\ud800", "\u202ex", "x" * 100_000, "1" * 5000, [], {}, [[]], {"": None}, [1, 2, 3]),
    *(["a"] * 3, {"value": 1}, [None] * 2000, [[0] * 3] * 3, [float("nan")] * 2),
)
"""What a value may be replaced by."""
_MORE = ("", "__class__", "value", "n", "split", "\ud800", "x" * 1000)
"""Keys that may come beside those of an object."""


def json_mutations(text: bytes, seed: int, n: int) -> Iterator[Mutation]:
    """Yield at most ``n`` mutations of the values of a JSON document; each is mostly valid JSON."""
    rng = random.Random(seed)
    value = json.loads(text)
    known = [
        ("a list of 100,000 lists", b"[" * 100_000 + b"]" * 100_000),
        ("100,000 objects", b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
        ("a number of 10,000 digits", text.rstrip()[:-1] + b', "x": ' + b"9" * 10_000 + b"}"),
        ("an object of 10 MB", b'{"x": [' + b"0," * 5_000_000 + b"0]}"),
        *((f"{one!r}", _dumped(one)) for one in (None, 1, "text", [], {}, [[]], float("nan"))),
    ]
    kinds = (_replace, _replace, _replace, _delete, _add, _double, _rename, _exchange, _deepen)
    yield from known[:n]
    for _ in range(n - len(known)):
        yield rng.choice(kinds)(json.loads(text) if value else value, rng)


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


def _parts(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, Any, str]]:
    """Yield the container, key and path of each value below one."""
    pairs = value.items() if isinstance(value, dict) else ()
    for key, below in enumerate(value) if isinstance(value, list) else pairs:
        here = (*path, key)
        yield value, key, ".".join(map(str, here))
        yield from _parts(below, here)


def _part(value: Any, rng: random.Random) -> tuple[Any, Any, str]:
    """Return a container, a key of it, and where that is; every depth is as likely as another."""
    by_depth: dict[int, list[tuple[Any, Any, str]]] = {}
    for part in _parts([value] if not isinstance(value, dict | list) or not value else value):
        by_depth.setdefault(part[2].count("."), []).append(part)
    return rng.choice(by_depth[rng.choice(sorted(by_depth))])


def _replace(value: Any, rng: random.Random) -> Mutation:
    container, key, path = _part(value, rng)
    container[key] = rng.choice(_VALUES)
    return f"{path} = {str(container[key])[:40]!r}", _dumped(value)


def _delete(value: Any, rng: random.Random) -> Mutation:
    container, key, path = _part(value, rng)
    del container[key]
    return f"without {path}", _dumped(value)


def _add(value: Any, rng: random.Random) -> Mutation:
    container, _, path = _part(value, rng)
    new = rng.choice(_VALUES)
    if isinstance(container, list):
        container.append(new)
    else:
        container[rng.choice(_MORE)] = new
    return f"more beside {path}", _dumped(value)


def _double(value: Any, rng: random.Random) -> Mutation:
    """Say a key twice, which JSON's grammar allows."""
    container, key, path = _part(value, rng)
    if isinstance(container, list):
        container.insert(key, container[key])
        return f"{path} twice", _dumped(value)
    marked = {**container, f"\x01{key}": rng.choice(_VALUES)}
    container.clear()
    container.update(marked)
    return f"{path} twice", _dumped(value).replace(b"\\u0001", b"")


def _rename(value: Any, rng: random.Random) -> Mutation:
    container, key, path = _part(value, rng)
    if isinstance(container, list):
        rng.shuffle(container)
        return f"shuffled beside {path}", _dumped(value)
    container[f"{key}x"] = container.pop(key)
    return f"{path} under another name", _dumped(value)


def _exchange(value: Any, rng: random.Random) -> Mutation:
    """Exchange two values of one container: every part stays of a kind that occurs."""
    container, key, path = _part(value, rng)
    keys = list(container) if isinstance(container, dict) else range(len(container))
    other = rng.choice(list(keys))
    container[key], container[other] = container[other], container[key]
    return f"{path} exchanged with {other}", _dumped(value)


def _deepen(value: Any, rng: random.Random) -> Mutation:
    container, key, path = _part(value, rng)
    depth = rng.choice((1, 2, 50, 500))
    for _ in range(depth):
        container[key] = [container[key]] if rng.random() < 0.5 else {"a": container[key]}
    return f"{path} {depth} deeper", _dumped(value)


def npz_mutations(data: bytes, seed: int, n: int) -> Iterator[Mutation]:
    """Yield at most ``n`` mutations of the arrays of an ``.npz`` file, in a zip that is whole."""
    rng = random.Random(seed)
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    first = next(iter(members))
    inflated = {**members, first: _header((10**8,), "<f4") + bytes(10**8)}
    known = [
        ("an array of 100 MB of zeros, deflated", _zipped(inflated, zipfile.ZIP_DEFLATED)),
        ("no arrays", _zipped({})),
        (
            "a pickle",
            _zipped({**members, first: _header((1,), "|O") + b"cos\nsystem\n(S'id'\ntR."}),
        ),
    ]
    yield from known[:n]
    for _ in range(n - len(known)):
        name = rng.choice(list(members))
        what, new = rng.choice(_OF_ARRAYS)(members[name], rng)
        yield f"{name}: {what}", _zipped({**members, name: new})


def _header(shape: tuple[int, ...], kind: str) -> bytes:
    file = io.BytesIO()
    value = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, value)
    return file.getvalue()


def _zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for name, content in members.items():
            member = zipfile.ZipInfo(name)  # of a date that is always the same
            packed.writestr(member, content, compression)
    return file.getvalue()


def _saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _loaded(member: bytes) -> np.ndarray:
    return np.asarray(np.load(io.BytesIO(member), allow_pickle=False))


def _foreign_value(member: bytes, rng: random.Random) -> Mutation:
    array = _loaded(member).copy()
    if array.dtype.kind != "f" or not array.size:
        return "an array of texts", _saved(np.array(["text"]))
    new = rng.choice((float("nan"), float("inf"), -float("inf"), 3e38))
    array.flat[rng.randrange(array.size)] = new
    return f"a value of {new}", _saved(array)


def _other_shape(member: bytes, rng: random.Random) -> Mutation:
    array = _loaded(member)
    new = rng.choice((array[None], array.reshape(-1), array.reshape(-1)[:1], array.reshape(-1)[:0]))
    return f"shape {new.shape}", _saved(new)


def _other_kind(member: bytes, rng: random.Random) -> Mutation:
    array = _loaded(member)
    kind = rng.choice(("float64", "float16", "int64", "bool", "complex64", "U8", "M8[s]", "S4"))
    new = np.zeros(array.shape, kind) if array.dtype.kind not in "fiu" or kind[0] == "M" else array
    with np.errstate(all="ignore"):
        return f"of {kind}", _saved(new.astype(kind))


def _told_shape(member: bytes, rng: random.Random) -> Mutation:
    shape = rng.choice(((2**40,), (2**31, 2**31), (10**10, 0), (-1,), (3,), (0,)))
    kind = rng.choice(("<f4", "<f8", "|V8", "<U100000", "|O"))
    return f"told to be {shape} of {kind}", _header(shape, kind) + member[128:]


def _damaged(member: bytes, rng: random.Random) -> Mutation:
    return list(mutations(member, rng.randrange(2**32), 7))[-1]


_OF_ARRAYS: tuple[Callable[[bytes, random.Random], Mutation], ...] = (
    _foreign_value,
    _other_shape,
    _other_kind,
    _told_shape,
    _damaged,
)
