"""What is not the file's fault is not damage: the disk, memory, descriptors, who is told."""

import errno
import os
from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import DamagedShardError, StoreError
from pipeline.features.store import FeatureCache, folders, reader
from pipeline.features.store.pieces import Pieces
from pipeline.features.store.reader import checked_shard
from pipeline.features.verify import verify
from pipeline.system.files import unreadable
from tests.features.store.test_durability import printed
from tests.stored import RECIPE, A, assert_holds, digests, fill, shard_of


@pytest.fixture
def cache(tmp_path):
    cache = FeatureCache(tmp_path / "features", RECIPE)
    fill(cache, *range(40))
    return cache


def opened(cache):
    return FeatureCache(cache.root, RECIPE, set_aside_damaged=True)


USES = {
    "open": opened,
    "read": lambda cache: cache.read(A, digests(3)),
    "verify": lambda cache: verify(cache.root),
}


def failing(number, first=0, times=1):
    """Fail with an error number, from some call on and some times; work before and after."""
    calls = []

    def check():
        calls.append(1)
        if first < len(calls) <= first + times:
            raise OSError(number, os.strerror(number))

    return check


@pytest.fixture
def faults(monkeypatch):
    """Lets HDF5's readings fail as told, and those of a plain file after them."""

    def let(of_hdf5, of_plain_files):
        read_chunks, read_file = reader.read_chunks, reader.read_file

        def chunks(*arguments):
            of_hdf5()
            yield from read_chunks(*arguments)

        def bytes_of(*arguments):
            of_plain_files()
            return read_file(*arguments)

        monkeypatch.setattr(reader, "read_chunks", chunks)
        monkeypatch.setattr(reader, "read_file", bytes_of)

    return let


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    "number",
    [errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ETIMEDOUT],
    ids=errno.errorcode.get,
)
def test_fault_that_stays_ends_the_command_and_the_shard_stays(cache, faults, use, number):
    faults(failing(number, times=99), failing(number, times=99))
    with pytest.raises(StoreError, match=rf"cannot read .*{os.strerror(number)}; .*lost") as found:
        USES[use](cache)
    assert not isinstance(found.value, DamagedShardError)
    assert str(shard_of(cache)) in str(found.value)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("first", [0, 1])
def test_fault_that_passes_is_made_good(cache, faults, use, first):
    faults(failing(errno.EIO, first), failing(errno.EIO, times=0))
    USES[use](cache)
    assert_holds(cache, *range(40))


def test_structure_that_cannot_be_read_is_no_damage(cache, monkeypatch):
    fail, take = failing(errno.EIO, first=5, times=999), Pieces.take
    monkeypatch.setattr(Pieces, "take", lambda *of: fail() or take(*of))
    os.utime(shard_of(cache))  # else it would not be looked at again
    with pytest.raises(StoreError, match="Input/output error; see that the disk"):
        opened(cache)
    assert shard_of(cache).is_file()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("use", USES)
def test_an_interruption_is_no_damage(cache, monkeypatch, use, kind):
    def interrupted(*arguments):
        raise kind

    monkeypatch.setattr(reader, "read_chunks", interrupted)
    with pytest.raises(kind):
        USES[use](cache)
    assert shard_of(cache).is_file()


def test_without_descriptors_nothing_is_set_aside(tmp_path):
    script = """
    from pipeline.features.verify import verify
    fill(cache, *range(40))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    for use in (
        lambda: FeatureCache(cache.root, RECIPE, set_aside_damaged=True),
        lambda: cache.read(next(iter(RECIPE.cuts)), digests(3)),
    ):
        try:
            use()
        except StoreError as error:
            print(type(error).__name__, error)
    """
    said = printed(script, tmp_path).splitlines()
    words = "Too many open files; allow more open files (`ulimit -n`) and start again, nothing"
    assert [line.startswith("StoreError cannot read") and words in line for line in said] == [
        True
    ] * 2
    assert not list(tmp_path.rglob("damaged-*"))


def test_without_memory_nothing_is_set_aside(tmp_path):
    cut = ("top", "avg")
    with FeatureCache(tmp_path, replace(RECIPE, cuts=(cut,))).writer("tensorflow", {}) as writer:
        writer.add(digests(*range(8000)), {cut: np.ones((8000, 1000), np.float32)})
    script = """
    from dataclasses import replace
    cache = FeatureCache(cache.root, replace(RECIPE, cuts=(("top", "avg"),)))
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 8_000_000, used + 8_000_000))
    try:
        cache.read(("top", "avg"), digests(*range(8000)))
    except StoreError as error:
        print(type(error).__name__, error)
    """
    said = printed(script, tmp_path)
    assert said.startswith("StoreError cannot read")
    assert "Cannot allocate memory; free some memory and start again, nothing is lost" in said
    assert not list(tmp_path.rglob("damaged-*"))


def test_want_of_memory_that_hdf5_hides_is_no_damage(cache, monkeypatch):
    """It says that an object cannot be opened; whoever lacks memory cannot tell."""

    def hidden(*arguments):
        raise RuntimeError("Unable to synchronously open object")

    def none_left(*arguments):
        raise MemoryError

    monkeypatch.setattr(reader, "_read_shard", hidden)
    with pytest.raises(DamagedShardError, match="Unable to synchronously open object"):
        checked_shard(shard_of(cache))
    monkeypatch.setattr(reader.np, "empty", none_left)
    with pytest.raises(StoreError, match="Cannot allocate memory; free some memory"):
        checked_shard(shard_of(cache))


def test_recipe_and_quarantine_that_cannot_be_read_are_no_damage(cache, monkeypatch):
    cache.quarantine({"ab" * 32: "truncated"})
    for name in ("recipe.json", "quarantine-"):

        def read_file(path, most, name=name, read=reader.read_file):
            if path.name.startswith(name):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return read(path, most)

        monkeypatch.setattr(folders, "read_file", read_file)
        with pytest.raises(StoreError, match=f"cannot read .*{name}.*Input/output error") as found:
            opened(cache)
        assert not isinstance(found.value, DamagedShardError)
        with pytest.raises(StoreError, match="Input/output error; see that the disk"):
            verify(cache.root)
    assert not list(cache.root.rglob("damaged-*"))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "Permission denied; make it readable"),
        (OSError(errno.ENFILE, "Too many open files"), "Too many open files; close some programs"),
        (OSError("odd"), "odd; see that the disk or the connection works"),
        (MemoryError(), "Cannot allocate memory; free some memory"),
    ],
)
def test_sentence_says_the_true_cause(error, words):
    said = str(unreadable("x.h5", error))
    assert said.startswith(f"cannot read x.h5: {words}")
    assert said.endswith(", nothing is lost")


def test_what_is_too_large_to_be_read_again_is_not_called_damaged(cache, faults, monkeypatch):
    monkeypatch.setattr(reader, "MOST_BYTES", 100)
    faults(failing(errno.EIO), failing(errno.EIO, times=0))
    (row,) = verify(cache.root).bad
    assert row["reason"].startswith("cannot tell whether")
    assert "move it away" in row["reason"]
    assert row["set_aside"] is None
    assert shard_of(cache).is_file()


def test_damage_is_still_damage(cache):
    data = bytearray(shard_of(cache).read_bytes())
    data[data.index(np.float32(3.0).tobytes())] ^= 1
    shard_of(cache).write_bytes(data)
    with pytest.raises(DamagedShardError, match="received a damaged file"):
        checked_shard(shard_of(cache))
