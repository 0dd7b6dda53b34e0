"""Remembered digests: unchanged files are not read, changed ones always are."""

import errno
import hashlib
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pipeline.cli import run
from pipeline.errors import StoreError
from pipeline.images import digests as hashing
from pipeline.images import identity, index
from pipeline.images.digests import DigestMemory
from pipeline.images.files import LocalFiles
from pipeline.system import machine
from pipeline.system.files import EXHAUSTED
from pipeline.system.filesystems import PACKAGES
from pipeline.system.progress import Reporter
from tests.conftest import Told
from tests.images.test_archives import make_tar, make_zip
from tests.images.test_dataset import many, write

OLD = time.time_ns() - 3600 * 10**9


@pytest.fixture
def settled(monkeypatch):
    """Take every file for settled, so that no test has to wait; and remember however few."""
    monkeypatch.setattr(identity, "LOCAL_SETTLE_NS", -(10**18))
    monkeypatch.setattr(hashing, "_FEW_FILES", 1)


@pytest.fixture
def reads(monkeypatch):
    """The paths that are read."""
    seen = []
    digest = LocalFiles.digest

    def counted(self, path):
        seen.append(path)
        return digest(self, path)

    monkeypatch.setattr(LocalFiles, "digest", counted)
    return seen


def again(root, memory, reads):
    """Index, check against the bytes, and return what was read for it."""
    reads.clear()
    dataset = index(root, memory=memory)
    for row, digest in enumerate(dataset.digests):
        assert digest.tobytes() == hashlib.sha256(dataset.read(row)).digest()
    return sorted(reads)


@pytest.fixture
def data(tmp_path):
    return write(tmp_path / "data", many(5))


@pytest.fixture
def memory(tmp_path):
    return tmp_path / "cache" / "index"


@pytest.mark.parametrize("number", EXHAUSTED, ids=errno.errorcode.get)
def test_a_machine_that_is_used_up_leaves_no_picture_out(data, monkeypatch, number):
    def fail(self, path):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(LocalFiles, "digest", fail)
    with pytest.raises(
        StoreError, match=rf"cannot read cats/0.jpg: {os.strerror(number)}; .*again"
    ):
        index(data)


def test_unchanged_files_are_not_read_again(data, memory, reads, settled):
    assert len(again(data, memory, reads)) == 10
    first = index(data).digest
    assert again(data, memory, reads) == []
    assert index(data, memory=memory).digest == first


def test_what_changed_is_read(data, memory, reads, settled):
    again(data, memory, reads)
    write(data, {"cats/0.jpg": "other", "cats/new.jpg": "new"})
    (data / "dogs/1.jpg").unlink()
    (data / "dogs/2.jpg").rename(data / "dogs/two.jpg")
    assert again(data, memory, reads) == ["cats/0.jpg", "cats/new.jpg", "dogs/two.jpg"]
    assert again(data, memory, reads) == []


def test_a_swap_of_two_files_is_seen(data, memory, reads, settled):
    again(data, memory, reads)
    (data / "cats/0.jpg").rename(data / "x")
    (data / "cats/1.jpg").rename(data / "cats/0.jpg")
    (data / "x").rename(data / "cats/1.jpg")
    assert set(again(data, memory, reads)) == {"cats/0.jpg", "cats/1.jpg"}


def test_the_same_size_and_time_but_other_bytes(data, memory, reads, settled):
    path = data / "cats/0.jpg"
    os.utime(path, ns=(OLD, OLD))
    again(data, memory, reads)
    ticked(path)
    with open(path, "r+b") as file:
        file.write(b"CATS0")
    os.utime(path, ns=(OLD, OLD))
    assert again(data, memory, reads) == ["cats/0.jpg"]


def ticked(path):
    """Wait until the file system's clock has moved past a file's last change."""
    probe = path.with_name(".probe")
    probe.touch()
    while probe.stat().st_ctime_ns <= path.stat().st_ctime_ns:
        probe.touch()
    probe.unlink()


def test_what_changed_just_now_is_not_trusted(data, memory, reads, monkeypatch):
    """Rewritten within a tick, a file looks as before: size, times and inode are the same."""
    monkeypatch.setattr(hashing, "_FEW_FILES", 1)
    frozen = os.stat(data / "cats/0.jpg")
    assert len(again(data, memory, reads)) == 10
    with open(data / "cats/0.jpg", "r+b") as file:
        file.write(b"CATS0")
    os.utime(data / "cats/0.jpg", ns=(frozen.st_atime_ns, frozen.st_mtime_ns))
    stat = os.stat

    def coarse(path, **options):
        """A file system that says nothing of the rewriting."""
        return frozen if str(path).endswith("cats/0.jpg") else stat(path, **options)

    monkeypatch.setattr(identity.os, "stat", coarse)
    assert "cats/0.jpg" in again(data, memory, reads)


