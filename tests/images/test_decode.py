"""Decoding: formats, sizes, orientation, resizing, refusals."""

import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageFile

from pipeline.errors import DecodeError, InputError
from pipeline.images import MAX_PIXELS, DecodeRecipe, decode, decode_full


def encode(pixels, format_="PNG", **options):
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def gradient(height=12, width=20):
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows * 20, columns * 12, rows + columns], axis=-1).astype(np.uint8)


def png_chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_with_header(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = png_chunk(b"IDAT", zlib.compress(b"\0" * 10)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + body


@pytest.mark.parametrize(
    "format_", ["PNG", "BMP", "TIFF", "WEBP", "GIF", "JPEG", "AVIF", "MPO", "PPM"]
)
def test_every_allowed_format_is_read(format_):
    # A palette cannot hold the gradient exactly.
    pixels = np.full((8, 8, 3), (255, 0, 0), np.uint8) if format_ == "GIF" else gradient()
    options = {"lossless": True} if format_ == "WEBP" else {}
    got = np.array(decode_full(encode(pixels, format_, **options)))
    tolerance = 40 if format_ in ("JPEG", "AVIF", "MPO") else 0
    assert got.shape == pixels.shape
    np.testing.assert_allclose(got.astype(int), pixels, atol=tolerance)


def test_decode_gives_writable_uint8_of_the_asked_size():
    array = decode(encode(gradient()), DecodeRecipe(7))
    assert array.shape == (7, 7, 3)
    assert array.dtype == np.uint8
    assert array.flags.writeable


def test_first_frame_of_animations_and_pages():
    frames = [Image.new("RGB", (6, 6), colour) for colour in ("red", "blue")]
    for format_ in ("GIF", "TIFF", "PNG", "WEBP", "MPO"):
        data = encode(frames[0], format_, save_all=True, append_images=frames[1:])
        red, _, blue = decode(data, DecodeRecipe(3))[1, 1]
        assert red > 200, format_
        assert blue < 50, format_


@pytest.mark.parametrize("format_", ["JPEG", "TIFF", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(format_, orientation):
    stored = Image.fromarray(gradient())
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}
    data = encode(stored, format_, exif=exif, **options.get(format_, {}))
    upright = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: lambda a: np.rot90(a),
    }[orientation](gradient())
    np.testing.assert_allclose(np.array(decode_full(data)).astype(int), upright, atol=12)


def test_orientation_of_a_compressed_tiff_is_applied_once():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(Image.fromarray(gradient()), "TIFF", exif=exif, compression="tiff_lzw")
    np.testing.assert_array_equal(np.array(decode_full(data)), np.rot90(gradient(), -1))


@pytest.mark.parametrize(
    "exif",
    [b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01", b"Exif\0\0nonsense", b"Exif\0\0", b"Exif\0\0MM\0*"],
)
def test_damaged_exif_does_not_fail_the_picture(exif):
    data = encode(gradient(), "JPEG", exif=exif)
    assert decode_full(data).size == (20, 12)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_counts_as_upright(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert decode_full(encode(gradient(), "JPEG", exif=exif)).size == (20, 12)


def test_the_global_switch_that_fills_up_truncated_files_is_refused(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(InputError, match=r"expected PIL\.ImageFile\.LOAD_TRUNCATED_IMAGES=False"):
        decode_full(encode(gradient()))


@pytest.mark.parametrize(
    "size", [(20_000, 20_000), (10_000, 10_000), (MAX_PIXELS + 1, 1), (65_536, 11)]
)
def test_too_many_pixels_are_refused_by_the_header(size):
    with pytest.raises(DecodeError, match=r"too large: .*89,478,485 pixels"):
        decode_full(png_with_header(*size))


def test_our_limit_holds_when_pillows_is_switched_off(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(
        DecodeError, match="the header says 20000 × 20000, more than the 89,478,485"
    ):
        decode_full(png_with_header(20_000, 20_000))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "^the file is empty$"),
        (b"hello", "^not a picture in a known format"),
        (b"<!DOCTYPE html><html>404</html>", "^HTML files are not read here"),
        (b"<?xml version='1.0'?><svg/>", "^SVG files are not read here"),
        (b"\x00\x00\x00\x0cjP  \r\n\x87\n" + b"\0" * 40, "^JPEG 2000 files are not read here"),
        (
            b"\x00\x00\x00\x18ftypheic" + b"\0" * 40,
            "^(HEIC files need the extra heic: pip|damaged)",
        ),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "^PostScript files are not"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 30, "^damaged file: "),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "^damaged file: "),
        (b"\0\0\0\x18ftypavif" + b"\0" * 40, "^damaged file: starts like AVIF"),
        (png_with_header(0, 5), "^(damaged file|no pixels): "),
    ],
)
def test_what_is_no_readable_picture_gets_a_reason(data, reason):
    with pytest.raises(DecodeError, match=reason):
        decode_full(data)


def test_warnings_filters_of_others_change_nothing():
    data = encode(gradient(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = decode_full(data).tobytes()
        warnings.simplefilter("error")
        assert decode_full(data).tobytes() == first


def test_threads_agree():
    data = [encode(gradient(30 + n, 40), "JPEG") for n in range(8)] * 8
    alone = [decode(item, DecodeRecipe(16)) for item in data]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda item: decode(item, DecodeRecipe(16)), data))
    np.testing.assert_array_equal(together, alone)


def test_squash_changes_the_aspect_ratio():
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, 4:] = 255
    got = decode(encode(pixels), DecodeRecipe(4, interpolation="box"))
    np.testing.assert_array_equal(got[0, :, 0], [0, 0, 255, 255])


def test_crop_takes_the_centre_square():
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, 2:6] = 200
    np.testing.assert_array_equal(decode(encode(pixels), DecodeRecipe(2, "crop", "box")), 200)


def test_pad_centres_on_black():
    got = decode(encode(np.full((4, 8, 3), 200, np.uint8)), DecodeRecipe(8, "pad"))
    np.testing.assert_array_equal(got[2:6], 200)
    np.testing.assert_array_equal(got[[0, 1, 6, 7]], 0)


def test_pad_keeps_a_line_of_a_very_thin_picture():
    got = decode(encode(np.full((1, 400, 3), 200, np.uint8)), DecodeRecipe(8, "pad"))
    assert (got == 200).all(axis=(1, 2)).sum() == 1


def test_shrinking_is_antialiased():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    for interpolation in ("box", "bilinear", "hamming", "bicubic", "lanczos"):
        inner = decode(encode(stripes), DecodeRecipe(8, interpolation=interpolation))[:, 2:-2]
        np.testing.assert_allclose(inner.astype(int), 127, atol=4)


def test_recipe_round_trip():
    recipe = DecodeRecipe(96, "pad", "lanczos")
    assert DecodeRecipe(**recipe.to_dict()) == recipe


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, r"from 1 to 8192; received size=0"),
        ({"size": 9000}, r"received size=9000"),
        ({"size": 1.5}, r"received size=1.5"),
        ({"size": True}, r"received size=True"),
        ({"size": 8, "resize": "squish"}, r"unknown resize mode 'squish'; nearest: squash"),
        ({"size": 8, "interpolation": "nearest"}, r"unknown interpolation 'nearest'.*bilinear"),
        ({"size": 8, "version": 3}, r"received version=3: use the program version"),
    ],
)
def test_recipes_that_mean_nothing_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        DecodeRecipe(**arguments)
