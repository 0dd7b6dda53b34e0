"""The files that the paths of a table mean."""

import os
import unicodedata

import pytest

from pipeline.config import DataConfig
from pipeline.errors import InputError
from pipeline.images import index, scan
from pipeline.images.tables.paths import PathFinder
from tests.images.tables.written import LABELS, NAMES, put, text_of

IN = tuple(f"images/{name}" for name in NAMES)


def read(folder, paths, files=IN, labels=LABELS, name="t.csv", **settings):
    text = text_of(("path", "label"), paths, labels)
    return scan(put(folder, text, *files, name=name), DataConfig(**settings))


WRITTEN = {
    "as they are": "images/{}",
    "bare names": "{}",
    "other slashes": "images\\{}",
    "Windows": "C:\\Users\\me\\images\\{}",
    "another machine": "/kaggle/input/x/images/{}",
    "a folder above": "../input/images/{}",
    "a folder more": "t/images/{}",
    "a file URL": "file:///home/me/images/{}",
    "an address": "https://host.org/images/{}?w=300",
    "another home": "~/old/images/{}",
    "case": "Images/{}",
}


@pytest.mark.parametrize("how", WRITTEN)
def test_paths_that_mean_one_file(tmp_path, how):
    paths = [WRITTEN[how].format(name.upper() if how == "case" else name) for name in NAMES]
    source = read(tmp_path, paths)
    assert (source.paths, source.labels, source.unreadable) == (IN, LABELS, {})
    assert [source.files.read(path) for path in source.paths] == [path.encode() for path in IN]


