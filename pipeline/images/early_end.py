"""Tell a JPEG that was cut off and then closed properly.

Some programs put the end marker behind a half download. libjpeg fills up what is missing with
mid-grey and only warns, and Pillow does not pass the warning on. So where the last pixel is
mid-grey, bytes are put in front of the end marker: a whole picture does not need them and stays
the same, a picture that was cut off goes on with them.

A progressive file that was closed after some of its scans is not told: it is the whole picture,
only coarser.
"""

from collections.abc import Callable

from PIL import Image

_END = b"\xff\xd9"
# No 255, which would begin a marker.
_MORE = bytes(range(1, 255))
# What libjpeg fills up with, and its inverse in CMYK.
_MID_GREY = {127, 128}


def ends_early(image: Image.Image, data: bytes, load: Callable[[bytes], Image.Image]) -> bool:
    """Return whether a loaded JPEG has pixels that its file does not have.

    Args:
        image: What ``load(data)`` gave.
        data: The content of its file.
        load: Decodes; called a second time only where the last pixel is mid-grey.
    """
    if image.format != "JPEG" or not _mid_grey(image.getpixel((image.width - 1, image.height - 1))):
        return False
    end = data.rfind(_END)
    return load(data[:end] + _MORE + data[end:]).tobytes() != image.tobytes()


def _mid_grey(pixel: float | tuple[int, ...] | None) -> bool:
    values = pixel if isinstance(pixel, tuple) else (pixel,)
    return _MID_GREY.issuperset(values)
