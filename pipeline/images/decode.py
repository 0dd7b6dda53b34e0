"""Turn the bytes of one picture file into an RGB array, always in the same way.

Training and prediction go through this one versioned recipe, so a picture means the same numbers
everywhere. The format is told by content, never by name, from an allow-list: JPEG (of an MPO its
first picture), PNG, WebP, GIF, TIFF, BMP, AVIF, PPM (with PGM and PBM), and HEIC where the extra
heic is installed; of an animation or a multi-page file the first frame. What cannot be decoded
whole is refused with a reason and never guessed: truncated files are not filled up with grey (a
checksum or an end marker behind the last pixel may be missing), sizes are checked before pixels are
decoded, nothing runs Ghostscript. Not told are pixels that were altered within the rules of a
format without checksums, such as a JPEG damaged in its middle. How colours become RGB is stated in
:mod:`pipeline.images.colour`, what is lost thereby is told by :mod:`pipeline.images.remarks`.
"""

import ctypes
import io
import logging
import re
import threading
import warnings

import numpy as np
from PIL import Image, ImageFile, TiffImagePlugin

from pipeline.errors import DecodeError, InputError
from pipeline.images.colour import to_rgb
from pipeline.images.recipe import DecodeRecipe, jpeg_scale
from pipeline.images.remarks import NO_REMARK, Remark, remark_on
from pipeline.images.scale import RgbPicture, resize
from pipeline.images.sniff import BOMBS, FORMATS, PILLOW_FAILURES, heif_kind, why_unidentified

try:
    from simplejpeg import decode_jpeg
except ImportError:
    decode_jpeg = None


def hush() -> None:
    """Let Pillow's log go to handlers that someone asked for only, and libtiff say nothing.

    Of a damaged file the user hears once, by the reason of its DecodeError. Redirecting libtiff's
    stderr is no way out: it belongs to the whole process, and pictures are decoded in many threads.
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


_END = b"\xff\xd9"
# No 255, which would begin a marker.
_MORE = bytes(range(1, 255))
# What libjpeg fills up with, and its inverse in CMYK.
_MID_GREY = {127, 128}


def _ends_early(image: Image.Image, data: bytes, recipe: DecodeRecipe | None) -> bool:
    """Return whether a loaded JPEG has pixels that its file does not have.

    Some programs put the end marker behind a half download. libjpeg fills up what is missing with
    mid-grey and only warns, and Pillow does not pass the warning on. So where the last pixel is
    mid-grey, bytes are put in front of the end marker: a whole picture does not need them and
    stays the same, a picture that was cut off goes on with them.

    A progressive file that was closed after some of its scans is not told: it is the whole
    picture, only coarser.
    """
    if image.format != "JPEG":
        return False
    last = image.getpixel((image.width - 1, image.height - 1))
    if not _MID_GREY.issuperset(last if isinstance(last, tuple) else (last,)):
        return False
    end = data.rfind(_END)
    longer = _opened(data[:end] + _MORE + data[end:])
    _load_pixels(longer, recipe)
    return longer.tobytes() != image.tobytes()


# Pillow's own limit for a warning (a quarter of a GiB at 3 bytes a pixel); here it is a refusal.
MAX_PIXELS = 89_478_485
# What a JPEG can have. A line of eight million pixels, 11 high, took 13 s and 1.5 GB.
MAX_SIDE = 65_535

_ORIENTATION_TAG = 0x0112

_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_BOMB_FILTER = ("error", None, Image.DecompressionBombWarning, None, 0)

_REMARK_FILTER = ("ignore", None, UserWarning, re.compile(r"PIL\."), 0)

_filter_lock = threading.Lock()

# Registers the decoders now: otherwise the first threads to decode would do it all at once.
Image.init()

hush()


def decode(data: bytes, recipe: DecodeRecipe) -> np.ndarray:
    """Decode and resize one picture.

    The same bytes and recipe give the same array in any thread and whatever warnings filter is
    set.

    Args:
        data: The whole content of the picture file.
        recipe: Size, resize mode and interpolation.

    Returns:
        uint8 array (size, size, 3): rows from top to bottom, RGB, 0–255.

    Raises:
        DecodeError: If the picture cannot be decoded; the message is a short reason.
        InputError: If Pillow was switched to fill up truncated files.
    """
    return np.array(resize(decode_remarked(data, recipe)[0], recipe))


def decode_full(data: bytes, recipe: DecodeRecipe | None = None) -> Image.Image:
    """Decode one picture, upright, as an RGB Pillow image: `decode_remarked` without the remark."""
    picture, _ = decode_remarked(data, recipe)
    return picture if isinstance(picture, Image.Image) else Image.fromarray(picture)


def decode_remarked(data: bytes, recipe: DecodeRecipe | None = None) -> tuple[RgbPicture, Remark]:
    """Decode one picture, upright, and say what was lost of it.

    Args:
        data: The whole content of the picture file.
        recipe: With ``jpeg="scaled"`` a JPEG comes at a half, a quarter or an eighth of its size
            where :func:`pipeline.images.recipe.jpeg_scale` allows it; else, and without a recipe,
            every picture comes at its own size.

    Returns:
        The picture with the EXIF orientation applied, and the remark.

    Raises:
        DecodeError: If the picture cannot be decoded; the message is a short reason.
        InputError: If Pillow was switched to fill up truncated files.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise InputError(
            "half pictures would pass for whole ones: expected "
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES=False, received True; remove the code that sets it"
        )
    _pin_warning_filters()
    image, raw_mode, pixels = _load(data, recipe)
    transpose = _TRANSPOSES.get(_orientation(image))
    if pixels is not None:
        upright = pixels if transpose is None else Image.fromarray(pixels).transpose(transpose)
        return upright, NO_REMARK
    rgb = to_rgb(image)
    remark = remark_on(image, rgb, data, raw_mode)
    return rgb if transpose is None else rgb.transpose(transpose), remark


