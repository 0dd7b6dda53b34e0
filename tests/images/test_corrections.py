"""Corrections hold for contents; what is new joins train; what cannot be meant is refused."""

import csv
import os
import shutil
import zipfile

import numpy as np
import pytest

from pipeline.config import DataConfig
from pipeline.errors import DataError, InputError, UnknownNameError
from pipeline.images import index
from tests.conftest import write_picture


@pytest.fixture
def data(tmp_path):
    """Ten pictures of each of two classes, and a copy of one in the other class."""
    root = tmp_path / "data"
    for number, name in enumerate(("cat", "dog")):
        for i in range(10):
            write_picture(root / name / f"{i}.png", 100 * number + i)
    shutil.copy(root / "cat" / "0.png", root / "dog" / "copy.png")
    return root


def table(tmp_path, *rows, header=("path", "label")):
    path = tmp_path / "fix.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


def labels(dataset):
    return {
        path: dataset.classes[label]
        for path, label in zip(dataset.paths, dataset.labels, strict=True)
    }


def test_labels_change_by_content_and_splits_stay(data, tmp_path):
    before = index(data)
    file = table(tmp_path, ("cat/0.png", "dog"), ("dog/3.png", "dog"), ("dog/4.png", ""))
    after = index(data, DataConfig(corrections=file))
    assert after.paths == before.paths
    changed = {one for one in labels(before) if labels(before)[one] != labels(after)[one]}
    assert changed == {"cat/0.png"}
    assert list(after.splits) == list(before.splits)
    assert after.digest != before.digest
    done = after.corrections
    # The copy was called so already.
    assert (done.changed, done.confirmed, done.applied) == (1, 2, 3)
    assert after.indexing["corrections"] == file


def test_a_picture_is_known_by_path_absolute_path_or_digest(data, tmp_path):
    digest = index(data).digests[index(data).paths.index("cat/5.png")].tobytes().hex()
    said = ("cat/3.png", str(data / "cat" / "4.png"), digest, "data/cat/6.png")
    file = table(tmp_path, *((one, "dog") for one in said))
    after = labels(index(data, DataConfig(corrections=file)))
    assert [after[f"cat/{i}.png"] for i in range(3, 8)] == ["dog"] * 4 + ["cat"]


def test_a_digest_beside_a_path_decides(data, tmp_path):
    """A page that shows a picture says its content; where that changed nothing is known of it."""
    before = index(data)
    digest = before.digests[before.paths.index("cat/5.png")].tobytes().hex()
    rows = (("elsewhere/5.png", digest, "dog"), ("cat/6.png", "0" * 64, "dog"))
    file = table(tmp_path, *rows, header=("path", "digest", "label"))
    after = index(data, DataConfig(corrections=file))
    assert labels(after)["cat/5.png"] == "dog"
    assert labels(after)["cat/6.png"] == "cat"
    assert after.corrections.unmatched == ("cat/6.png",)


def test_what_is_dropped_is_gone_with_its_copies(data, tmp_path):
    after = index(data, DataConfig(corrections=table(tmp_path, ("cat/0.png", "drop"))))
    assert not {"cat/0.png", "dog/copy.png"} & {*after.paths}
    assert after.corrections.to_dict()["dropped"] == 2
    assert (data / "cat" / "0.png").is_file()


