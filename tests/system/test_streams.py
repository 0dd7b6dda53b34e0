"""The program's output: terminals of other encodings, readers that have gone, full disks."""

import errno
import io
import json
import os
import subprocess
import sys

import pytest

from pipeline.system.streams import Heedless, shows_exactly

LISTED = [sys.executable, "-m", "pipeline", "backbones"]
SHOWS_NAMES = """
import sys
from pipeline.cli import show
from pipeline.system.streams import own_streams
own_streams()
named = {"path": "caf\\u00e9\\udce9\\ud800 \\u2192"}
show.result(named, %s, lambda value: print(value["path"]))
print(named["path"], file=sys.stderr)
"""


def printed(encoding, as_json=False):
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    command = [sys.executable, "-c", SHOWS_NAMES % as_json]
    process = subprocess.run(command, env=environment, capture_output=True, check=True)
    return process.stdout.strip(), process.stderr.strip()


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", b"caf\xc3\xa9\xe9? \xe2\x86\x92"),
        ("cp1252:strict", b"caf\xe9?? ?"),
        ("ascii", b"caf??? ?"),
        ("latin-1", b"caf\xe9?? ?"),
    ],
)
def test_what_an_encoding_cannot_show_is_replaced(encoding, shown):
    assert printed(encoding) == (shown, shown)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_json_loses_nothing(encoding):
    out, _ = printed(encoding, as_json=True)
    assert json.loads(out.decode("ascii")) == {"path": "caf\u00e9\udce9\ud800 \u2192"}


def test_what_utf8_shows_as_it_is(monkeypatch):
    assert shows_exactly("é →")
    assert not shows_exactly("\udce9")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "cp1252"))
    assert not shows_exactly("plain")


class Broken(io.RawIOBase):
    """Takes nothing at first, then three bytes at a time, then fails twice."""

    def __init__(self):
        self.taken = []

    def writable(self):
        return True

    def write(self, data):
        self.taken.append(bytes(data[:3]))
        if len(self.taken) == 1:
            return None
        if len(self.taken) > 3:
            raise OSError(errno.EPIPE, f"failure {len(self.taken)}")
        return min(len(data), 3)


def test_what_cannot_be_written_is_lost_and_the_first_failure_kept():
    raw = Broken()
    heedless = Heedless(raw)
    with io.BufferedWriter(heedless) as stream:
        stream.write(b"abcdefgh")
        stream.flush()
        stream.write(b"ij")
    assert raw.taken == [b"abc", b"abc", b"def", b"gh", b"ij"]
    assert str(heedless.failure) == "[Errno 32] failure 4"


def through(redirection, command=LISTED):
    """Return exit code, stdout and stderr of a command in a shell."""
    line = ["bash", "-c", f'"$@" {redirection}', "bash", *command]
    process = subprocess.run(line, capture_output=True, text=True)
    return process.returncode, process.stdout, process.stderr


def test_a_reader_that_had_enough():
    end, there = os.pipe()
    os.close(end)
    process = subprocess.run(LISTED, stdout=there, stderr=subprocess.PIPE)
    os.close(there)
    assert (process.returncode, process.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("redirection", "why"),
    [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")],
)
def test_results_that_cannot_be_written(redirection, why):
    sentence = f"pipeline: expected to write results to standard output, which failed: {why}; "
    code, _, said = through(redirection)
    assert (code, said) == (1, sentence + "what was computed is kept\n")


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "<&- 2>&-"])
def test_notices_that_cannot_be_written(redirection):
    code, shown, _ = through(redirection)
    assert code == 0
    assert "ConvNeXtXLarge" in shown
    assert through(redirection, [*LISTED, "--no-such"]) == (2, "", "")


def test_names_are_text_in_a_locale_without_any():
    script = (
        "import sys; from pipeline.system.streams import *; read_names_as_text(); "
        "own_streams(); print(sys.getfilesystemencoding(), sys.stdout.encoding, *sys.argv[1:])"
    )
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", script, "--told", "café"]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (process.stdout, process.stderr) == ("utf-8 ascii --told caf?\n", "")
