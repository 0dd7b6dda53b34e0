"""Tables as text: separators, encodings, tables that lack their first row."""

import pytest

from pipeline.errors import DataError, InputError, UnclearError
from pipeline.images import scan
from pipeline.system.cells import cell
from tests.images.tables.written import LABELS, NAMES, put, text_of


def read(root, text, name="t.csv"):
    return scan(put(root, text, *NAMES, name=name))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["t.csv", "t.TSV", "t.txt", "t.tab"])
def test_separators(tmp_path, separator, name):
    text = text_of(("path", "label"), NAMES, LABELS, separator=separator)
    assert read(tmp_path, text, name).labels == LABELS


@pytest.mark.parametrize(
    "text",
    [
        text_of(("file", "score", "class"), NAMES, ["0,5"] * 6, LABELS, separator=";"),
        text_of(("path", "label", "note"), NAMES, LABELS, ["a;b"] * 6),
        "sep=;\r\n" + text_of(("path", "label"), NAMES, LABELS, separator=";"),
        text_of(("path", "label", "note"), NAMES, LABELS, ['"a\nb; c"'] * 6),
    ],
)
def test_other_marks_in_the_values(tmp_path, text):
    assert read(tmp_path, text).labels == LABELS


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings(tmp_path, encoding):
    text = text_of(("path", "label"), NAMES, ["é"] * 3 + ["ß"] * 3)
    assert set(read(tmp_path, text.encode(encoding)).labels) == {"é", "ß"}


@pytest.mark.parametrize(
    ("encoding", "message"),
    [("latin-1", "received another encoding .*save it as UTF-8"), ("utf-16-le", "NUL characters")],
)
def test_encodings_that_nothing_says(tmp_path, encoding, message):
    text = text_of(("path", "label"), NAMES, ["é"] * 3 + ["o"] * 3)
    text = text if encoding == "latin-1" else text.replace("é", "e")
    with pytest.raises(InputError, match=f"expected UTF-8 text in .*{message}"):
        read(tmp_path, text.encode(encoding))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "0.jpg,cat\n1.jpg,dog\n",
            "names of the columns in the first row of .*, received '0.jpg', 'cat': put a row of "
            "names above it, such as path,label",
        ),
        ("cat;train;0.jpg\ndog;test;1.jpg\n", "such as label,column2,path"),
        ("0,cat\n1,cat\n2,dog\n", "received '0', 'cat': put a row of names above it"),
        ("val_0.JPEG\tn01\t0\t32\nval_1.JPEG\tn02\t0\t32\n", "path,label,column3,column4"),
        (
            "0.jpg cat\n1.jpg dog\n",
            "between them in .*, received the one column '0.jpg cat': make a .csv table of it, "
            "whose first two lines are path,label and 0.jpg,cat",
        ),
        ("path\n0.jpg\n", "received the one column 'path': write a path and a label in every row"),
        ("Hello there.\n", "received the one column 'Hello there.'"),
    ],
)
@pytest.mark.parametrize("name", ["t.csv", "t.txt"])
def test_texts_that_are_no_tables_yet(tmp_path, text, message, name):
    with pytest.raises((InputError, UnclearError), match=message):
        read(tmp_path, text, name)


def test_rows_are_numbered_as_a_spreadsheet_does(tmp_path):
    text = "sep=,\n" + text_of(("path", "label"), NAMES, (*LABELS[:5], ""))
    with pytest.raises(DataError, match="expected a label in row 8 of"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    "above", ["# made by me\n", "# a, b\n#\n", "\n \n", "# label, and\r\n\r\n", "sep=,\n# x\n"]
)
def test_comments_above_the_names(tmp_path, above):
    text = above + text_of(("file", "label"), NAMES, (*LABELS[:5], ""))
    row = 7 + above.count("\n")
    with pytest.raises(DataError, match=f"expected a label in row {row} of"):
        read(tmp_path, text)


@pytest.mark.parametrize("mark", ["#", "# ", "# note\n#"])
@pytest.mark.parametrize("separator", [",", "\t"])
def test_names_behind_a_mark_of_comments(tmp_path, mark, separator):
    text = mark + text_of(("file", "label"), NAMES, LABELS, separator=separator)
    assert read(tmp_path, text).reading.columns == {"path": "file", "label": "label"}


def test_a_column_called_by_a_mark(tmp_path):
    text = text_of(("#", "file", "label"), range(6), NAMES, LABELS)
    assert read(tmp_path, text).labels == LABELS


def test_cells_that_no_spreadsheet_runs_are_read_as_they_were_written(tmp_path):
    names, classes = ["=1.png", "-2.png", "c.png", "d.png"], ["@a", "@a", "b", "b"]
    written = text_of(("path", "label"), list(map(cell, names)), list(map(cell, classes)))
    read_back = scan(put(tmp_path, written, *names))
    assert dict(zip(read_back.paths, read_back.labels, strict=True)) == dict(
        zip(names, classes, strict=True)
    )


def test_apostrophes_of_others_stay(tmp_path):
    text = text_of(("path", "label"), NAMES, ["'-1"] * 3 + ["-1"] * 3)
    assert set(read(tmp_path, text).labels) == {"'-1", "-1"}
