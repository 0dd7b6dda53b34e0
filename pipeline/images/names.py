"""What the name of a file or folder says: a picture, a split, clutter, a path that leads astray."""

import posixpath
import re

_DECODED = (
    "jpg jpeg jpe jfif jif mpo png apng webp gif tif tiff bmp dib avif avifs pbm pgm ppm pnm "
    "heic heics heif heifs hif"
)
# Pictures too, though nothing here decodes them: to be reported with a reason, not dropped.
_FOREIGN = (
    "jp2 j2k jpx jpf jpc jxl ico cur icns svg psd xcf eps tga pcx pam pfm "
    "hdr exr dds qoi raw dng cr2 cr3 nef arw orf rw2 raf"
)
PICTURE_SUFFIXES = frozenset(f"{_DECODED} {_FOREIGN}".split())
_PACKED = (
    "zip zipx tar gz tgz bz2 tbz tbz2 xz txz zst lz4 lzma z rar 7z cab ace arj lzh iso dmg cbz cbr"
)
# What is certainly no picture: such files are never opened to see what they are.
_OTHERS = (
    "txt csv tsv json jsonl ndjson xml yaml yml toml ini cfg conf log md rst html htm css js ts "
    "map py pyc pyi pyx ipynb sh bat ps1 c h cc cpp hpp cu java class jar go rs rb pl php r m mlx "
    "lua mat npy npz h5 hdf5 hdf keras pkl pickle joblib pt pth ckpt onnx tflite pb safetensors "
    "bin parquet feather arrow db sqlite sqlite3 sql mdb lmdb tfrecord tfrecords rec idx lst names "
    "data doc docx xls xlsx ppt pptx odt ods odp pdf rtf tex bib mp3 wav flac ogg m4a aac mp4 avi "
    "mov mkv webm mpg mpeg wmv flv m4v srt vtt stl obj ply off pcd las nii nrrd mha mhd dcm fits "
    "geojson shp shx dbf prj gpkg kml xmp aae thm lnk url exe dll so dylib lock part crdownload "
    f"torrent aria2 md5 sha1 sha256 sig asc {_PACKED}"
)
OTHER_SUFFIXES = frozenset(_OTHERS.split())
_ARCHIVES = frozenset(_PACKED.split())
_PART = re.compile(r"z\d\d|r\d\d|\d{3}")
# What programs put behind the name of a picture: 1.jpg?w=300, 1.jpg.1, 1.jpg:large, 1.jpg_large.
_TRAILED = re.compile(rf"\.({'|'.join(sorted(PICTURE_SUFFIXES))})([^\w/]|_)[^/]*", re.IGNORECASE)
# Leavings of operating systems; names that begin with a dot are hidden anyway.
CLUTTER = frozenset(("__macosx", "thumbs.db", "desktop.ini"))
SPLIT_NAMES = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}


def is_picture_name(name: str) -> bool:
    """Say whether the suffix of a file name is one that pictures have.

    >>> is_picture_name("Cat.JPG"), is_picture_name("cat.heic"), is_picture_name("notes.txt")
    (True, True, False)
    >>> is_picture_name(".jpg"), is_picture_name("jpg"), is_picture_name("cats.jpg/1")
    (False, False, False)
    """
    stem, _, suffix = name.rpartition(".")
    # A name of dots and a suffix alone is that of a hidden file.
    return suffix.lower() in PICTURE_SUFFIXES and stem.rpartition("/")[2].strip(".") != ""


def may_be_picture_name(name: str) -> bool:
    """Say whether a name leaves open if the file is a picture: no suffix, or one nobody knows.

    >>> may_be_picture_name("0001"), may_be_picture_name("1.jpg?w=300"), may_be_picture_name("1.b")
    (True, True, True)
    >>> may_be_picture_name("1.jpg"), may_be_picture_name("1.jpg.csv"), may_be_picture_name("a.z01")
    (False, False, False)
    """
    suffix = _suffix(name)
    known = suffix in PICTURE_SUFFIXES or suffix in OTHER_SUFFIXES
    return not suffix or not (known or _is_part(name, suffix))


def is_trailed_picture_name(name: str) -> bool:
    """Say whether the suffix of a picture stands in a name, and something else behind it.

    >>> is_trailed_picture_name("1.jpg?w=300"), is_trailed_picture_name("1.JPEG_large")
    (True, True)
    >>> is_trailed_picture_name("1.jpg"), is_trailed_picture_name("1.jpgs")
    (False, False)
    """
    return may_be_picture_name(name) and _TRAILED.search(posixpath.basename(name)) is not None


def is_archive_name(name: str) -> bool:
    """Say whether a name is that of an archive, a compressed file, or a part of one.

    >>> is_archive_name("train.zip"), is_archive_name("a.tar.gz"), is_archive_name("a.zip.001")
    (True, True, True)
    """
    suffix = _suffix(name)
    return suffix in _ARCHIVES or _is_part(name, suffix)


def _suffix(name: str) -> str:
    return posixpath.splitext(name)[1][1:].lower()


def _is_part(name: str, suffix: str) -> bool:
    """Say whether a file is one volume of an archive: a.z01, a.r00, a.zip.001, a.7z.002."""
    if not _PART.fullmatch(suffix):
        return False
    return suffix[0] in "zr" or _suffix(name[: -len(suffix) - 1]) in _ARCHIVES


def is_clutter(name: str) -> bool:
    """Say whether a file or folder is hidden, or left behind by an operating system."""
    return name.startswith(".") or name.lower() in CLUTTER


def inner_path(name: str) -> str | None:
    """Return the relative path that a name inside an archive means, or None if it leads outside.

    >>> inner_path("./cats//1.jpg"), inner_path("../1.jpg"), inner_path("/cats/1.jpg")
    ('cats/1.jpg', None, None)
    """
    if not name or name.startswith("/") or "\0" in name or ".." in name.split("/"):
        return None
    path = posixpath.normpath(name)
    return None if path == "." else path
