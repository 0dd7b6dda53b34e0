"""What somebody could make on purpose: files that would run code, lead elsewhere, or never end.

Runs are sealed again: whoever makes them can do that too.
"""

import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pipeline.runs.folder import seal_run

CODE = f"open({'canary'!r}, 'w')"

OF_LAST = "features/*top_activation*"
"""The folder of the features that all commands here read."""

Forge = Callable[[Path], str]
"""Puts something into a project; returns the run that ``RUN`` stands for in the command."""


class _Runs:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return eval, (CODE,)


def _pickle() -> bytes:
    return pickle.dumps(_Runs())


def _run_with(folder: Path, name: str) -> Path:
    """Return the run whose bundle has a file."""
    return next(folder.glob(f"runs/*/bundle/{name}")).parents[1]


def _payload(name: str, content: bytes) -> Forge:
    def forge(folder: Path) -> str:
        run = _run_with(folder, name)
        (run / "bundle" / name).write_bytes(content)
        return run.name

    return forge


def _info(**changes: Any) -> Forge:
    """Change values of every ``run.json``; keys are paths with ``__`` between their parts."""

    def forge(folder: Path) -> str:
        for path in folder.glob("runs/*/run.json"):
            value = json.loads(path.read_text("utf-8"))
            for key, new in changes.items():
                *above, last = key.split("__")
                part = value
                for name in above:
                    part = part[name]
                part[last] = new
            path.write_text(json.dumps(value), "utf-8")
            seal_run(path.parent)
        return path.parent.name

    return forge


def _first_row(path: str) -> Forge:
    """Let the first row of every ``predictions.csv`` name another picture."""

    def forge(folder: Path) -> str:
        for file in folder.glob("runs/*/predictions.csv"):
            head, row, *rest = file.read_text("utf-8").splitlines()
            changed = ",".join([path, *row.split(",")[1:]])
            file.write_text("\n".join([head, changed, *rest]) + "\n", "utf-8")
            seal_run(file.parent)
        return file.parent.name

    return forge


def _instead(pattern: str, make: Callable[[Path], object]) -> Forge:
    """Let a file be something else."""

    def forge(folder: Path) -> str:
        path = next(folder.glob(pattern))
        path.unlink()
        make(path)
        return path.relative_to(folder / "runs").parts[0] if "runs" in path.parts else "best"

    return forge


def _pipe(pattern: str) -> Forge:
    """Let a file be a pipe that nobody writes to."""
    return _instead(pattern, os.mkfifo)


def _linked(pattern: str, target: str) -> Forge:
    """Let a file be a symbolic link."""
    return _instead(pattern, lambda path: path.symlink_to(target))


def _shard(change: Callable[[h5py.File], None]) -> Forge:
    def forge(folder: Path) -> str:
        path = next(folder.glob(f"{OF_LAST}/shard-*.h5"))
        with h5py.File(path, "r+", libver=("v110", "v110")) as file:
            change(file)
        return "best"

    return forge


def _features_of(file: h5py.File) -> str:
    return f"features/{next(iter(file['features']))}"


def _external_link(file: h5py.File) -> None:
    name = _features_of(file)
    del file[name]
    file[name] = h5py.ExternalLink("../../../elsewhere/secret.h5", "/x")