@pytest.mark.parametrize("packed", [False, True])
def test_other_pictures_join_train(data, tmp_path, packed):
    for i in range(20):
        write_picture(tmp_path / "pool" / f"{i}.png", 900 + i)
    place = data
    if packed:
        place = tmp_path / "data.zip"
        with zipfile.ZipFile(place, "w") as file:
            for path in sorted(data.rglob("*.png")):
                file.write(path, path.relative_to(data))
    rows = [(f"pool/{i}.png", ("cat", "dog")[i % 2]) for i in range(19)]
    rows.append((str(tmp_path / "pool" / "19.png"), "cat"))
    before, after = index(place), None
    after = index(place, DataConfig(corrections=table(tmp_path, *rows)))
    own = np.array([path in before.paths for path in after.paths])
    assert list(after.splits[own]) == list(before.splits)
    assert set(after.splits[~own]) == {"train"}
    assert len(after) == len(before) + 20
    assert after.corrections.applied == 20
    for row in np.flatnonzero(~own):
        assert after.read(row) == (tmp_path / "pool" / after.paths[row].split("/")[-1]).read_bytes()
    assert after.read(int(np.flatnonzero(own)[0]))
    assert list(after.paths) == sorted(after.paths)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_pictures_in_an_archive_join_train(data, tmp_path, kind):
    """As `suggest` names those of a pool that is packed."""
    write_picture(tmp_path / "pool" / "a" / "1.png", 900)
    packed = shutil.make_archive(tmp_path / "pool", kind, tmp_path / "pool")
    (tmp_path / "no.zip").write_bytes(b"nothing")
    rows = [(f"{packed}/a/{i}.png", "cat") for i in (1, 2)]
    rows += [(f"{tmp_path}/no.zip/1.png", "cat"), (f"{data}/cat/1.png/2.png", "cat")]
    after = index(data, DataConfig(corrections=table(tmp_path, *rows)))
    assert after.corrections.added == (f"{packed}/a/1.png",)
    assert after.corrections.unmatched == tuple(path for path, _ in rows[1:])
    (row,) = np.flatnonzero([path.startswith(packed) for path in after.paths])
    assert after.read(int(row)) == (tmp_path / "pool" / "a" / "1.png").read_bytes()


def test_a_class_of_one_picture_is_tested_once_there_are_more_to_learn_from(data, tmp_path):
    write_picture(data / "fox" / "1.png", 500)
    write_picture(tmp_path / "fox2.png", 501)
    after = index(
        data, DataConfig(corrections=table(tmp_path, ("fox2.png", "fox")), min_per_class=2)
    )
    splits = dict(zip(after.paths, after.splits.tolist(), strict=True))
    assert (splits["fox/1.png"], splits[str(tmp_path / "fox2.png")]) == ("test", "train")


def test_with_given_splits_other_pictures_join_train_too(pictures, tmp_path):
    write_picture(tmp_path / "new.png", 77)
    file = table(tmp_path, ("new.png", "red"), ("train/red/1.png", "blue"))
    after = index(pictures, DataConfig(corrections=file))
    assert (after.splits == "train").sum() == 25
    assert (after.splits == "test").sum() == 12
    assert labels(after)["train/red/1.png"] == "blue"


def test_a_picture_of_the_test_is_not_learnt_from_under_another_name(data, tmp_path):
    before = index(data)
    held = before.paths[before.select("test")[0]]
    shutil.copy(data / held, tmp_path / "again.png")
    after = index(data, DataConfig(corrections=table(tmp_path, ("again.png", "cat"))))
    assert after.paths == before.paths


def test_formulas_of_spreadsheets_are_read_back(data, tmp_path):
    shutil.move(data / "cat" / "1.png", data / "cat" / "=1.png")
    shutil.move(data / "cat", data / "=cat")
    file = table(tmp_path, ("'=cat/=1.png", "dog"), ("dog/1.png", "'=cat"))
    after = labels(index(data, DataConfig(corrections=file)))
    assert (after["=cat/=1.png"], after["dog/1.png"]) == ("dog", "=cat")


def test_what_is_not_there_is_told(data, tmp_path, caplog):
    file = table(tmp_path, ("cat/1.png", "dog"), ("cat/gone.png", "dog"), ("ab" * 32, "drop"))
    done = index(data, DataConfig(corrections=file)).corrections
    assert done.unmatched == ("cat/gone.png", "ab" * 32)
    assert "1 label changed, 0 confirmed, 0 pictures dropped" in caplog.text
    assert "not found: 'cat/gone.png'" in caplog.text


