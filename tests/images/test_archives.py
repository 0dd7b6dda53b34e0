"""Pictures inside .zip and .tar files."""

import io
import logging
import os
import shutil
import struct
import tarfile
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.config import DataConfig
from pipeline.errors import DataError, InputError
from pipeline.images import find_pictures, index, scan
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


def test_what_cannot_be_read_is_no_picture(tmp_path, monkeypatch):
    make_tar(tmp_path / "a.tar", (*PLAIN, "cats/unknown"))

    def fails(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("pipeline.images.archives.os.pread", fails)
    assert scan(tmp_path / "a.tar").paths == PLAIN


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


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_compression_is_read(tmp_path, compression):
    dataset = index(make_zip(tmp_path / "pets.zip", PLAIN, compression))
    assert [dataset.read(row) for row in range(4)] == [name.encode() * 50 for name in PLAIN]


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_bombs_of_other_compressions(tmp_path, compression):
    path = make_zip(tmp_path / "pets.zip", PLAIN)
    with zipfile.ZipFile(path, "a", compression) as archive:
        archive.writestr("cats/bomb.jpg", bytes(50_000_000))
    content = path.read_bytes()
    at = content.rindex(b"PK\1\2")
    path.write_bytes(content[: at + 24] + (1000).to_bytes(4, "little") + content[at + 28 :])
    ((name, reason),) = index(path).unreadable
    assert (name, reason[:22]) == ("cats/bomb.jpg", "damaged in the archive")


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED])
def test_damage_within_a_compressed_member(tmp_path, compression):
    path = make_zip(tmp_path / "pets.zip", PLAIN, compression)
    content = bytearray(path.read_bytes())
    at = content.index(b"cats/1.jpg") + 20
    content[at : at + 4] = bytes(255 - value for value in content[at : at + 4])
    path.write_bytes(content)
    ((name, reason),) = index(path).unreadable
    assert (name, reason[:22]) == ("cats/1.jpg", "damaged in the archive")


def raw_zip(path, members, flags=0, extra=lambda name: b""):
    """Write an archive of stored members, whose names are bytes, as zipfile never would."""
    body, directory = b"", b""
    for name, content in members:
        sizes = struct.pack("<III", zlib.crc32(content), len(content), len(content))
        more = extra(name)
        lengths = struct.pack("<HH", len(name), len(more))
        start = struct.pack("<HHHHH", 20, flags, 0, 0, 33)
        where = struct.pack("<HHHII", 0, 0, 0, 0, len(body))
        directory += b"PK\1\2" + b"\x14\0" + start + sizes + lengths + where + name + more
        body += b"PK\3\4" + start + sizes + lengths + name + more + content
    counts = struct.pack("<HHHHIIH", 0, 0, *[len(members)] * 2, len(directory), len(body), 0)
    path.write_bytes(body + directory + b"PK\5\6" + counts)
    return path


def members(cats="cats", dogs="dogs", encoding="utf-8", slash="/"):
    names = [name.replace("cats", cats).replace("dogs", dogs) for name in PLAIN]
    return [(name.replace("/", slash).encode(encoding), name.encode()) for name in names]


def test_names_with_the_slash_of_windows(tmp_path):
    folders = [(b"pets\\", b""), (b"pets\\cats\\", b"")]
    named = [(b"pets\\" + name, content) for name, content in members(slash="\\")]
    source = scan(raw_zip(tmp_path / "pets.zip", [*folders, *named]))
    assert source.paths == tuple(f"pets/{name}" for name in PLAIN)
    assert set(source.labels) == {"cats", "dogs"}
    assert source.ignored == ()
    tar = make_tar(tmp_path / "pets.tar", [name.replace("/", "\\") for name in PLAIN])
    assert scan(tar).paths == PLAIN


def unicode_path(name):
    text = name.decode("shift_jis").encode()
    return struct.pack("<HHBI", 0x7075, 5 + len(text), 1, zlib.crc32(name)) + text


@pytest.mark.parametrize(
    ("options", "extra"),
    [
        ({"flags": 0x800}, {}),
        ({}, {}),
        ({"extra": unicode_path}, {"encoding": "shift_jis"}),
        ({"extra": lambda name: b"UT\1\0x" + unicode_path(name)}, {"encoding": "shift_jis"}),
    ],
    ids=["flag", "no flag", "unicode path", "after another field"],
)
def test_names_beyond_ascii(tmp_path, caplog, options, extra):
    path = raw_zip(tmp_path / "pets.zip", members("猫", "表示", **extra), **options)
    assert set(scan(path).labels) == {"猫", "表示"}
    assert not caplog.records


@pytest.mark.parametrize(
    ("encoding", "labels"),
    [
        ("cp437", {"Äffchen", "dogs"}),
        ("cp1252", {"─ffchen", "dogs"}),
    ],
)
def test_names_in_an_old_code_page_are_told(tmp_path, caplog, encoding, labels):
    path = raw_zip(tmp_path / "pets.zip", members("Äffchen", encoding=encoding))
    assert set(scan(path).labels) == labels
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "not UTF-8, e.g. " in record.getMessage()


