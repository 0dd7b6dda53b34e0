"""Say what a file is by its first bytes: a picture, or what no decoder accepts.

A reason that names what could be read is not for ever: see `is_settled`.
"""

import importlib.util
import io
import re
import struct
import zlib

from PIL import Image, TiffImagePlugin

from pipeline.system.units import counted

# In the order in which Pillow tries them; MPO comes in as JPEG.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "PPM")
READABLE = "JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF, PPM"
HEAD_BYTES = 512
"""As much of a file as is looked at here."""

# What Pillow's parsers let out when a file is malformed. MemoryError is absent on purpose: with
# the number of pixels bounded it speaks of the machine, not of the picture.
PILLOW_FAILURES = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    RuntimeError,  # libavif
    struct.error,
    zlib.error,
)
BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)

_DECODED = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"II+\x00": "TIFF",
    b"MM\x00+": "TIFF",
    b"BM": "BMP",
    **{b"P%d" % kind: "PPM" for kind in range(1, 7)},
}
_PICTURES = {
    b"\x00\x00\x00\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\x00\x00\x00\x0cJXL ": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"\x00\x00\x01\x00": "ICO",
    b"8BPS": "Photoshop",
    b"PF\n": "PFM",
    b"Pf\n": "PFM",
    b"P7\n": "PAM",
}
_FOREIGN = {
    **_PICTURES,
    b"%PDF": "PDF",
    b"%!PS": "PostScript",
    b"\xc5\xd0\xd3\xc6": "PostScript",
    b"PK\x03\x04": "ZIP",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"Rar!\x1a\x07": "RAR",
    b"7z\xbc\xaf\x27\x1c": "7z",
}
_MARKUP = {b"<svg": "SVG", b"<!doctype html": "HTML", b"<html": "HTML"}
_HEIC = ("heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs")
_BRANDS = {name.encode(): "HEIC" for name in _HEIC} | {b"mif1": "HEIF", b"msf1": "HEIF"}

_BEGINNINGS = (*_DECODED, *_PICTURES)
# Two letters do not make a picture: words begin so too.
_NETPBM = re.compile(rb"P[1-6fF7]\s+(#|ENDIAN|WIDTH|\d)")
_BITMAP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)

_NOT_READ = "files are not read here: convert to one of"
_UNKNOWN = "not a picture in a known format: expected one of"
_NEEDED = "files need the extra heic: pip install 'bottleneck-pipeline[heic]'"


def is_picture(head: bytes) -> bool:
    """Say whether a file that begins so is a picture, be it one that nothing here decodes.

    >>> is_picture(b"GIF89a..."), is_picture(b"BMW is a make of cars"), is_picture(b"%PDF-1.4")
    (True, False, False)
    """
    if head.startswith(b"BM"):
        return int.from_bytes(head[14:18], "little") in _BITMAP_HEADERS
    if head.startswith(b"P"):
        return _NETPBM.match(head) is not None
    if head[4:8] == b"ftyp":
        return head[8:12] in (*_BRANDS, b"avif", b"avis")
    return _is_webp(head) or head.startswith(_BEGINNINGS)


def foreign_kind(head: bytes) -> str | None:
    """Return what a file that begins so is, if it is in a known format that is not read here."""
    lower = head[:HEAD_BYTES].lower()
    markup = (name for mark, name in _MARKUP.items() if mark in lower)
    return _by_prefix(head, _FOREIGN) or next(markup, None)


def heif_kind(head: bytes) -> str | None:
    """Return ``"HEIC"`` or ``"HEIF"`` if a file that begins so says that it is one."""
    return _BRANDS.get(head[8:12]) if head[4:8] == b"ftyp" else None


def why_unidentified(data: bytes) -> str:
    """Return the reason why no decoder takes the content of a file, in a few words.

    >>> why_unidentified(b"")
    'the file is empty'
    >>> why_unidentified(b"8BPS....").partition(":")[0]
    'Photoshop files are not read here'
    """
    if not data:
        return "the file is empty"
    heif = heif_kind(data)
    if heif and not has_heif():
        return f"{heif} {_NEEDED}"
    if foreign := foreign_kind(data):
        return f"{foreign} {_NOT_READ} {READABLE}"
    avif = data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis")
    other = "WebP" if _is_webp(data) else "AVIF" if avif else heif
    known = other or _by_prefix(data, _DECODED)
    if known == "TIFF" and (pixels := _tiff_pixels(data)):
        interleaved = ", interleaved" if pixels.endswith(",") else ""
        return (
            f"TIFF with {pixels} is not read here: save as grey or RGB of 8 or 16 bits{interleaved}"
        )
    if known and (known != "PPM" or is_picture(data)):
        return f"damaged file: starts like {known}, but its header cannot be read"
    return f"{_UNKNOWN} {READABLE}"


def has_heif() -> bool:
    """Say whether the extra heic is installed."""
    return importlib.util.find_spec("pillow_heif") is not None


def is_settled(reason: str) -> bool:
    """Say whether a picture that was refused for a reason would be refused for it now.

    It would not where more formats are read now than were then, or an extra is there now.

    >>> is_settled("damaged file"), is_settled("PPM files are not read here: convert to one of GIF")
    (True, False)
    """
    if _NEEDED in reason:
        return not has_heif()
    listed = _NOT_READ in reason or _UNKNOWN in reason
    return not listed or reason.endswith(READABLE)


def _is_webp(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def _by_prefix(data: bytes, names: dict[bytes, str]) -> str | None:
    return next((name for prefix, name in names.items() if data.startswith(prefix)), None)


_BITS, _PHOTOMETRIC, _SAMPLES, _PLANAR, _SAMPLE_KIND = 258, 262, 277, 284, 339
_SEPARATE = 2
_MOST_VALUES = 1000
_KINDS = {2: "signed ", 3: "floating-point ", 5: "complex ", 6: "complex "}
# Of 16 bits: of 8 they are read.
_COLOURS = {0: "white-is-zero ", 6: "YCbCr ", 8: "CIELAB "}


def _tiff_pixels(data: bytes) -> str | None:
    """Say what a pixel of a TIFF is made of, where no picture for people is made of that.

    Returns:
        E.g. ``5 values of 16 bits a pixel``; None for the usual pixels, and of a damaged file.
    """
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(data[: 16 if data[2:3] == b"+" else 8])
        file = io.BytesIO(data)
        file.seek(tags.next)
        tags.load(file)
        n_values, bits = int(tags.get(_SAMPLES, 1)), max(tags.get(_BITS, (1,)))
        kind = _KINDS.get(tags.get(_SAMPLE_KIND, (1,))[0], "")
        if bits == 16:
            kind += _COLOURS.get(tags.get(_PHOTOMETRIC, -1), "")
        apart = ", each in a plane of its own," if tags.get(_PLANAR) == _SEPARATE else ""
    except (SyntaxError, OSError, ValueError, TypeError, LookupError, struct.error):
        return None
    usual = not kind and not apart and n_values in (1, 3, 4) and bits in (1, 2, 4, 8, 16)
    if usual or n_values > _MOST_VALUES:
        return None
    return f"{counted(n_values, f'{kind}value')} of {bits} bits a pixel{apart}"
