"""Pictures inside .zip and .tar files."""

import io
import os
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.config import DataConfig
from pipeline.errors import DataError, InputError
from pipeline.images import index, scan
from pipeline.images.files import MAX_BYTES
from tests.images.test_patterns import KAGGLE
from tests.images.test_sources import PLAIN, SPLIT


def make_zip(path, names, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name in names:
            archive.writestr(name, name.encode() * 50)
    return path


def make_tar(path, names):
    with tarfile.open(path, "w") as archive:
        for name in names:
            add(archive, name, name.encode() * 50)
    return path


def add(archive, name, content=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    archive.addfile(info, io.BytesIO(content))


MAKERS = pytest.mark.parametrize(
    ("name", "make"), [("pets.zip", make_zip), ("pets.tar", make_tar), ("PETS.ZIP", make_zip)]
)


@MAKERS
@pytest.mark.parametrize("names", [PLAIN, SPLIT])
@pytest.mark.parametrize("top", ["", "./", "My pets/"])
def test_layouts_inside(tmp_path, name, make, names, top):
    clutter = ("__MACOSX/cats/._1.jpg", ".hidden/1.jpg", f"{top}cats/.DS_Store")
    path = make(tmp_path / name, [f"{top}{inner}" for inner in (*reversed(names), *clutter)])
    source = scan(path)
    prefix = top.removeprefix("./")
    assert source.paths == tuple(sorted(f"{prefix}{inner}" for inner in names))
    assert set(source.labels) == {"cats", "dogs"}
    assert set(source.splits) == ({None} if names == PLAIN else {"train", "test"})
    assert source.ignored == ()
    assert (source.location, source.name) == (str(path), path.stem)
    dataset = index(path)
    assert dataset.read(0) == f"{top}{source.paths[0].removeprefix(prefix)}".encode() * 50
    assert sorted(tmp_path.iterdir()) == [path]


@MAKERS
@pytest.mark.parametrize("top", ["", "train/", "pets/"])
def test_numbered_names_inside(tmp_path, name, make, top):
    source = scan(make(tmp_path / name, [f"{top}{inner}" for inner in KAGGLE]))
    assert source.labels == ("cat",) * 4 + ("dog",) * 4


def test_a_pattern_inside(tmp_path):
    names = [f"all/{number}-{label}.jpg" for label in ("cat", "dog") for number in (1, 2)]
    source = scan(make_zip(tmp_path / "pets.zip", names), DataConfig(label_pattern="{}-{label}"))
    assert source.labels == ("cat", "dog", "cat", "dog")


def test_one_folder_of_pictures_is_no_wrapping(tmp_path):
    with pytest.raises(DataError, match=r"received only 'cats': add pictures of another class"):
        scan(make_zip(tmp_path / "pets.zip", PLAIN[:2]))


@MAKERS
def test_other_files_and_names_that_lead_outside_are_listed(tmp_path, name, make):
    odd = ("../evil.jpg", "cats/../../evil.jpg", "/etc/evil.jpg")
    source = scan(make(tmp_path / name, [*PLAIN, *odd, "readme.txt", "cats/notes.txt", "x.jpg"]))
    assert source.paths == PLAIN
    assert {"readme.txt", "cats/notes.txt", "x.jpg"} < set(source.ignored)
    assert [path for path in source.ignored if "evil" in path]


def test_many_threads_read_a_zip(tmp_path):
    names = [f"{label}/{number}.jpg" for label in ("a", "b") for number in range(300)]
    for name, make in (("x.zip", make_zip), ("x.tar", make_tar)):
        dataset = index(make(tmp_path / name, names))
        with ThreadPoolExecutor(8) as pool:
            contents = list(pool.map(dataset.read, list(range(600)) * 3))
        assert contents == [path.encode() * 50 for path in dataset.paths] * 3


def test_members_that_cannot_be_read_are_reported(tmp_path):
    path = make_zip(tmp_path / "pets.zip", [*PLAIN, "cats/bad.jpg", "cats/locked.jpg"], 0)
    content = bytearray(path.read_bytes())
    content[content.index(b"cats/bad.jpg" * 50) + 99] ^= 1
    for signature, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        start = 0
        while (start := content.find(signature, start)) >= 0:
            name_at = start + (30 if flags == 6 else 46)
            if content[name_at:].startswith(b"cats/locked.jpg"):
                content[start + flags] |= 1
            start += 4
    path.write_bytes(content)
    assert dict(index(path).unreadable) == {
        "cats/bad.jpg": "damaged in the archive: Bad CRC-32 for file 'cats/bad.jpg'",
        "cats/locked.jpg": "encrypted in the archive",
    }


def test_members_that_claim_too_much_are_not_read(tmp_path):
    path = make_zip(tmp_path / "pets.zip", [*PLAIN, "cats/huge.jpg"])
    content = path.read_bytes()
    at = content.rindex(b"PK\1\2")
    huge = (MAX_BYTES + 1).to_bytes(4, "little")
    path.write_bytes(content[: at + 24] + huge + content[at + 28 :])
    ((name, reason),) = index(path).unreadable
    assert name == "cats/huge.jpg"
    assert reason == "too large in the archive: 1,073,741,825 bytes, at most 1,073,741,824"


def test_a_bomb_is_read_no_further_than_it_claims(tmp_path):
    path = tmp_path / "pets.zip"
    make_zip(path, PLAIN)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cats/bomb.jpg", bytes(50_000_000))
    content = path.read_bytes()
    at = content.rindex(b"PK\1\2")
    path.write_bytes(content[: at + 24] + (10).to_bytes(4, "little") + content[at + 28 :])
    ((name, reason),) = index(path).unreadable
    assert (name, reason[:22]) == ("cats/bomb.jpg", "damaged in the archive")


def test_links_and_other_things_in_a_tar(tmp_path):
    path = make_tar(tmp_path / "pets.tar", PLAIN)
    with tarfile.open(path, "a") as archive:
        add(archive, "cats/hard.jpg", type=tarfile.LNKTYPE, linkname="dogs/1.jpg")
        add(archive, "cats/soft.jpg", type=tarfile.SYMTYPE, linkname="../dogs/2.jpg")
        add(archive, "cats/gone.jpg", type=tarfile.SYMTYPE, linkname="../../secret.jpg")
        add(archive, "cats/self.jpg", type=tarfile.SYMTYPE, linkname="self.jpg")
        add(archive, "cats/pipe.jpg", type=tarfile.FIFOTYPE)
    dataset = index(path)
    assert dict(dataset.unreadable) == {
        "cats/gone.jpg": "a link to what is not in the archive",
        "cats/pipe.jpg": "no file in the archive",
        "cats/self.jpg": "a link to itself in the archive",
    }
    by_path = {path: dataset.read(row) for row, path in enumerate(dataset.paths)}
    assert by_path["cats/hard.jpg"] == by_path["dogs/1.jpg"]
    assert by_path["cats/soft.jpg"] == by_path["dogs/2.jpg"]


def test_a_huge_member_of_a_tar(tmp_path):
    path = make_tar(tmp_path / "pets.tar", PLAIN)
    size = MAX_BYTES + 1
    info = tarfile.TarInfo("cats/huge.jpg")
    info.size = size
    with path.open("r+b") as file:
        file.truncate(len(PLAIN) * 1024)
        file.seek(0, os.SEEK_END)
        file.write(info.tobuf())
        file.truncate(file.tell() + (size + 511) // 512 * 512 + 1024)  # a hole takes no disk
    ((name, reason),) = index(path).unreadable
    assert name == "cats/huge.jpg"
    assert reason.startswith("too large in the archive")


@pytest.mark.parametrize("name", ["pets.zip", "pets.tar"])
@pytest.mark.parametrize("content", [b"", b"nonsense" * 400])
def test_what_is_no_archive(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=r"expected a .\w+ file, received .*pets.* cannot be read"):
        scan(tmp_path / name)


def test_a_tar_that_is_cut_short_or_damaged(tmp_path):
    content = make_tar(tmp_path / "pets.tar", PLAIN).read_bytes()
    (tmp_path / "pets.tar").write_bytes(content[: 3 * 1024 + 700])
    with pytest.raises(InputError, match=r"cannot be read as one \(unexpected end of data\): make"):
        scan(tmp_path / "pets.tar")
    (tmp_path / "pets.tar").write_bytes(content[:2048] + b"x" * 512 + content[2560:])
    with pytest.raises(InputError, match="damaged after 2 files"):
        scan(tmp_path / "pets.tar")


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tgz", "A.TAR.BZ2", "a.tar.xz", "a.tar.zst"])
def test_compressed_tar_files(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(
        InputError, match=r"read in place, received .*: a compressed .tar has to be"
    ):
        scan(tmp_path / name)


def test_an_empty_archive(tmp_path):
    with pytest.raises(DataError, match=r"expected pictures in class folders in .*pets.zip"):
        scan(make_zip(tmp_path / "pets.zip", []))


def test_a_folder_called_like_an_archive(tmp_path):
    for inner in PLAIN:
        (tmp_path / "pets.zip" / inner).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pets.zip" / inner).write_text(inner)
    assert scan(tmp_path / "pets.zip").paths == PLAIN