def test_only_what_is_settled_is_remembered(data, memory, reads, monkeypatch):
    monkeypatch.setattr(hashing, "_FEW_FILES", 1)
    changed = max(path.stat().st_ctime_ns for path in data.rglob("*.jpg"))
    clock = [changed + identity.LOCAL_SETTLE_NS]
    monkeypatch.setattr(identity.time, "time_ns", lambda: clock[0])
    again(data, memory, reads)
    assert (data / "cats/0.jpg").stat().st_ctime_ns <= changed
    late = [p for p in data.rglob("*.jpg") if p.stat().st_ctime_ns == changed]
    assert again(data, memory, reads) == sorted(p.relative_to(data).as_posix() for p in late)
    clock[0] += 1
    again(data, memory, reads)
    assert again(data, memory, reads) == []


def test_times_to_come_are_not_trusted(data, memory, reads, monkeypatch):
    monkeypatch.setattr(hashing, "_FEW_FILES", 1)
    now = time.time_ns()
    monkeypatch.setattr(identity.time, "time_ns", lambda: now + 3600 * 10**9)
    os.utime(data / "cats/0.jpg", ns=(now * 2, now * 2))
    again(data, memory, reads)
    assert again(data, memory, reads) == ["cats/0.jpg"]


def test_one_memory_a_location(data, memory, reads, settled, tmp_path):
    other = write(tmp_path / "other", many(5))
    again(data, memory, reads)
    assert len(again(other, memory, reads)) == 10
    assert again(data, memory, reads) == []
    assert again(f"{data}/../data", memory, reads) == []
    assert len(list(memory.iterdir())) == 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: b"",
        lambda content: content[:100],
        lambda content: content[:-1],
        lambda content: content[:70] + bytes([content[70] ^ 1]) + content[71:],
        lambda content: content[:-40] + bytes([content[-40] ^ 1]) + content[-39:],
        lambda content: content.replace(b"index 1", b"index 2", 1),
        lambda content: content + b"x",
    ],
)
def test_a_memory_that_is_damaged_or_newer_is_ignored(data, memory, reads, settled, spoil):
    again(data, memory, reads)
    (path,) = memory.iterdir()
    path.write_bytes(spoil(path.read_bytes()))
    assert len(again(data, memory, reads)) == 10
    assert again(data, memory, reads) == []


def test_a_memory_of_other_identities_is_ignored(data, memory, reads, settled):
    (memory / "x").mkdir(parents=True)
    paths = index(data).paths
    strange = identity.Identities(np.ones((10, 3), np.int64), np.ones(10, bool))
    DigestMemory(memory, str(data)).keep(paths, strange, np.zeros((10, 32), np.uint8))
    assert len(again(data, memory, reads)) == 10


def test_a_memory_that_cannot_be_written_or_read_is_no_error(data, tmp_path, reads, settled):
    (tmp_path / "file").write_text("in the way")
    assert len(again(data, tmp_path / "file", reads)) == 10
    memory = tmp_path / "memory"
    DigestMemory(memory, str(data)).path.mkdir(parents=True)
    assert len(again(data, memory, reads)) == 10


def test_nothing_is_written_when_nothing_changed(data, memory, reads, settled):
    again(data, memory, reads)
    (path,) = memory.iterdir()
    before = path.stat()
    again(data, memory, reads)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_few_small_files_are_not_worth_a_memory(data, memory, reads, monkeypatch):
    monkeypatch.setattr(identity, "LOCAL_SETTLE_NS", -(10**18))
    again(data, memory, reads)
    assert not memory.exists()
    monkeypatch.setattr(hashing, "_FEW_BYTES", 50)
    again(data, memory, reads)
    assert again(data, memory, reads) == []


def test_unreadable_files_are_not_remembered(data, memory, reads, settled):
    (data / "cats/gone.jpg").symlink_to(data / "target")
    assert index(data, memory=memory).unreadable[0][0] == "cats/gone.jpg"
    assert index(data, memory=memory).unreadable[0][0] == "cats/gone.jpg"
    (data / "target").write_text("there")
    assert again(data, memory, reads) == ["cats/gone.jpg"]
    assert again(data, memory, reads) == []


def test_progress_counts_what_is_remembered(data, memory, settled):
    index(data, memory=memory)
    told = Told()
    write(data, {"cats/0.jpg": "other"})
    index(data, memory=memory, reporter=told)
    assert told.calls == [("index", n, 10, "files") for n in (0, 9, 10)]


def test_what_a_reporter_raises_is_its_own(data, memory):
    class Broken(Reporter):
        def advance(self, *told):
            raise OSError(5, "the reporter's own")

    with pytest.raises(OSError, match="the reporter's own"):
        index(data, memory=memory, reporter=Broken())


def test_names_that_are_no_text(data, memory, reads, settled):
    with open(os.fsencode(data / "cats") + b"/\xff\xfe.jpg", "wb") as file:
        file.write(b"odd")
    assert len(again(data, memory, reads)) == 11
    assert again(data, memory, reads) == []


