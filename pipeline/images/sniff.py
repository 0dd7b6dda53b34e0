"""Say what a file that no decoder accepts seems to be, so that its owner knows what to do."""

# In the order in which Pillow tries them; MPO comes in as JPEG.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")
READABLE = "JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF"

_DECODED = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"BM": "BMP",
}
_FOREIGN = {
    b"\x00\x00\x00\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\x00\x00\x00\x0cJXL ": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"\x00\x00\x01\x00": "ICO",
    b"8BPS": "Photoshop",
    b"%PDF": "PDF",
    b"%!PS": "PostScript",
    b"\xc5\xd0\xd3\xc6": "PostScript",
    b"PK\x03\x04": "ZIP",
    b"\x1f\x8b": "gzip",
}
_MARKUP = {b"<svg": "SVG", b"<!doctype html": "HTML", b"<html": "HTML"}
_BRANDS = {b"heic": "HEIC", b"heix": "HEIC", b"heim": "HEIC", b"hevc": "HEIC", b"mif1": "HEIF"}


def why_unidentified(data: bytes) -> str:
    """Return the reason why no decoder takes ``data``, in a few words.

    Args:
        data: The content of a file that is in none of the readable formats.

    >>> why_unidentified(b"")
    'the file is empty'
    >>> why_unidentified(b"8BPS....")
    'Photoshop files are not read here: convert to one of JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF'
    """
    if not data:
        return "the file is empty"
    box = data[8:12] if data[4:8] == b"ftyp" else b""
    head = data[:512].lower()
    markup = (name for mark, name in _MARKUP.items() if mark in head)
    if foreign := _BRANDS.get(box) or _by_prefix(data, _FOREIGN) or next(markup, None):
        return f"{foreign} files are not read here: convert to one of {READABLE}"
    webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    avif = box in (b"avif", b"avis")
    known = "WebP" if webp else "AVIF" if avif else _by_prefix(data, _DECODED)
    if known:
        return f"damaged file: starts like {known}, but its header cannot be read"
    return f"not a picture in a known format: expected one of {READABLE}"


def _by_prefix(data: bytes, names: dict[bytes, str]) -> str | None:
    return next((name for prefix, name in names.items() if data.startswith(prefix)), None)
