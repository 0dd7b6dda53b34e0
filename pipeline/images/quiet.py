"""Keep what Pillow and libtiff say of damaged files off the user's screen.

Of a damaged file the user hears once, by the reason of its :class:`~pipeline.errors.DecodeError`.
Pillow logs a few remarks besides, and libtiff writes lines to stderr by itself, between the lines
of the progress display. Redirecting stderr is no way out: it belongs to the whole process, and
pictures are decoded in many threads.
"""

import ctypes
import logging

from PIL import Image


def hush() -> None:
    """Let Pillow's log go to handlers that someone asked for only, and libtiff say nothing.

    Both hold for the process. libtiff still fails as before, and Pillow raises. Where libtiff's own
    switch is out of reach (on Windows it is linked into Pillow), its lines stay.
    """
    # Without any handler Python prints warnings to stderr.
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    try:
        # Symbols of a library's dependencies are found through it, and Pillow's libtiff is one.
        set_handler = ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler
    except (OSError, AttributeError):
        return
    set_handler.argtypes = [ctypes.c_void_p]
    set_handler.restype = ctypes.c_void_p
    # "If handler is NULL, error messages are suppressed" (libtiff, TIFFError).
    set_handler(None)