def _external_storage(file: h5py.File) -> None:
    name = _features_of(file)
    shape = file[name].shape
    del file[name]
    file.create_dataset(name, shape, "f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def _virtual(file: h5py.File) -> None:
    name = _features_of(file)
    layout = h5py.VirtualLayout(file[name].shape, "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", layout.shape)
    del file[name]
    file.create_virtual_dataset(name, layout)


def _inflating(file: h5py.File) -> None:
    name = _features_of(file)
    del file[name]
    file.create_dataset(name, (10**6, 1280), "f4", compression="gzip", chunks=(10**4, 1280))


def _huge(file: h5py.File) -> None:
    name = _features_of(file)
    del file[name]
    file.create_dataset(name, (2**38, 1280), "f4", chunks=(16, 1280))


def _png(width: int, height: int) -> bytes:
    """Return a picture that is small as a file, and large otherwise."""
    packed = zlib.compressobj(9)
    line = bytes(1 + width * 3)
    rows = b"".join(packed.compress(line) for _ in range(height)) + packed.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def _file(name: str, content: bytes) -> Forge:
    def forge(folder: Path) -> str:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        return "best"

    return forge


def _zip(members: dict[str, bytes], compression: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return file.getvalue()


def _understated(compression: int) -> bytes:
    """Return an archive of a picture that inflates to a gigabyte and says that it has 100 bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as packed, packed.open("1.png", "w") as member:
        for _ in range(1024):
            member.write(bytes(1 << 20))
    data = bytearray(file.getvalue())
    size = struct.pack("<I", 1 << 30)
    for at in (22, data.rindex(b"PK\x01\x02") + 24):  # of the member, and in the table of contents
        if data[at : at + 4] != size:
            raise RuntimeError(f"expected the size of the member at {at}")
        data[at : at + 4] = struct.pack("<I", 100)
    return bytes(data)


def _skops(module: str, name: str) -> bytes:
    """Return a head that asks for a function of Python to be called."""
    node = {
        "__class__": name,
        "__module__": module,
        "__loader__": "ObjectNode",
        "content": {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode"},
        "__id__": 1,
        "protocol": 2,
        "_skops_version": "0.13.0",
    }
    return _zip({"schema.json": json.dumps(node).encode()}, zipfile.ZIP_STORED)


def _lambda_model() -> bytes:
    """Return a model whose layer is code."""
    layer = {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {
            "name": "l",
            "function": {"class_name": "__lambda__", "config": {"code": "4wEAAAA="}},
        },
        "registered_name": None,
    }
    model = {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "s", "layers": [layer]},
        "registered_name": None,
    }
    members = {
        "metadata.json": b'{"keras_version": "3.15.1"}',
        "config.json": json.dumps(model).encode(),
        "model.weights.h5": b"",
    }
    return _zip(members, zipfile.ZIP_STORED)


EVIL = f"{CODE}\nclass Head: pass\n".encode()
SIZE = ["--image-size", "32"]
PREDICT = ["predict", "RUN", "pictures/red/0.png"]
REPORT = ["report", "--out", "out.html", "--overwrite"]
COMPARE, EXPLAIN = ["compare"], ["explain", "pictures", *SIZE]
CLASSIFY = ["classify", "pictures", *SIZE, "--heads", "logistic"]
VERIFY = ["verify"]
SETTINGS = ["classify", "pictures", *SIZE, "--config", "evil.toml"]

Forgery = tuple[str, Forge, Sequence[str], bool]
"""What it is, how it is made, before which command, and whether that may end well."""


def _of_code() -> Iterator[Forgery]:
    empty = _zip({"schema.json": b"{}"}, zipfile.ZIP_STORED)
    objects = _zip({"kernel.npy": _object_array()}, zipfile.ZIP_STORED)
    yield "a pickle in an array", _payload("network.npz", objects), PREDICT, False
    yield "a pickle for arrays", _payload("network.npz", _pickle()), PREDICT, False
    yield "an empty head", _payload("head.skops", empty), PREDICT, False
    yield "a pickle for a head", _payload("head.skops", _pickle()), PREDICT, False
    for module, name in (("os", "system"), ("builtins", "eval"), ("subprocess", "Popen")):
        yield (
            f"a head of {module}.{name}",
            _payload("head.skops", _skops(module, name)),
            PREDICT,
            False,
        )
    yield "a layer of code", _payload("model.keras", _lambda_model()), PREDICT, False
    yield "a pickle for a model", _payload("model.keras", _pickle()), PREDICT, False
    yield (
        "a pickle for weights",
        _file("w.pth", _pickle()),
        [*CLASSIFY, "--weights", "w.pth"],
        False,
    )
    module = _file("evil.py", EVIL)
    for line in ('heads = "evil:Head"', "trust = true", 'heads = ["knn", "evil:Head"]'):
        settings = f"[classify]\n{line}\n[predict]\ntrust = true\n".encode()
        yield f"settings: {line}", _both(module, _file("evil.toml", settings)), SETTINGS, False


def _object_array() -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.array([_Runs()], object), allow_pickle=True)
    return file.getvalue()


def _both(first: Forge, second: Forge) -> Forge:
    def forge(folder: Path) -> str:
        first(folder)
        return second(folder)

    return forge


ROOTS = (
    *("dask://127.0.0.1:8786/x", "http://127.0.0.1:9/x", "ssh://127.0.0.1/x", "file:///etc"),
    *("reference://x", "simplecache::http://127.0.0.1:9/x", "/etc", "/dev", "../elsewhere"),
    *("", "\x00", "~", "//host/share"),
)
ROWS = (
    *("../../elsewhere/secret.png", "../elsewhere/secret.png", "/dev/zero", "/etc/passwd"),
    *("http://127.0.0.1:9/x.png", "a\x00b", "-", "red/../../../elsewhere/secret.png"),
)


def _of_places() -> Iterator[Forgery]:
    for root in ROOTS:
        for command in (REPORT, COMPARE, PREDICT, CLASSIFY):
            yield f"a run of {root!r}", _info(dataset__root=root), command, True
    for row in ROWS:
        for command in (REPORT, COMPARE):
            yield f"a row for {row!r}", _first_row(row), command, True
    for name in ("run.json", "metrics.json", "predictions.csv"):
        for command in (REPORT, COMPARE):
            yield f"{name} is a pipe", _pipe(f"runs/*/{name}"), command, False
            yield f"{name} is /dev/zero", _linked(f"runs/*/{name}", "/dev/zero"), command, False
    yield "a bundle that is a pipe", _pipe("runs/*/bundle/bundle.json"), PREDICT, False
    for name in ("recipe.json", "shard-*.h5"):
        for command in (CLASSIFY, VERIFY, EXPLAIN):
            yield f"{name} is a pipe", _pipe(f"{OF_LAST}/{name}"), command, False


def _of_shards() -> Iterator[Forgery]:
    for change in (_external_link, _external_storage, _virtual, _inflating, _huge):
        for command in (CLASSIFY, VERIFY, EXPLAIN):
            yield f"a shard with {change.__name__[1:]}", _shard(change), command, command == VERIFY


def _of_pictures() -> Iterator[Forgery]:
    features = ["features", "pictures", *SIZE]
    for side in (9_000, 20_000, 60_000):
        picture = _png(side, side if side < 50_000 else 2)
        yield f"a picture of {side} pixels", _file("pictures/red/b.png", picture), features, True
    for kind, compression in (("LZMA", zipfile.ZIP_LZMA), ("BZ2", zipfile.ZIP_BZIP2)):
        bomb = _file("b.zip", _understated(compression))
        yield f"{kind} that says less", bomb, ["predict", "best", "b.zip"], False
    slip = _zip({"../elsewhere/x.png": _png(8, 8), "/a.png": _png(8, 8)}, zipfile.ZIP_STORED)
    yield "names that leave an archive", _file("s.zip", slip), ["predict", "best", "s.zip"], True


def forgeries() -> Iterator[Forgery]:
    """Yield everything that is tried, one after the other, for some of it is large."""
    yield from _of_code()
    yield from _of_places()
    yield from _of_shards()
    yield from _of_pictures()
