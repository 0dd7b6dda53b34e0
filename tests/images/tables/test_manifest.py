"""Tables of pictures: what is read from them, what is refused, groups."""

import json
import os
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cli import run
from pipeline.config import DataConfig
from pipeline.errors import DataError, InputError
from pipeline.images import index, scan, validation_slice
from pipeline.images.splits import component_keys, hold_out
from tests.conftest import write_picture


def write(root, text, *paths, name="pets.csv"):
    root.mkdir(parents=True, exist_ok=True)
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(path.encode())
    (root / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return root / name


FILES = ("a.jpg", "b.jpg", "in/c.jpg", "in/d.png")
ROWS = "a.jpg,cat\nb.jpg,cat\nin/c.jpg,dog\nin/d.png,dog\n"


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_a_csv_file(tmp_path, bom):
    text = " Label ,PATH,other\r\n cat , b.jpg,1\r\ncat,a.jpg,2\r\n\r\ndog,./in/d.png,3\r\n"
    path = write(tmp_path, bom + text.encode() + b'"dog",in//c.jpg,4\n', *FILES)
    source = scan(path)
    assert source.paths == FILES
    assert source.labels == ("cat", "cat", "dog", "dog")
    assert source.splits == (None,) * 4
    assert source.groups is None
    assert (source.location, source.name) == (str(path), "pets")
    dataset = index(path)
    assert [dataset.read(row) for row in range(4)] == [name.encode() for name in FILES]
    assert dataset.groups is None


def test_a_tsv_file_and_absolute_paths(tmp_path):
    elsewhere = write(tmp_path / "far", "", "e.jpg", name="x").parent
    rows = f"{elsewhere}/e.jpg\tcat\n{tmp_path}/a.jpg\tcat\nin/c.jpg\tdog\nin/d.png\tdog\n"
    dataset = index(write(tmp_path, f"path\tlabel\n{rows}", *FILES, name="pets.TSV"))
    assert dataset.paths == ("a.jpg", "far/e.jpg", "in/c.jpg", "in/d.png")


def test_paths_beside_the_folder(tmp_path):
    elsewhere = write(tmp_path / "far", "", "e.jpg", name="x").parent
    text = f"path,label\n{elsewhere}/e.jpg,cat\n{ROWS}"
    dataset = index(write(tmp_path / "here", text, *FILES))
    assert dataset.paths == (f"{elsewhere}/e.jpg", *FILES)
    assert dataset.read(0) == b"e.jpg"


def test_given_splits(tmp_path):
    rows = "a.jpg,cat, Train\nb.jpg,cat,VAL\nin/c.jpg,dog,valid\nin/d.png,dog,train\n"
    dataset = index(write(tmp_path, f"path,label,Split\n{rows}", *FILES))
    assert dataset.given_splits
    assert dataset.test_name == "validation"
    assert dataset.splits.tolist() == ["train", "test", "test", "train"]


def test_a_parquet_file(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {"extra": [1, 2, 3, 4], "PATH": list(FILES), "label": [7, 7, 8, 8]}
    columns["group"] = ["x", None, None, "y"]
    parquet.write_table(pyarrow.table(columns), write(tmp_path, "", *FILES, name="pets.parquet"))
    source = scan(tmp_path / "pets.parquet")
    assert (source.paths, source.labels) == (FILES, ("7", "7", "8", "8"))
    assert source.groups == ("x", None, None, "y")


def test_a_damaged_parquet_file(tmp_path):
    pytest.importorskip("pyarrow")
    with pytest.raises(InputError, match=r"expected a Parquet file, .* cannot be read as one"):
        scan(write(tmp_path, "PAR1 nonsense", name="pets.parquet"))


def test_parquet_without_its_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install 'bottleneck-pipeline\[parquet\]', or save"):
        scan(write(tmp_path, "", name="pets.parquet"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected the columns path and label .* received none"),
        ("path,width\na.jpg,7\n", "received 'path', 'width': name the column of labels 'label'"),
        ("path;label\na.jpg;cat;x\n", "expected 2 values in row 2 .* hold a semicolon, which"),
        ("path,label,Path\na.jpg,cat,b\n", "expected one column path in .* received several"),
        ("path,label\n", "expected rows of pictures in .* received none"),
        ("path,label\na.jpg,cat\nb.jpg,nan\n", "expected a label in row 3 of .* received 'nan'"),
        ("path,label\na.jpg,cat\nb.jpg, \n", "expected a label in row 3 of .*pets.csv, received n"),
        ("path,label\n,cat\n", "expected a path in row 2"),
        ("path,label\na.jpg,cat,x\n", "expected 2 values in row 2 of .* received 3: put quotes"),
        ("path,label\na.jpg\n", "expected 2 values in row 2 of .* received 1"),
        ('path,label\n"a.jpg,cat\n', "expected a table in .* mend its quotes"),
        ("path,label,split\na.jpg,cat,tets\n", "unknown split 'tets'; nearest: test; in row 2 of"),
        (
            "path,label,split\na.jpg,cat,train\nb.jpg,cat,\n",
            "a split in every row of .* or in none, received none in row 3",
        ),
        (
            f"path,label\n{ROWS}./a.jpg,dog\n",
            "one label for a.jpg in .*, received 'cat' in row 2 and 'dog' in row 6: keep one",
        ),
        (
            "path,label,group\na.jpg,cat,1\na.jpg,cat,2\n",
            "expected one group for a.jpg in .* received '1' in row 2 and '2' in row 3",
        ),
        ("path,label\na.jpg,cat\nb.jpg,cat\n", "received only 'cat': add rows with another label"),
        ("path,label\na.jpg,cat\nb.jpg,dog\n", "received one of 'cat', 'dog': add rows or remove"),
        (
            "path,label,split\na.jpg,cat,train\nb.jpg,cat,train\nc.jpg,dog,test\nd.jpg,dog,test\n",
            "every test class in train too, but 'dog' .*: give rows of dog the split train or",
        ),
        (
            "path,label,split\na.jpg,cat,test\nb.jpg,cat,test\nc.jpg,dog,test\nd.jpg,dog,test\n",
            "a train split with pictures in .* give rows the split train",
        ),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, text, message):
    with pytest.raises((InputError, DataError), match=message):
        scan(write(tmp_path, text, *FILES))


def test_another_encoding(tmp_path):
    with pytest.raises(InputError, match=r"expected UTF-8 text in .* \(byte 14\): save it as UTF"):
        scan(write(tmp_path, "path,label\na.jé,cat\n".encode("latin-1")))


def test_equal_rows_count_once(tmp_path):
    assert scan(write(tmp_path, f"path,label\n{ROWS}{ROWS}", *FILES)).paths == FILES


def test_a_pattern_beside_a_manifest(tmp_path):
    with pytest.raises(InputError, match=r"expected no label_pattern with .*pets.csv, whose rows"):
        scan(write(tmp_path, f"path,label\n{ROWS}", *FILES), DataConfig(label_pattern="{label}.{}"))


def test_paths_that_cannot_be_followed_are_reported(tmp_path):
    rows = f"path,label\n{ROWS}../out.jpg,cat\ngone.jpg,cat\nin,dog\npipe.jpg,dog\na\0b.jpg,cat\n"
    path = write(tmp_path / "here", rows, *FILES)
    (tmp_path / "out.jpg").write_bytes(b"out")
    os.mkfifo(tmp_path / "here/pipe.jpg")
    assert dict(index(path).unreadable) == {
        "../out.jpg": "leads out of the manifest's folder: give an absolute path (row 6)",
        "gone.jpg": "No such file or directory (row 7)",
        "in": "Not a file (row 8)",
        "pipe.jpg": "Not a file (row 9)",
        "a\0b.jpg": "no path: it holds a NUL character (row 10)",
    }
    assert index(path, memory=tmp_path / "memory").unreadable == index(path).unreadable


def test_a_class_that_vanishes(tmp_path):
    path = write(tmp_path, f"path,label\n{ROWS}x.jpg,rat\ny.jpg,rat\n", *FILES)
    with pytest.raises(DataError, match=r"2 pictures of 'rat' of which none .*e.g. x.jpg"):
        index(path)


def table(root, pictures, columns=("group",)):
    """Write pictures {path: (content, label, *values of columns)} and their manifest."""
    lines = [",".join(("path", "label", *columns))]
    for path, (content, *values) in pictures.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(str(content))
        lines.append(",".join(map(str, (path, *values))))
    (root / "t.csv").write_text("\n".join(lines))
    return root / "t.csv"


def grouped(n=200, size=5):
    labels = ("cat", "dog")
    return {f"{i}.jpg": (i, labels[i % 2], f"g{i // size}") for i in range(n)}


def sides(dataset, parts):
    """Map each group to the parts that it is in."""
    found = {}
    for name, rows in parts.items():
        for number in dataset.groups[rows]:
            found.setdefault(number, set()).add(name)
    return found


def test_groups_stay_whole_in_splits_and_slices(tmp_path):
    dataset = index(table(tmp_path, grouped()))
    assert dataset.groups.dtype == np.int64
    assert [dataset.group_names[number] for number in dataset.groups[:2]] == ["g0", "g0"]
    parts = {name: dataset.select(name) for name in ("train", "test")}
    assert all(map(len, parts.values()))
    assert {len(where) for where in sides(dataset, parts).values()} == {1}
    fit, held = validation_slice(dataset, parts["train"], 0.3, seed=0)
    assert len(held)
    assert {len(where) for where in sides(dataset, {"f": fit, "h": held}).values()} == {1}
    assert not set(dataset.groups[fit]) & set(dataset.groups[held])
    bundles = dataset.bundles(parts["train"])
    pairs = set(zip(bundles.tolist(), dataset.groups[parts["train"]].tolist(), strict=True))
    assert len(pairs) == len(set(bundles.tolist())) == len(set(dataset.groups[parts["train"]]))


def test_adding_to_a_group_moves_nothing(tmp_path):
    before = index(table(tmp_path / "a", grouped()))
    more = {f"x{i}.jpg": (f"x{i}", "cat", f"g{i}") for i in range(40)}
    after = index(table(tmp_path / "b", grouped() | more))
    now = dict(zip(after.paths, after.splits.tolist(), strict=True))
    assert {path: now[path] for path in before.paths} == dict(
        zip(before.paths, before.splits.tolist(), strict=True)
    )


def test_copies_join_groups(tmp_path):
    pictures = grouped(40, 4)
    pictures["again.jpg"] = (0, "cat", "g5")  # joins g0 and g5
    pictures["single.jpg"] = (4, "dog", "")  # joins g1 without a group of its own
    dataset = index(table(tmp_path, pictures))
    keys = [row.tobytes() for row in dataset.keys]
    of = dict(zip(dataset.paths, keys, strict=True))
    assert of["0.jpg"] == of["20.jpg"] == of["again.jpg"] != of["4.jpg"]
    assert of["single.jpg"] == of["4.jpg"] == of["7.jpg"]
    splits = dict(zip(dataset.paths, dataset.splits.tolist(), strict=True))
    assert splits["0.jpg"] == splits["20.jpg"] == splits["again.jpg"]
    numbers = dict(zip(dataset.paths, dataset.bundles(np.arange(len(dataset))), strict=True))
    assert numbers["3.jpg"] == numbers["23.jpg"]
    assert len(set(numbers.values())) == 9


def test_given_splits_that_tear_a_group(tmp_path):
    rows = {f"{i}.jpg": (i, "ab"[i % 2], f"g{i // 4}", "train") for i in range(8)}
    rows |= {f"{i}.jpg": (i, "ab"[i % 2], "g1", "test") for i in range(8, 10)}
    with pytest.raises(DataError, match=r"every group of .* in one split, received 'g1' in .*: g"):
        index(table(tmp_path, rows, ("group", "split")))


def test_given_splits_that_keep_groups_whole(tmp_path):
    rows = {f"{i}.jpg": (i, "ab"[i % 2], f"g{i // 4}", "train") for i in range(8)}
    rows |= {f"{i}.jpg": (i, "ab"[i % 2], "", "test") for i in range(8, 12)}
    assert index(table(tmp_path, rows, ("group", "split"))).given_splits


def test_the_digest_tells_groups(tmp_path):
    plain = index(table(tmp_path / "a", {p: v[:2] for p, v in grouped().items()}, ()))
    empty = index(table(tmp_path / "b", {p: (*v[:2], "") for p, v in grouped().items()}))
    assert empty.groups is None
    assert empty.digest == plain.digest
    assert empty.splits.tolist() == plain.splits.tolist()
    given = {
        name: table(
            tmp_path / name,
            {p: (*v[:2], g(v[2]), "train" if i > 60 else "test") for i, (p, v) in rows},
            ("group", "split"),
        )
        for name, g, rows in (
            ("c", lambda g: "", list(enumerate(grouped().items()))),
            ("d", lambda g: f"{g}", [(i - i % 5, row) for i, row in enumerate(grouped().items())]),
        )
    }
    digests = {name: index(path).digest for name, path in given.items()}
    assert len({*digests.values(), plain.digest}) == 3


def test_groups_that_leave_a_class_untaught(tmp_path):
    rows = {"1.jpg": (1, "a", "g"), "2.jpg": (2, "a", "g"), "3.jpg": (3, "b", "g")}
    rows["4.jpg"] = (4, "b", "g")
    with pytest.raises(DataError, match=r"none of 'a', 'b': groups .* divide the groups"):
        index(table(tmp_path, rows))


members = st.lists(
    st.tuples(st.integers(0, 15), st.integers(-1, 6), st.integers(0, 2)), min_size=1, max_size=40
)


@settings(deadline=None, max_examples=200)
@given(members, st.integers(0, 3))
def test_components_are_what_copies_and_groups_join(drawn, seed):
    contents, groups, labels = (np.array(column) for column in zip(*drawn, strict=True))
    digests = np.zeros((len(drawn), 32), np.uint8)
    digests[:, 31] = contents
    keys = component_keys(digests, groups, [f"g{number}" for number in range(7)])
    parts = list(range(len(drawn)))
    for i in range(len(drawn)):
        for j in range(i):
            if contents[i] == contents[j] or (groups[i] == groups[j] >= 0):
                parts = [parts[i] if part == parts[j] else part for part in parts]
    for i in range(len(drawn)):
        for j in range(i):
            assert (keys[i] == keys[j]).all() == (parts[i] == parts[j])
    held = hold_out(keys, labels, 0.3, purpose="test", seed=seed)
    assert not {parts[row] for row in np.flatnonzero(held)} & {
        parts[row] for row in np.flatnonzero(~held)
    }


def test_stage_2_takes_groups_from_a_manifest(tmp_path, capsys):
    lines = ["path,label,group"]
    for i in range(48):
        write_picture(tmp_path / f"{i}.png", i, hue=2 * (i % 2))
        lines.append(f"{i}.png,{('blue', 'red')[i % 2]},g{i // 4}")
    (tmp_path / "pets.csv").write_text("\n".join(lines))
    flags = ["--backbone", "MobileNet(alpha=0.25)", "--weights", "none", "--image-size", "32"]
    places = ["--cache", str(tmp_path / "cache"), "--runs", str(tmp_path / "runs")]
    heads = ["--heads", "ridge", "--folds", "3", "--json", "--engine", "tensorflow"]
    assert run(["classify", str(tmp_path / "pets.csv"), *flags, *places, *heads]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["best"].startswith("pets-MobileNet")
    assert value["results"][0]["selected_by"] == "3-fold cross-validation, repeated 10 times"
    info = json.loads((tmp_path / "runs" / value["best"] / "run.json").read_text())
    assert info["dataset"]["root"] == str(tmp_path / "pets.csv")
    assert info["dataset"]["name"] == "pets"
