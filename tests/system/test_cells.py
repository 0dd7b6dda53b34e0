"""No spreadsheet runs a cell, and what was written is read back."""

import csv
import io
import os

import pytest

from pipeline.system.cells import CellRows, cell, named_as, plain

TEXTS = (
    "=1+2",
    "+1",
    "-x.png",
    "-0.5",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1",
    "'=1",
    "''-1",
    "'quoted'",
    "cats/=1.png",
    "",
    "'",
    "a,b\n=c",
)


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_comes_back(text):
    file = io.StringIO(newline="")
    csv.writer(file).writerow([cell(text), "0.5"])
    written = file.getvalue()
    assert list(CellRows(io.StringIO(written, newline=""))) == [[text, "0.5"]]
    assert written.lstrip('"')[:1] not in "=+-@\t\n＝" or not text
    assert CellRows([]).line_num == 0


def test_files_of_before_are_read_as_they_are():
    assert list(CellRows(["-x.png,=1,'it\n"])) == [["-x.png", "=1", "'it"]]


@pytest.mark.parametrize(
    "name", [b"caf\xe9.jpg", b"\xff\xfe/\xe9", "é\\xe9".encode() + b"\xe9", b"a"]
)
def test_a_name_that_is_no_text_comes_back(name):
    text = os.fsdecode(name)
    written = plain(text)
    assert written.encode()
    if written != "é\\xe9\\xe9":  # the name has the very signs in it that stand for a byte
        assert named_as(written, {text}.__contains__) == text
    assert named_as(written, {written}.__contains__) == written
    assert named_as(written, set().__contains__) == written
