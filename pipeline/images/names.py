"""What the name of a file or folder says: a picture, a split, clutter, a path that leads astray."""

import posixpath

_DECODED = "jpg jpeg jpe jfif jif mpo png apng webp gif tif tiff bmp dib avif avifs"
# Pictures too, though nothing here decodes them: to be reported with a reason, not dropped.
_FOREIGN = (
    "jp2 j2k jpx jpf jpc jxl heic heif hif ico cur icns svg psd xcf eps tga pcx pbm pgm ppm pnm "
    "hdr exr dds qoi raw dng cr2 cr3 nef arw orf rw2 raf"
)
PICTURE_SUFFIXES = frozenset(f"{_DECODED} {_FOREIGN}".split())
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
