"""Small pictures of pictures, decoded as the pipeline decodes them."""

import hashlib
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
    """A small picture, or why there is none.

    Args:
        image: RGB, its long side as asked for; None where there is no picture.
        reason: Why there is none.
    """

    image: Image.Image | None
    reason: str = ""


@dataclass(frozen=True)
class Wanted:
    """A picture to make small.

    Args:
        path: As the source names it.
        digest: SHA-256 that its bytes must have.
        sides: Length of the long side, in pixels, of each thumbnail wanted.
    """

    path: str
    digest: bytes
    sides: tuple[int, ...]


def make_thumbnails(
    read: Read | None, wanted: Sequence[Wanted], reporter: Reporter = SILENT
) -> Iterator[tuple[Thumbnail, ...]]:
    """Read and decode pictures in threads; every file once.

    Args:
        read: Returns a picture's bytes by its path; None where there is nothing to read from.
        wanted: The pictures.
        reporter: Told after each, part ``"report"``.

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