def _pin_warning_filters() -> None:
    """Keep Pillow's warnings from deciding what a picture is.

    Pillow remarks on damaged EXIF and the like by warnings: noise in a run over many pictures,
    and failures under ``-W error``. ``warnings.catch_warnings`` is not thread-safe, and anyone's
    use of it drops filters set at import, hence this look at the live list on every call.
    """
    if list(warnings.filters[:2]) == [_BOMB_FILTER, _REMARK_FILTER]:
        return
    with _filter_lock:
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
        warnings.simplefilter("error", Image.DecompressionBombWarning)


def _load(
    data: bytes, recipe: DecodeRecipe | None
) -> tuple[ImageFile.ImageFile, str, np.ndarray | None]:
    """Decode the first frame, or say why it cannot be; return how its pixels are stored too.

    The pixels of most JPEGs come as (height, width, 3), and the image is not loaded then.
    """
    try:
        image = _opened(data)
        raw_mode = _raw_mode(image)
        _check_size(image.size)
        pixels = _jpeg_pixels(image, data, recipe)
        if pixels is None:
            _load_pixels(image, recipe)
            if _ends_early(image, data, recipe):
                raise DecodeError("damaged file: it ends before the picture does")
    except Image.UnidentifiedImageError:
        raise DecodeError(why_unidentified(data)) from None
    except BOMBS as error:
        raise DecodeError(
            f"too large: more than the {MAX_PIXELS:,} pixels that are decoded at most"
        ) from error
    except PILLOW_FAILURES as error:
        raise DecodeError(_reason(error)) from error
    return image, raw_mode, pixels


def _opened(data: bytes) -> ImageFile.ImageFile:
    """Open a picture in one of the allowed formats; its pixels are not decoded yet."""
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.UnidentifiedImageError:
        if heif_kind(data) is None:
            raise
        return _opened_heif(data)
    if image.format == "PPM" and data[1] not in b"123456":
        # Pillow takes floating-point values for it too, and formats of its own.
        raise Image.UnidentifiedImageError
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        _settle_tiff(image)
    return image


_BITS, _PHOTOMETRIC, _FILL_ORDER, _PLANAR = 258, 262, 266, 284
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _SEPARATE = 0, 1, 2
_MIXED_UP = ("LA", "La", "PA", "LAB", "YCbCr")


