"""Thumbnails side by side in a few WebP pictures: one request less for each of thousands."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

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

    Args:
        images: WebP pictures as data URIs.
        tile: Side of a tile, in pixels.
        columns: Tiles a row.
        rows: Rows of a whole sheet.
        sizes: Width and height of each picture, (0, 0) where there is none.
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
    """Put thumbnails into sheets, of the best quality that fits.

    Args:
        images: RGB, no side longer than ``side``; None leaves a tile empty.
        side: Of a tile.
        max_bytes: Of all sheets together; the lowest quality is taken whatever it needs.
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
