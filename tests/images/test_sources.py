"""Folder layouts: what is found, what is ignored, what is refused."""

import os
import unicodedata

import pytest

from pipeline.errors import DataError, InputError
from pipeline.images import resolve_location, scan


def make(root, *paths):
    for path in paths:
        target = root / path
        if path.endswith("/"):
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.encode())
    return root


PLAIN = ("cats/1.jpg", "cats/2.jpg", "dogs/1.jpg", "dogs/2.jpg")
SPLIT = tuple(f"{split}/{path}" for split in ("train", "test") for path in PLAIN)


def test_class_folders(tmp_path):
    source = scan(make(tmp_path, *reversed(PLAIN)))
    assert source.paths == PLAIN
    assert source.labels == ("cats", "cats", "dogs", "dogs")
    assert source.splits == (None,) * 4
    assert source.ignored == ()
    assert source.location == str(tmp_path)
    assert source.name == tmp_path.name
    assert source.files.read("cats/1.jpg") == b"cats/1.jpg"


def test_a_path_may_be_given_as_text(tmp_path):
    assert scan(str(make(tmp_path, *PLAIN))).paths == PLAIN


@pytest.mark.parametrize("name", ["validation", "valid", "val", "VAL", "Valid"])
def test_split_folders_by_any_of_their_names(tmp_path, name):
    validation = tuple(f"{name}/{path}" for path in PLAIN)
    source = scan(make(tmp_path, *SPLIT, *validation))
    by_path = dict(zip(source.paths, source.splits, strict=True))
    assert by_path["train/cats/1.jpg"] == "train"
    assert by_path["test/dogs/2.jpg"] == "test"
    assert by_path[f"{name}/cats/1.jpg"] == "validation"
    assert list(source.paths) == sorted(source.paths)
    assert set(source.labels) == {"cats", "dogs"}


def test_folders_inside_a_class_belong_to_it(tmp_path):
    source = scan(make(tmp_path, *PLAIN, "cats/a/b/3.png"))
    assert dict(zip(source.paths, source.labels, strict=True))["cats/a/b/3.png"] == "cats"


def test_clutter_is_neither_class_nor_picture_nor_ignored(tmp_path):
    clutter = (
        ".git/1.jpg",
        "__MACOSX/cats/1.jpg",
        "cats/._1.jpg",
        "cats/.DS_Store",
        "cats/Thumbs.db",
        "dogs/desktop.ini",
        "dogs/.hidden/1.jpg",
        ".DS_Store",
    )
    source = scan(make(tmp_path, *PLAIN, *clutter))
    assert source.paths == PLAIN
    assert source.ignored == ()


def test_other_files_and_loose_pictures_are_listed(tmp_path):
    others = ("LICENSE.txt", "cats/notes.txt", "cats/noname", "dogs/1.jpg.part", "loose.jpg")
    source = scan(make(tmp_path, *PLAIN, *others, "empty/", "texts/a.txt"))
    assert source.paths == PLAIN
    assert source.ignored == tuple(sorted((*others, "empty/", "texts/")))


def test_loose_files_in_split_folders_are_listed(tmp_path):
    source = scan(make(tmp_path, *SPLIT, "train/x.jpg", "test/labels.csv", "test/birds/"))
    assert source.ignored == ("test/birds/", "test/labels.csv", "train/x.jpg")


def test_pictures_that_cannot_be_decoded_here_still_count(tmp_path):
    odd = ("cats/a.HEIC", "cats/b.jp2", "cats/c.svg", "cats/d.psd", "cats/e.ico")
    assert set(odd) <= set(scan(make(tmp_path, *PLAIN, *odd)).paths)


def test_links_are_followed_and_loops_end(tmp_path):
    root, elsewhere = (
        make(tmp_path / "root", *PLAIN),
        make(tmp_path / "far", "birds/1.jpg", "2.jpg"),
    )
    (root / "birds").symlink_to(elsewhere)
    (root / "cats/up").symlink_to(root)
    (root / "cats/self").symlink_to(root / "cats")
    (root / "dogs/inner").mkdir()
    (root / "dogs/inner/back").symlink_to(root / "dogs/inner")
    (root / "cats/circle").symlink_to("circle")  # leads nowhere, not even to a folder
    (root / "dogs/circle.jpg").symlink_to("circle.jpg")
    source = scan(root)
    found = {*PLAIN, "birds/2.jpg", "birds/birds/1.jpg", "dogs/circle.jpg"}
    assert set(source.paths) == found
    assert source.ignored == ("cats/circle", "cats/self/", "cats/up/", "dogs/inner/back/")