def test_half_a_character_is_no_slash(tmp_path):
    """The second byte of 表 in Shift JIS is that of the slash of Windows."""
    source = scan(raw_zip(tmp_path / "pets.zip", members("表", encoding="shift_jis")))
    assert {path.count("/") for path in source.paths} == {1}
    assert len(set(source.labels)) == 2


@pytest.mark.parametrize("again", ["cats/1.jpg", "./cats/1.jpg", "cats//1.jpg", "cats\\1.jpg"])
def test_a_name_that_occurs_twice(tmp_path, caplog, again):
    same, other = members()[0][1], b"another"
    named = [*members(), (again.encode(), same)]
    assert scan(raw_zip(tmp_path / "same.zip", named)).paths == PLAIN
    (record,) = caplog.records
    assert "1 file is in " in record.getMessage()
    named = [*members(), (again.encode(), other)]
    with pytest.raises(InputError, match=r"every name once in .*received 'cats/1.jpg' more than"):
        scan(raw_zip(tmp_path / "other.zip", named))


def test_a_name_that_occurs_twice_in_a_tar(tmp_path, caplog):
    same = make_tar(tmp_path / "same.tar", [*PLAIN, f"./{PLAIN[0]}"])
    with tarfile.open(same, "a") as archive:  # what differs is its name alone
        add(archive, PLAIN[0], f"./{PLAIN[0]}".encode() * 50)
    with pytest.raises(InputError, match="more than once with different contents"):
        scan(same)
    path = make_tar(tmp_path / "pets.tar", [*PLAIN, PLAIN[0], PLAIN[1]])
    assert scan(path).paths == PLAIN
    assert "2 files are in " in caplog.text


def test_other_files_may_occur_twice(tmp_path, caplog):
    named = [*members(), (b"readme.txt", b"1"), (b"readme.txt", b"2")]
    assert scan(raw_zip(tmp_path / "pets.zip", named)).paths == PLAIN
    assert not caplog.records


def test_an_archive_with_a_password(tmp_path):
    path = raw_zip(tmp_path / "pets.zip", members(), flags=1)
    with pytest.raises(InputError, match=r"whose pictures are encrypted: unpack it with its"):
        scan(path)


def test_a_volume_of_several(tmp_path):
    path = raw_zip(tmp_path / "pets.zip", members())
    content = path.read_bytes()
    path.write_bytes(content[50:-18] + b"\2\0" + content[-16:])
    with pytest.raises(InputError, match=r"\(it is one of several volumes\): unpack all of"):
        scan(path)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.zip", b"Rar!\x1a\x07\1\0", r"\(by its content it is RAR\): unpack it, and give"),
        ("a.zip", b"<!doctype HTML><p>Sign in", r"\(by its content it is HTML\): fetch it again"),
        ("a.tar", b"\x1f\x8b\x08\0", r"\(by its content it is gzip\): unpack it, and give"),
        ("a.tar", b"PK\3\4", r"\(by its content it is ZIP\): unpack it, and give"),
        ("a.rar", b"", r"received .*a.rar, an archive or a part of one that is not read here: unp"),
        ("a.7z", b"", r"received .*a.7z, an archive or a part of one"),
        ("a.z01", b"", r"received .*a.z01, an archive or a part of one"),
        ("a.zip.002", b"", r"received .*a.zip.002, an archive or a part of one"),
        ("train-images-idx3-ubyte.gz", b"", r"an archive or a part of one"),
    ],
)
def test_archives_that_are_not_read(tmp_path, name, content, told):
    (tmp_path / name).write_bytes(content and content + bytes(600))
    with pytest.raises(InputError, match=told):
        scan(tmp_path / name)
    with pytest.raises(InputError, match=told):
        find_pictures([tmp_path / name])


@pytest.mark.parametrize("inner", ["train.zip", "dogs-vs-cats/train.zip", "cats/more.tar.gz"])
def test_archives_inside(tmp_path, inner):
    told = rf"received archives in it, '{inner}', and no picture beside them: unpack them"
    (tmp_path / "pets" / inner).parent.mkdir(parents=True)
    shutil.copy(make_zip(tmp_path / "train.zip", PLAIN), tmp_path / "pets" / inner)
    (tmp_path / "pets" / "sampleSubmission.csv").write_text("id,label")
    names = [inner, "sampleSubmission.csv"]
    packed = make_zip(tmp_path / "pets.zip", names), make_tar(tmp_path / "pets.tar", names)
    for place in (tmp_path / "pets", *packed):
        with pytest.raises(DataError, match=told):
            scan(place)
        with pytest.raises(DataError, match=told):
            find_pictures([place])


def test_archives_beside_pictures_are_ignored(tmp_path):
    source = scan(make_zip(tmp_path / "pets.zip", [*PLAIN, "more.zip"]))
    assert (source.paths, source.ignored) == (PLAIN, ("more.zip",))