def test_the_home_folder_and_file_urls(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read(tmp_path, [f"~/{path}" for path in IN]).paths == IN
    assert read(tmp_path, [f"file://{tmp_path}/{path}" for path in IN]).paths == IN


def test_names_without_suffix(tmp_path):
    stems = [name.removesuffix(".jpg") for name in NAMES]
    assert read(tmp_path, stems, (*IN, "notes/0.txt")).paths == IN
    files = [f"{label}/{stem[0]}.JPG" for label, stem in zip(LABELS, "012012", strict=True)]
    paths = [file.removesuffix(".JPG") for file in files]
    assert read(tmp_path / "b", paths, files).paths == tuple(files)


def test_below_a_folder_of_its_own(tmp_path):
    files = [f"unpacked/images/{name}" for name in NAMES]
    paths = [f"/kaggle/input/x/images/{name}" for name in NAMES]
    assert read(tmp_path, paths, files).paths == tuple(files)


def test_escaped_and_decomposed_names(tmp_path):
    files = tuple(f"images/my café {name}" for name in NAMES)
    escaped = [file.replace(" ", "%20") for file in files]
    assert read(tmp_path, escaped, files).paths == files
    assert (
        read(tmp_path, [unicodedata.normalize("NFD", path) for path in files], files).paths == files
    )


def test_many_paths_are_looked_for_by_folder(tmp_path):
    names = [f"images/{number}.jpg" for number in range(50)]
    labels = [LABELS[number % 6] for number in range(50)]
    source = read(tmp_path, [*names[:-1], "49.jpg"], names, labels)
    assert set(source.paths) == set(names)


def test_two_files_fit(tmp_path):
    files = (*IN, *(f"masks/{name}" for name in NAMES))
    with pytest.raises(InputError, match=r"several fit 6 of 6, e.g. 'images/0.jpg', 'masks/0.jpg'"):
        read(tmp_path, NAMES, files)
    with pytest.raises(
        InputError, match=rf"--root {tmp_path}/images or --root {tmp_path}/masks, o"
    ):
        read(tmp_path, NAMES, files)
    source = read(tmp_path, NAMES, files, root=str(tmp_path / "masks"))
    assert source.paths == NAMES
    assert source.files.read("0.jpg") == b"masks/0.jpg"


def test_a_root_is_offered_where_it_decides(tmp_path):
    both = [f"{folder}/{name}" for folder in "ab" for name in NAMES]
    with pytest.raises(InputError, match=rf"with --root {tmp_path}/1/a, or write the folders int"):
        read(tmp_path / "1", NAMES, both[:-1])
    with pytest.raises(
        InputError, match=r"\(row 3\): write the folders into the paths, such as a/1"
    ):
        read(tmp_path / "2", NAMES, both[1:-1])
    with pytest.raises(
        InputError, match=r"\(row 2\): write the folders into the paths, such as a/0"
    ):
        read(tmp_path / "3", NAMES * 2, both, ["a"] * 6 + ["b"] * 6)
    roots = f"with --root {tmp_path}/4/a/x or --root {tmp_path}/4/b/x, or"
    with pytest.raises(InputError, match=roots):
        read(tmp_path / "4", [f"x/{n}" for n in NAMES], [f"{c}/x/{n}" for c in "ab" for n in NAMES])


@pytest.mark.parametrize(
    ("path", "fits"),
    [
        ("/k/p1/image.png", ("p1/image.png",)),
        ("/k/p1/scan/image.png", ("p1/scan/image.png",)),
        ("/k/p3/scan/image.png", ("p1/scan/image.png", "p2/scan/image.png")),
        ("k/p3/scan/image.png", ()),
        ("/k/p3/image.png", ()),
        ("image", ("p1/image.png", "p1/scan/image.png", "p2/image.png", "p2/scan/image.png")),
        ("p2/scan/image", ("p2/scan/image.png",)),
        ("p2/IMAGE.png", ("p2/image.png",)),
    ],
)
def test_files_that_share_a_name(tmp_path, path, fits):
    put(
        tmp_path,
        "",
        *(f"{p}/{name}" for p in ("p1", "p2") for name in ("image.png", "scan/image.png")),
    )
    assert tuple(PathFinder(str(tmp_path)).fits(path)) == fits


def test_two_suffixes_fit(tmp_path):
    stems = [name.removesuffix(".jpg") for name in NAMES]
    files = (*IN, *(f"images/{stem}.png" for stem in stems))
    with pytest.raises(
        InputError, match=r"several fit 6 .*write names with their suffix into the t"
    ):
        read(tmp_path, stems, files)


@pytest.mark.parametrize(
    ("paths", "files", "message"),
    [
        ([f"test/{n}" for n in NAMES], [f"train/{n}" for n in NAMES], "is called train/0.jpg: say"),
        ([f"/a/test/x/{n}" for n in NAMES], [f"train/x/{n}" for n in NAMES], "6 of 6 are not the"),
        ([f"images/{n}" for n in NAMES], [f"pictures/{n}" for n in NAMES], "6 of 6 are not there"),
        (
            NAMES,
            ["images/x.jpeg"],
            r"e.g. '0.jpg' \(row 2\), '1.jpg' \(row 3\), '2.jpg' \(row 4\);",
        ),
        (NAMES, ["images/x.jpeg"], "what is there is called images/x.jpeg: .* with --root DIR, or"),
        (NAMES, [], "there is no picture below .*: .* mend the column 'path'"),
    ],
)
def test_paths_that_mean_nothing(tmp_path, paths, files, message):
    with pytest.raises(InputError, match=f"expected the pictures of .*t.csv below .*{message}"):
        read(tmp_path, paths, files)


def test_a_root_of_another_split(tmp_path):
    files = [f"train/{name}" for name in NAMES]
    assert read(tmp_path, files, files, root=str(tmp_path / "train")).paths == NAMES
    with pytest.raises(InputError, match="6 of 6 are not there"):
        read(tmp_path, [f"test/{name}" for name in NAMES], files, root=str(tmp_path / "train"))


def test_two_paths_do_not_mean_one_file(tmp_path):
    paths = [f"{split}/{name}" for split in ("train", "test") for name in NAMES]
    with pytest.raises(
        InputError, match=r"12 of 12 are not there, .*several paths would mean 0.jpg"
    ):
        read(tmp_path, paths, NAMES, LABELS * 2)
    source = read(tmp_path / "b", [*IN, "0.jpg"], labels=[*LABELS, "cat"])
    assert source.unreadable == {
        "0.jpg": "No such file or directory; images/0.jpg is another row's (row 8)"
    }


def test_two_spellings_of_one_path_are_one_picture(tmp_path):
    assert read(tmp_path, [*IN, "images\\0.jpg"], labels=[*LABELS, "cat"]).paths == IN


def test_a_few_that_are_gone(tmp_path):
    files = (*IN[:5], "images/cat_001.jpg")
    paths = [*NAMES[:5], "cat_01.jpg", "zebra.jpg"]
    dataset = index(put(tmp_path, text_of(("path", "label"), paths, [*LABELS, "dog"]), *files))
    assert dict(dataset.unreadable) == {
        "cat_01.jpg": "No such file or directory; nearest: images/cat_001.jpg (row 7)",
        "zebra.jpg": "No such file or directory (row 8)",
    }


def test_more_rows_than_pictures_are_left_out_where_the_root_is_typed(tmp_path):
    paths = [*NAMES, *(f"gone{number}.jpg" for number in range(12))]
    with pytest.raises(
        InputError, match=f"12 of 18 .* leave these rows out with --root {tmp_path},"
    ):
        read(tmp_path, paths, NAMES, LABELS * 3)
    dataset = index(tmp_path / "t.csv", DataConfig(root=str(tmp_path)))
    assert (len(dataset), len(dataset.unreadable)) == (6, 12)
    with pytest.raises(InputError, match="18 of 18 are not there") as raised:
        read(tmp_path / "b", paths, ["x/y.jpg"], LABELS * 3, root=str(tmp_path / "b"))
    assert "leave these rows out" not in str(raised.value)


def test_a_root_is_proposed_where_the_paths_begin(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=f"with --root {tmp_path}, or mend"):
        read(tmp_path, IN, name="labels/t.csv")
    source = read(tmp_path, IN, name="labels/t.csv", root=str(tmp_path))
    assert source.paths == IN
    monkeypatch.chdir(tmp_path)
    assert read(tmp_path, NAMES, name="labels/t.csv", root="images").paths == NAMES


def test_a_root_that_is_no_folder(tmp_path):
    with pytest.raises(
        InputError, match=r"received root='.*/nowhere', which is none: check the path"
    ):
        read(tmp_path, IN, root=str(tmp_path / "nowhere"))


def test_a_root_behind_a_url(tmp_path):
    memory = pytest.importorskip("fsspec").filesystem("memory")
    for path in IN:
        memory.pipe_file(f"/far/{path}", path.encode())
    dataset = index(
        put(tmp_path, text_of(("path", "label"), IN, LABELS)), DataConfig(root="memory://far")
    )
    assert dataset.read(0) == b"images/0.jpg"
    memory.pipe_file("/tables/t.csv", text_of(("path", "label"), NAMES, LABELS).encode())
    put(tmp_path, "", *IN)
    near = index("memory://tables/t.csv", DataConfig(root=str(tmp_path)))
    assert near.paths == IN
    assert near.read(0) == b"images/0.jpg"
    memory.rm("/", recursive=True)


def test_links_and_folders_that_cannot_be_listed(tmp_path):
    put(tmp_path / "far", "", *NAMES)
    (tmp_path / "here").mkdir()
    os.symlink(tmp_path / "far", tmp_path / "here" / "images")
    os.symlink(tmp_path / "here", tmp_path / "here" / "again")
    assert read(tmp_path / "here", NAMES, ()).paths == IN


def test_a_byte_of_a_name_that_is_written_out_is_one_where_only_that_is_there(tmp_path):
    odd = os.fsdecode(b"images/caf\xe9.png")
    paths = [r"images/caf\xe9.png", *IN[1:]]
    assert odd in read(tmp_path / "a", paths, (odd, *IN[1:])).paths
    both = read(tmp_path / "b", paths, (odd, paths[0], *IN[1:]))
    assert paths[0] in both.paths
    assert odd not in both.paths