def test_a_dangling_link_counts_and_a_pipe_does_not(tmp_path):
    make(tmp_path, *PLAIN)
    (tmp_path / "cats/3.jpg").symlink_to(tmp_path / "nowhere.jpg")
    os.mkfifo(tmp_path / "cats/4.jpg")
    source = scan(tmp_path)
    assert "cats/3.jpg" in source.paths
    assert source.ignored == ("cats/4.jpg",)


def test_missing_folder(tmp_path):
    with pytest.raises(InputError, match=r"nowhere does not exist: check the path"):
        scan(tmp_path / "nowhere")


def test_a_file_of_another_kind(tmp_path):
    make(tmp_path, "pets.doc")
    with pytest.raises(InputError, match=r"zip or .tar file, .* .*pets.doc is another"):
        scan(tmp_path / "pets.doc")


def test_the_home_folder_and_file_urls(tmp_path, monkeypatch):
    make(tmp_path / "my pets", *PLAIN)
    monkeypatch.setenv("HOME", str(tmp_path))
    source = scan("~/my pets")
    assert source.location == str(tmp_path / "my pets") == resolve_location("~/my pets")
    assert scan(f"file://{tmp_path}/my%20pets").paths == source.paths


def test_a_folder_that_cannot_be_listed(tmp_path, monkeypatch):
    make(tmp_path, *PLAIN)
    real = os.scandir

    def scandir(folder):
        if folder.name == "dogs":
            raise PermissionError(13, "Permission denied")
        return real(folder)

    monkeypatch.setattr("pipeline.images.walk.os.scandir", scandir)
    with pytest.raises(InputError, match=r"dogs cannot be listed \(Permission denied\): make it"):
        scan(tmp_path)


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (
            (),
            "expected pictures in class folders in .* received none: lay them out as ROOT/<class>",
        ),
        (("cats/a.txt", "dogs/"), "expected pictures in class folders in .* received none"),
        (
            ("cats/1.dcm", "cats/2.DCM", "dogs/3.dcm", "dogs/notes.npy", "a.txt", "b.txt"),
            "received 3 .dcm files, e.g. cats/1.dcm, of a format that is not read here: convert",
        ),
        (("cats/1.nii.gz",), "received 1 .nii.gz file, e.g. cats/1.nii.gz, of a format that is"),
        (("cats/1", "dogs/2"), "expected pictures in class folders in .* received none"),
        (("cat0.jpg", "dog0.jpg"), r"received 2 pictures without any, e.g. cat0.jpg: lay them"),
        (PLAIN[:2], "two classes or more in .* received only 'cats': add pictures of another"),
        (
            (*PLAIN, "rats/1.jpg"),
            "two pictures or more of every class in .* received one of 'rats'",
        ),
        ((*SPLIT, "birds/1.jpg"), "'test', 'train' are splits by name and 'birds' is not"),
        (
            (*SPLIT, "test/rats/1.jpg"),
            "every test class in train too, but 'rats' .* add train/rats/",
        ),
        ((*SPLIT, "val/rats/1.jpg"), "every validation class in train too, but 'rats'"),
        (SPLIT[4:], r"expected a train split with pictures in .* beside \['test'\]"),
        ((*SPLIT[4:], "train/cats/"), r"expected a train split with pictures"),
        (
            (*PLAIN, "Cats/1.jpg", "Cats/2.jpg"),
            "'Cats' and 'cats' in .* differ only by case, space",
        ),
        ((*PLAIN, "dogs /1.jpg", "dogs /2.jpg"), "'dogs' and 'dogs ' in .* differ only by case"),
        ((*SPLIT, "train/x/1.jpg", "train/X/1.jpg"), "'X' and 'x' in .* differ only by case"),
        (
            (*SPLIT, "val/cats/1.jpg", "valid/cats/1.jpg"),
            "'val', 'valid' are all validation folders",
        ),
        (
            (*SPLIT[:4], "test/1.jpg"),
            r"expected class folders in .*test, received .* test/1.jpg: mo",
        ),
    ],
)
def test_layouts_that_nothing_can_be_learnt_from(tmp_path, paths, message):
    with pytest.raises(DataError, match=message):
        scan(make(tmp_path, *paths))


def test_class_names_in_two_unicode_forms(tmp_path):
    names = [unicodedata.normalize(form, "café") for form in ("NFC", "NFD")]
    paths = [f"{name}/{number}.jpg" for name in names for number in (1, 2)]
    with pytest.raises(DataError, match="differ only by case, space or Unicode form"):
        scan(make(tmp_path, *PLAIN, *paths))