def _settle_tiff(image: TiffImagePlugin.TiffImageFile) -> None:
    """Refuse TIFFs whose values Pillow mixes up, and mend 16-bit planes of colours.

    Of planes, one for each channel, Pillow keeps the first letter alone of how values are stored.
    """
    tags = image.tag_v2
    bits, photometric = set(tags.get(_BITS, (1,))), tags.get(_PHOTOMETRIC)
    if bits == {16} and photometric == _WHITE_IS_ZERO:
        raise Image.UnidentifiedImageError
    if tags.get(_PLANAR) != _SEPARATE:
        return
    tiles = [] if image.use_load_libtiff else image.tile
    raw = [(tile, tile.args) for tile in tiles if isinstance(tile.args, tuple)]
    letters = {str(arguments[0]) for _, arguments in raw}
    plain = (bits == {8} and photometric) or (bits == {1} and photometric == _BLACK_IS_ZERO)
    deep = bits == {16} and letters <= set("RGBA")
    usual = (plain or deep) and "a" not in letters and tags.get(_FILL_ORDER, 1) == 1
    if image.mode in _MIXED_UP or (letters and not usual):
        raise Image.UnidentifiedImageError
    if deep and letters:
        order = "L" if tags.prefix == b"II" else "B"
        image.tile = [tile._replace(args=(f"{a[0]};16{order}", *a[1:])) for tile, a in raw]


def _opened_heif(data: bytes) -> ImageFile.ImageFile:
    """Open HEIC, turned upright by its own rules; nothing is registered with Pillow for it."""
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        raise Image.UnidentifiedImageError from None
    return HeifImageFile(io.BytesIO(data))


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """Return how Pillow calls the pixels in the file, ``RGB;16B`` say; forgotten by loading."""
    arguments = image.tile[0][3] if image.tile else ""  # older Pillows have no name for it
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


def _jpeg_pixels(
    image: ImageFile.ImageFile, data: bytes, recipe: DecodeRecipe | None
) -> np.ndarray | None:
    """Decode a coloured JPEG by libjpeg-turbo's own interface: Pillow's pixels, in less time.

    It takes files alone of which libjpeg has nothing to remark; all others are for Pillow to look
    at, so that the same files are refused for the same reasons.
    """
    is_meant = recipe is not None and recipe.version > 1 and jpeg_scale(image.size, recipe) == 1
    if decode_jpeg is None or not is_meant or image.format not in ("JPEG", "MPO"):
        return None
    if image.mode != "RGB":
        return None
    try:
        pixels: np.ndarray = decode_jpeg(data, "RGB")
    except ValueError:
        return None
    return pixels if pixels.shape[1::-1] == image.size else None


def _load_pixels(image: ImageFile.ImageFile, recipe: DecodeRecipe | None) -> None:
    """Decode, after a look at what a header promises; its size was checked."""
    _check_strips(image)
    if recipe is not None and (scale := jpeg_scale(image.size, recipe)) > 1:
        # Of the formats allowed, only JPEG (with MPO) has another size to offer.
        image.draft(None, (image.width // scale, image.height // scale))
    image.load()


def _check_size(size: tuple[int, int]) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise DecodeError(f"no pixels: the header says {width} × {height}")
    if width * height > MAX_PIXELS or max(size) > MAX_SIDE:
        raise DecodeError(
            f"too large: the header says {width} × {height}, more than the {MAX_PIXELS:,} pixels, "
            f"or {MAX_SIDE:,} a side, that are decoded at most"
        )


def _check_strips(image: ImageFile.ImageFile) -> None:
    """A TIFF may name fewer strips than its rows need; Pillow would leave those rows black."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    is_apart = image.tag_v2.get(_PLANAR) == _SEPARATE and not image.use_load_libtiff
    n_wanted = image.width * image.height * (len(image.getbands()) if is_apart else 1)
    boxes = [extents or (0, 0, *image.size) for _, extents, *_ in image.tile]
    n_pixels = sum((right - left) * (lower - upper) for left, upper, right, lower in boxes)
    if n_pixels < n_wanted:
        raise DecodeError(
            f"damaged file: the header says {image.width} × {image.height}, the strips hold "
            f"{n_pixels:,} pixels"
        )


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if "MAX_TEXT" in text:
        return "its texts or colour profile unpack to more than is read: save it without them"
    return f"damaged file: {text[:200] or type(error).__name__}"


def _orientation(image: Image.Image) -> int:
    """Return the EXIF (or XMP) orientation; a picture with unreadable EXIF counts as upright.

    Asked after loading: PNG may carry EXIF behind the pixels, and of TIFF Pillow turns the pixels
    itself and takes the tag away. HEIC has been turned by then, by a rule of its own.
    """
    if image.format == "HEIF":
        return 1
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except PILLOW_FAILURES:
        return 1
