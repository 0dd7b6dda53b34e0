"""Which files of a folder are pictures: by their names, else by their beginnings."""

import os
import shutil

import pytest

from pipeline.images import find_pictures, scan
from pipeline.images.files import MAX_BYTES
from pipeline.images.names import may_be_picture_name
from pipeline.images.walk import LocalTree, NamedTree
from tests.images.test_archives import make_zip
from tests.images.test_decode import encode
from tests.images.test_remarks import ramp

PICTURES = ("0001", "1.jpg?w=300", "1.jpg.1", "1.jpeg_large", "img.JPG~", "x.dat", "a.jpg:large")
OTHERS = ("README", "1.jpg.txt", "table.csv", "net.h5", "empty", "more.zip", "1.jpg.part")


@pytest.fixture
def tree(tmp_path):
    for label in ("cats", "dogs"):
        (tmp_path / label).mkdir()
        for number, name in enumerate(PICTURES):
            (tmp_path / label / name).write_bytes(encode(ramp(number, 250, "u1")))
        for name in OTHERS:
            text = "" if name == "empty" else "P5 words"
            (tmp_path / label / name).write_text(text)
    return tmp_path


def paths(*names):
    return tuple(sorted(f"{label}/{name}" for label in ("cats", "dogs") for name in names))


def test_names_that_say_nothing_are_looked_into(tree):
    source = scan(tree)
    assert source.paths == paths(*PICTURES)
    assert source.ignored == paths(*OTHERS)
    found = find_pictures([tree / "cats"])
    assert [found.name(row) for row in range(len(found))] == sorted(
        str(tree / "cats" / name) for name in PICTURES
    )


def test_in_archives_too(tree, tmp_path_factory):
    for kind in ("zip", "tar"):
        base = str(tmp_path_factory.mktemp("packed") / "pets")
        source = scan(shutil.make_archive(base, kind, tree))
        assert source.paths == paths(*PICTURES)
        assert source.ignored == paths(*OTHERS)


def test_other_files_are_not_opened(tree, monkeypatch):
    opened = []
    real = os.open

    def noting(path, *arguments):
        opened.append(os.path.basename(path))
        return real(path, *arguments)

    monkeypatch.setattr(os, "open", noting)
    LocalTree(tree).walk(("cats",))
    assert sorted(opened) == sorted((*PICTURES, "README", "empty"))
    assert all(map(may_be_picture_name, opened))


def test_what_cannot_be_opened_is_no_picture(tmp_path):
    (tmp_path / "a").mkdir()
    os.mkfifo(tmp_path / "a" / "pipe")
    (tmp_path / "a" / "link").symlink_to("nowhere")
    (tmp_path / "a" / "link.jpg").symlink_to("nowhere")
    pictures, others = LocalTree(tmp_path).walk(())
    assert pictures == ["a/link.jpg"]
    assert sorted(others) == ["a/link", "a/pipe"]


def test_of_names_alone_those_count_that_hold_the_suffix_of_a_picture():
    names = [f"a/{name}" for name in (*PICTURES, *OTHERS)]
    assert NamedTree(names).walk(())[0] == sorted(
        f"a/{name}" for name in PICTURES if name not in ("0001", "x.dat")
    )


def test_a_member_that_cannot_be_read_is_no_picture(tmp_path):
    path = make_zip(tmp_path / "pets.zip", ["cats/1.jpg", "cats/2.jpg", "dogs/1.jpg", "dogs/2.jpg"])
    content = make_zip(tmp_path / "more.zip", ["cats/unknown"]).read_bytes()
    assert scan(path).ignored == ()
    at = content.index(b"PK\3\4") + 40
    (tmp_path / "more.zip").write_bytes(content[:at] + b"\xff\xff" + content[at + 2 :])
    found = LocalTree(tmp_path).walk(())
    assert found == ([], ["more.zip", "pets.zip"])


def test_a_file_that_is_larger_than_a_picture_can_be(tree):
    with (tree / "cats" / "huge.jpg").open("wb") as file:
        file.truncate(MAX_BYTES + 1)  # a hole takes no disk
    files = scan(tree).files
    named = find_pictures([tree / "cats" / "huge.jpg"])
    for read in (files.read, files.digest, lambda _: named.read(0)):
        with pytest.raises(OSError, match="too large: 1,073,741,825 bytes, at most"):
            read("cats/huge.jpg")