@pytest.mark.parametrize(("name", "make"), [("pets.zip", make_zip), ("pets.tar", make_tar)])
def test_archives_are_remembered_whole(tmp_path, memory, settled, monkeypatch, name, make):
    path = make(tmp_path / name, list(many(5)))
    kind = type(index(path).files)
    seen = []
    digest = kind.digest
    monkeypatch.setattr(kind, "digest", lambda self, one: seen.append(one) or digest(self, one))
    first = index(path, memory=memory).digest
    seen.clear()
    assert index(path, memory=memory).digest == first
    assert seen == []
    make(path, ["cats/0.jpg", *list(many(5))[1:]])
    assert index(path, memory=memory).digest == first
    assert len(seen) == 10


def test_remote_files_are_remembered_by_their_tags(memory, monkeypatch):
    fsspec = pytest.importorskip("fsspec")
    from fsspec.implementations.memory import MemoryFileSystem

    tags = {"cats/0.jpg": '"a"', "cats/1.jpg": 'W/"a"', "dogs/0.jpg": '"c"', "dogs/1.jpg": '"d"'}
    read = []

    class Tagged(MemoryFileSystem):
        protocol = "tagged"
        store = {}  # noqa: RUF012
        pseudo_dirs = [""]  # noqa: RUF012

        def ls(self, path, detail=True, **options):
            infos = super().ls(path, detail=True, **options)
            return [info | {"ETag": tags.get(info["name"][6:], "")} for info in infos]

        def cat_file(self, path, *arguments, **options):
            read.append(path[6:])
            return super().cat_file(path, *arguments, **options)

        @classmethod
        def _strip_protocol(cls, path):
            return MemoryFileSystem._strip_protocol(path.removeprefix("tagged://"))

    fsspec.register_implementation("tagged", Tagged, clobber=True)
    monkeypatch.setitem(PACKAGES, "tagged", "fsspec")
    system = fsspec.filesystem("tagged")
    for path in tags:
        system.pipe_file(f"/pets/{path}", path.encode())
    index("tagged://pets", memory=memory)
    assert sorted(read) == sorted(tags)
    read.clear()
    tags["dogs/1.jpg"] = '"e"'
    index("tagged://pets", memory=memory)
    assert sorted(read) == ["cats/1.jpg", "dogs/1.jpg"]


def test_a_memory_that_is_no_file_is_not_used(tmp_path):
    write(tmp_path / "pets", many(3))
    memory = DigestMemory(tmp_path / "index", str(tmp_path / "pets"))
    memory.path.parent.mkdir()
    os.mkfifo(memory.path)
    dataset = index(tmp_path / "pets", memory=tmp_path / "index", remember=False)
    assert len(dataset) == 6


@pytest.mark.parametrize(
    ("info", "settled"),
    [
        ({"size": 1, "ETag": '"x"'}, True),
        ({"size": 1, "ETag": 'W/"x"'}, False),
        ({"size": None, "ETag": '"x"'}, False),
        ({"size": 1}, False),
        ({"size": 1, "mtime": 1000.5}, True),
        ({"size": 1, "mtime": 9e9}, False),
        ({"size": 1, "last_modified": "2020-01-01T00:00:00+00:00"}, True),
        ({"size": 1, "LastModified": "yesterday"}, False),
    ],
)
def test_what_settles_a_remote_file(info, settled):
    assert identity.stamp_of_info(info, time.time_ns()).settled is settled


def test_two_indexes_at_once(data, memory, settled):
    with ThreadPoolExecutor(4) as pool:
        digests = set(pool.map(lambda _: index(data, memory=memory).digest, range(8)))
    assert len(digests) == 1
    assert [path.suffix for path in memory.iterdir()] == [".index"]


SMALL = ["--backbone", "MobileNet(alpha=0.25)", "--weights", "none", "--image-size", "32"]


def test_the_command_line_remembers_in_the_cache(data, tmp_path, settled, capsys):
    arguments = ["features", str(data), "--cache", str(tmp_path / "cache"), *SMALL]
    assert run(arguments) == 2  # none of them is a picture
    assert len(list((tmp_path / "cache" / "index").iterdir())) == 1


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "max 100000", "own/cpu.max": "100000 100000"}, 1),
        ({"cpu.max": "100 100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
    ],
)
def test_cores_are_what_a_container_leaves(tmp_path, monkeypatch, files, cores):
    write(tmp_path, files)
    monkeypatch.setattr(machine, "CGROUPS", tmp_path)
    own = write(tmp_path, {"self": "1:cpu:/x\n0::/own\n"}) / "self"
    monkeypatch.setattr(machine, "OWN_CGROUP", own)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.delenv("LOKY_MAX_CPU_COUNT", raising=False)
    assert machine.core_count() == cores
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    assert machine.core_count() == 1


def test_indexing_a_local_folder_imports_nothing_heavy(data):
    script = f"""
import sys
from pipeline.images import index
index({str(data)!r}).digest
heavy = "pandas fsspec pyarrow sklearn scipy joblib aiohttp h5py tensorflow rich".split()
print([name for name in heavy if name in sys.modules])
"""
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert process.stdout == "[]\n", process.stderr
