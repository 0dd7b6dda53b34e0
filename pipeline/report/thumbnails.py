"""Small pictures of pictures, decoded as the pipeline decodes them, side by side in a few files.

A sheet of them is one request less for each of thousands.
"""

import base64
import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from PIL import Image

from pipeline.errors import DecodeError
from pipeline.images import DecodeRecipe, decode_full
from pipeline.images.scale import small
from pipeline.system.machine import thread_count
from pipeline.system.progress import SILENT, Reporter

Read = Callable[[str], bytes]
"""Returns a picture's bytes by its path; raises OSError."""


@dataclass(frozen=True)
class Thumbnail:
    """A small RGB picture, or why there is none."""

    image: Image.Image | None
    reason: str = ""


@dataclass(frozen=True)
class Wanted:
    """A picture to make small: path, SHA-256, and the long side of each thumbnail in pixels."""

    path: str
    digest: bytes
    sides: tuple[int, ...]


def make_thumbnails(
    read: Read | None, wanted: Sequence[Wanted], reporter: Reporter = SILENT
) -> Iterator[tuple[Thumbnail, ...]]:
    """Read and decode pictures in threads; every file once. Without ``read`` there are none.

    Yields:
        The thumbnails of each picture, one for each of its sides, in the order of ``wanted``.
    """
    if read is None:
        gone = Thumbnail(None, "the data set is not there, or was not read")
        yield from ((gone,) * len(one.sides) for one in wanted)
        return
    n = len(wanted)
    if n:
        reporter.advance("report", 0, n, "pictures", "decoding")
    with ThreadPoolExecutor(thread_count(None), thread_name_prefix="thumbnail") as pool:
        made = pool.map(lambda one: _make(read, one), wanted)
        for done, thumbnails in enumerate(made, 1):
            reporter.advance("report", done, n, "pictures", "decoding")
            yield thumbnails


def _make(read: Read, wanted: Wanted) -> tuple[Thumbnail, ...]:
    try:
        data = read(wanted.path)
    except OSError as error:
        return _failed(wanted, f"cannot be read: {error.strerror or type(error).__name__}")
    if hashlib.sha256(data).digest() != wanted.digest:
        return _failed(wanted, "changed since the run")
    try:
        image = decode_full(data, DecodeRecipe(max(wanted.sides), jpeg="scaled"))
    except DecodeError as error:
        return _failed(wanted, str(error))
    return tuple(Thumbnail(small(image, side)) for side in wanted.sides)


def _failed(wanted: Wanted, reason: str) -> tuple[Thumbnail, ...]:
    return (Thumbnail(None, reason),) * len(wanted.sides)


COLUMNS, ROWS = 16, 16
SIDES = ((600, 112), (2000, 88), (6000, 64), (1 << 40, 48))
"""Up to how many pictures a thumbnail has which long side."""
QUALITIES = (72, 60, 48, 36, 24)
MAX_BYTES = 4_500_000
"""Of all sheets of a data set of 5,000 pictures, before base64 makes a third more of it."""
LARGE_QUALITY = 80


@dataclass(frozen=True)
class Sheets:
    """Sprite sheets of square tiles, row by row; the picture is in the upper left of its tile.

    Images are WebP as data URIs, ``rows`` those of a whole sheet; ``sizes`` has width and height of
    each picture, (0, 0) where there is none.
    """

    images: tuple[str, ...]
    tile: int
    columns: int
    rows: int
    sizes: tuple[tuple[int, int], ...]


def side_for(n_pictures: int) -> int:
    """Return the long side of a thumbnail where there are so many."""
    return next(side for most, side in SIDES if n_pictures <= most)


def make_sheets(
    images: Sequence[Image.Image | None], side: int, max_bytes: int = MAX_BYTES
) -> Sheets:
    """Put RGB thumbnails into sheets, of the best quality that fits; None leaves a tile empty.

    No side is longer than ``side``, that of a tile. The lowest quality is taken whatever it needs.
    """
    n_tiles = COLUMNS * ROWS
    starts = range(0, len(images), n_tiles)
    pages = [_page(images[start : start + n_tiles], side) for start in starts]
    encoded = list[bytes]()
    for quality in QUALITIES:
        encoded = [webp(page, quality) for page in pages]
        if sum(map(len, encoded)) <= max_bytes:
            break
    sizes = tuple((0, 0) if image is None else image.size for image in images)
    return Sheets(tuple(map(data_uri, encoded)), side, COLUMNS, ROWS, sizes)


def _page(images: Sequence[Image.Image | None], side: int) -> Image.Image:
    n_rows = -(-len(images) // COLUMNS)
    page = Image.new("RGB", (min(COLUMNS, len(images)) * side, n_rows * side))
    for number, image in enumerate(images):
        if image is not None:
            page.paste(image, (number % COLUMNS * side, number // COLUMNS * side))
    return page


def webp(image: Image.Image, quality: int) -> bytes:
    """Encode a picture; the same one always gives the same bytes."""
    file = io.BytesIO()
    image.save(file, "WEBP", quality=quality, method=4)
    return file.getvalue()


def data_uri(encoded: bytes) -> str:
    """Return WebP bytes as an address that holds them."""
    return f"data:image/webp;base64,{base64.b64encode(encoded).decode('ascii')}"