WRONG = [
    ([("cat/1.png", "doc")], UnknownNameError, "unknown label 'doc'; nearest: .*dog.*; in row 2"),
    ([("cat/1.png", "dog"), ("cat/1.png", "cat")], DataError, "'dog' in row 2 and 'cat' in row 3"),
    ([("cat/0.png", "dog"), ("dog/copy.png", "drop")], DataError, "for dog/copy.png: keep one of"),
    ([("cat/1.png", "")], InputError, "expected a label in some row of .*, received none"),
    ([("gone.png", "dog")], InputError, "received none of them, e.g. 'gone.png': write paths as"),
    ([("", "dog")], InputError, "expected a path or a digest in row 2 of"),
    ([(f"dog/{i}.png", "cat") for i in range(10)] + [("cat/0.png", "cat")], DataError, "two class"),
]


@pytest.mark.parametrize(("rows", "kind", "sentence"), WRONG)
def test_what_cannot_be_meant_is_refused(data, tmp_path, rows, kind, sentence):
    with pytest.raises(kind, match=sentence):
        index(data, DataConfig(corrections=table(tmp_path, *rows)))


def test_what_is_no_table_of_corrections_is_refused(data, tmp_path):
    with pytest.raises(InputError, match=r"path .or digest. and label in .*, received"):
        index(data, DataConfig(corrections=table(tmp_path, header=("a", "b"))))
    with pytest.raises(InputError, match=r"received corrections=.*gone\.csv: No such file"):
        index(data, DataConfig(corrections=str(tmp_path / "gone.csv")))
    shutil.move(data / "cat", data / "drop")
    with pytest.raises(InputError, match="expected no class called 'drop'"):
        index(data, DataConfig(corrections=table(tmp_path, ("dog/1.png", "dog"))))


def test_a_strangers_table_is_not_read(data, tmp_path):
    """Who only looks where a run says reads what this user's commands have read, and no more."""
    file = table(tmp_path, ("cat/1.png", "dog"))
    config = DataConfig(corrections=file)
    assert index(data, config, confined=True).corrections is None
    index(data, config, memory=tmp_path / "memory")
    assert index(data, config, confined=True).corrections is not None


ODD = os.fsdecode(b"caf\xe9")


@pytest.mark.parametrize("written", [b"caf\\xe9", b"caf\xe9"])
def test_names_that_are_no_text_come_back_from_a_table(data, tmp_path, written):
    """A byte is written out in ours; a run's ``predictions.csv`` has the byte itself."""
    (data / "dog").rename(data / ODD)
    write_picture(tmp_path / f"{ODD}.png", 999)
    digest = index(data).digests[index(data).paths.index("cat/1.png")].tobytes().hex().encode()
    rows = [written + b"/3.png,cat,", b"cat/1.png," + written + b"," + digest]
    rows.append(written + b".png," + written + b",")
    (tmp_path / "fix.csv").write_bytes(b"\n".join([b"path,label,digest", *rows]))
    after = index(data, DataConfig(corrections=str(tmp_path / "fix.csv")))
    now = labels(after)
    assert (now[f"{ODD}/3.png"], now["cat/1.png"]) == ("cat", ODD)
    assert now[str(tmp_path / f"{ODD}.png")] == ODD
    assert after.corrections.unmatched == ()


def test_a_name_that_has_such_signs_in_it_is_taken_as_it_is(data, tmp_path):
    name = r"caf\xe9.png"
    write_picture(data / "cat" / name, 1001)
    write_picture(data / "cat" / f"{ODD}.png", 1002)
    file = table(tmp_path, (f"cat/{name}", "dog"))
    now = labels(index(data, DataConfig(corrections=file)))
    assert (now[f"cat/{name}"], now[f"cat/{ODD}.png"]) == ("dog", "cat")


def test_a_table_of_somebody_in_another_encoding_is_refused(data, tmp_path):
    (tmp_path / "fix.csv").write_bytes(b"path,label\ncaf\xe9.png,cat\n")
    with pytest.raises(InputError, match=r"expected UTF-8 text in .*fix.csv, .* save it as UTF-8"):
        index(data, DataConfig(corrections=str(tmp_path / "fix.csv")))
