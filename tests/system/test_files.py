"""Files and folders appear whole or not at all, and only what fails of writing is called so."""

import errno
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.errors import InputError, StoreError
from pipeline.runs import new_run
from pipeline.system.files import (
    atomic_folder,
    atomic_path,
    check_free,
    expanded,
    is_stream,
    matching,
    output_path,
    unreadable,
    write_json,
)
from pipeline.system.typed import read_json

CONTEXTS = {
    "path": atomic_path,
    "folder": atomic_folder,
    "run": lambda path: new_run(path.parent, path.name),
}
contexts = pytest.mark.parametrize("made", CONTEXTS.values(), ids=CONTEXTS)


def left(folder):
    return [path.name for path in folder.iterdir()]


@contexts
@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file or directory", "/pictures/a.jpg"),
        PermissionError(errno.EACCES, "Permission denied", "/pictures/a.jpg"),
        ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
        OSError("the network is away"),
        TimeoutError(),
        BrokenPipeError(errno.EPIPE, "Broken pipe"),
    ],
)
def test_what_fails_of_the_work_comes_as_it_is(made, error, tmp_path):
    match = f"^{re.escape(str(error))}$"
    with pytest.raises(OSError, match=match) as caught, made(tmp_path / "one"):
        raise error
    assert caught.value is error
    assert left(tmp_path) == []


@contexts
@pytest.mark.parametrize(
    "number",
    [
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS),
        *(errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.EACCES, errno.EPERM),
    ],
)
def test_a_full_disk_or_one_that_is_gone_is_a_fault_of_writing(made, number, tmp_path):
    message = rf"cannot write .*one: {os.strerror(number)}; "
    with pytest.raises(StoreError, match=message), made(tmp_path / "one"):
        raise OSError(number, os.strerror(number))
    assert left(tmp_path) == []


@contexts
def test_an_error_that_names_the_temporary_is_a_fault_of_writing(made, tmp_path):
    def write():
        with made(tmp_path / "one") as temporary:
            (temporary / "gone" / "file").write_text("x")

    with pytest.raises(StoreError, match=r"cannot write .*one: (No such file|Not a directory)"):
        write()
    assert left(tmp_path) == []


@contexts
def test_a_folder_that_is_a_file_is_a_fault_of_writing(made, tmp_path):
    (tmp_path / "file").write_text("mine")
    message = r"cannot write .*one: (Not a directory|File exists); "
    with pytest.raises(StoreError, match=message), made(tmp_path / "file" / "one"):
        pass
    assert (tmp_path / "file").read_text() == "mine"


def test_a_file_that_was_not_written_is_a_fault_of_writing(tmp_path):
    message = r"cannot write .*one: No such file"
    with pytest.raises(StoreError, match=message), atomic_path(tmp_path / "one"):
        pass


def test_a_run_that_cannot_be_written_says_where_else(tmp_path):
    (tmp_path / "file").write_text("mine")
    message = r"cannot write the run .*one: .*; make room or name another folder with --runs"
    with pytest.raises(StoreError, match=message), new_run(tmp_path / "file", "one"):
        pass


def test_what_matches_a_name(tmp_path):
    for name in ("b/x.json", "a/x.json", "a/y.json", ".hidden/x.json", "lost+found/x.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "file").touch()
    found = matching(tmp_path, "[!.]*/x.json")
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["a/x.json", "b/x.json"]
    assert [path.name for path in matching(tmp_path / "a", "*")] == ["x.json", "y.json"]
    assert matching(tmp_path / "absent", "*") == []


def test_a_folder_that_may_not_be_listed_is_not_taken_for_empty(tmp_path, monkeypatch):
    def refuse(folder):
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(StoreError, match=r"cannot read .*: Permission denied; make it readable"):
        matching(tmp_path, "*")


def test_home_folders(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert expanded("~/x") == Path("/home/me/x")
    assert expanded("a/~") == Path("a/~")
    with pytest.raises(InputError, match=r"received ~nobody-of-that-name/x, .* no user 'nobody-of"):
        expanded("~nobody-of-that-name/x")


def test_long_names_are_shown_shortened():
    error = unreadable("x" * 5000, OSError(errno.ENAMETOOLONG, "File name too long"))
    assert re.fullmatch(r"cannot read x{60}…x{60}: File name too long; use shorter.*", str(error))


def test_an_output_appears_whole_and_a_link_stays(tmp_path):
    (tmp_path / "real.csv").write_text("old")
    link = tmp_path / "link.csv"
    link.symlink_to("real.csv")
    with output_path(link) as temporary:
        temporary.write_text("new")
        assert link.read_text() == "old"
    assert link.is_symlink()
    assert (tmp_path / "real.csv").read_text() == "new"
    assert sorted(left(tmp_path)) == ["link.csv", "real.csv"]


def test_a_pipe_gets_a_stream_and_stays(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    check_free(pipe, False)
    with ThreadPoolExecutor(1) as reader:
        read = reader.submit(pipe.read_bytes)
        with output_path(pipe) as temporary:
            temporary.write_bytes(b"all of it")
        assert read.result() == b"all of it"
    assert pipe.is_fifo()


def test_a_device_stays_and_its_failure_is_told():
    assert is_stream(Path("/dev/null"))
    with output_path(Path("/dev/null")) as temporary:
        temporary.write_text("gone")
    assert Path("/dev/null").is_char_device()
    full = "cannot write /dev/full: No space left on device"
    with pytest.raises(StoreError, match=full), output_path(Path("/dev/full")) as temporary:
        temporary.write_text("too much")


SHOWS = """
import sys
from pathlib import Path
from pipeline.system.files import is_stdout, output_path
out = Path(sys.argv[1])
print("before", is_stdout(out))
with output_path(out) as temporary:
    temporary.write_text("table\\n")
print("after")
"""


@pytest.mark.parametrize("out", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "out.txt"])
@pytest.mark.parametrize("append", [False, True])
def test_what_goes_to_stdout_stands_among_what_is_printed(tmp_path, out, append):
    with (tmp_path / "out.txt").open("a" if append else "w") as file:
        subprocess.run([sys.executable, "-c", SHOWS, out], stdout=file, cwd=tmp_path, check=True)
    assert (tmp_path / "out.txt").read_text() == "before True\ntable\nafter\n"
    piped = subprocess.run(
        [sys.executable, "-c", SHOWS, out], capture_output=True, cwd=tmp_path, check=True
    )
    expected = b"before False\nafter\n" if out == "out.txt" else b"before True\ntable\nafter\n"
    assert piped.stdout == expected


def test_json_holds_a_name_that_is_no_text(tmp_path):
    value = {os.fsdecode(b"caf\xe9"): "café"}
    write_json(tmp_path / "one.json", value)
    assert read_json(tmp_path / "one.json") == value
    assert "caf\\udce9" in (tmp_path / "one.json").read_text("utf-8")
