"""Colour rules: known values in, known values out."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import DecodeError
from pipeline.images import decode_full

GREY_16 = np.array([[0, 255, 257], [32768, 65278, 65535]], np.uint16)
GREY_16_AS_8 = [[0, 1, 1], [128, 254, 255]]


def rgb(image, format_="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return np.array(decode_full(buffer.getvalue()))


def assert_grey(got, values):
    for channel in range(3):
        np.testing.assert_array_equal(got[..., channel], values)


def test_one_bit():
    image = Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).convert("1")
    assert_grey(rgb(image), [[0, 255], [255, 0]])


def test_grey_8():
    assert_grey(rgb(Image.fromarray(np.array([[3, 200]], np.uint8))), [[3, 200]])


def test_grey_16_is_scaled_not_clipped():
    assert_grey(rgb(Image.fromarray(GREY_16)), GREY_16_AS_8)


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_grey_16_tiff_of_either_byte_order(order):
    mode = "I;16" if order == "<u2" else "I;16B"
    image = Image.frombytes(mode, (3, 2), GREY_16.astype(order).tobytes())
    assert_grey(rgb(image, "TIFF"), GREY_16_AS_8)


def test_int_32_within_16_bits_is_scaled_like_16_bits():
    assert_grey(rgb(Image.fromarray(GREY_16.astype(np.int32)), "TIFF"), GREY_16_AS_8)


@pytest.mark.parametrize("value", [-1, 65536, 2**31 - 1])
def test_int_32_beyond_16_bits_is_refused(value):
    image = Image.fromarray(np.array([[0, value]], np.int32))
    with pytest.raises(DecodeError, match=f"^grey values from .*{value}.* no agreed range"):
        rgb(image, "TIFF")


def test_floating_point_is_refused():
    with pytest.raises(DecodeError, match=r"^floating-point pixels have no agreed range"):
        rgb(Image.fromarray(np.zeros((2, 2), np.float32)), "TIFF")


def test_alpha_is_composited_over_white():
    pixels = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 51]]], np.uint8)
    np.testing.assert_array_equal(
        rgb(Image.fromarray(pixels)), [[[255, 0, 0], [255, 255, 255], [204, 204, 204]]]
    )


def test_grey_with_alpha():
    image = Image.fromarray(np.array([[[100, 255], [100, 0]]], np.uint8), "LA")
    assert_grey(rgb(image), [[100, 255]])


def palette_image():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    return image


def test_palette():
    np.testing.assert_array_equal(rgb(palette_image()), [[[10, 20, 30], [40, 50, 60]]])


@pytest.mark.parametrize("format_", ["PNG", "GIF"])
def test_transparent_palette_entry_becomes_white(format_):
    got = rgb(palette_image(), format_, transparency=1)
    np.testing.assert_array_equal(got, [[[10, 20, 30], [255, 255, 255]]])


def test_palette_with_an_alpha_for_every_entry():
    got = rgb(palette_image(), transparency=bytes([255, 0]))
    np.testing.assert_array_equal(got, [[[10, 20, 30], [255, 255, 255]]])


def test_transparent_colour_of_pictures_without_alpha_channel():
    colours = Image.fromarray(np.array([[[1, 2, 3], [9, 9, 9]]], np.uint8))
    np.testing.assert_array_equal(
        rgb(colours, transparency=(1, 2, 3)), [[[255, 255, 255], [9, 9, 9]]]
    )
    assert_grey(rgb(Image.fromarray(np.array([[7, 8]], np.uint8)), transparency=7), [[255, 8]])
    assert_grey(rgb(Image.fromarray(GREY_16), transparency=0), [[255, 1, 1], [128, 254, 255]])


CMYK = np.array([[[0, 0, 0, 0], [0, 255, 255, 0], [0, 0, 0, 255], [255, 0, 0, 0]]], np.uint8)
CMYK_AS_RGB = [[[255, 255, 255], [255, 0, 0], [0, 0, 0], [0, 255, 255]]]


def test_cmyk():
    image = Image.fromarray(CMYK, "CMYK")
    np.testing.assert_array_equal(rgb(image, "TIFF"), CMYK_AS_RGB)


@pytest.mark.parametrize("colour", range(4))
def test_cmyk_jpeg_with_adobes_inverted_values(colour):
    buffer = io.BytesIO()
    pixels = np.tile(CMYK[:, colour : colour + 1], (16, 16, 1))
    Image.fromarray(pixels, "CMYK").save(buffer, "JPEG", quality=100, subsampling=0)
    assert b"Adobe" in buffer.getvalue()
    got = np.array(decode_full(buffer.getvalue())).astype(int)
    np.testing.assert_allclose(got, np.broadcast_to(CMYK_AS_RGB[0][colour], got.shape), atol=3)


def test_ycck_jpeg_is_turned_into_cmyk_first():
    # Stored are Y, Cb = Cr = 128 (grey) and K; Pillow stores 255 - ink.
    ink = np.broadcast_to(np.uint8([255 - 200, 255 - 128, 255 - 128, 0]), (16, 16, 4))
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(ink), "CMYK").save(buffer, "JPEG", quality=100)
    data = bytearray(buffer.getvalue())
    # The last byte of Adobe's marker says what the channels are: 0 is CMYK, 2 is YCCK.
    transform = data.index(b"Adobe") + 11
    assert data[transform] == 0
    data[transform] = 2
    got = np.array(decode_full(bytes(data))).astype(int)
    # An inverted channel of 255 - 200 is ink of 200 in each of C, M and Y.
    np.testing.assert_allclose(got, 255 - 200, atol=3)


COLOUR_16 = np.array([[[0, 0x00FF, 0x0100], [0x7FFF, 0x80FF, 0xFFFF]]], np.uint16)
COLOUR_16_AS_8 = [[[0, 0, 1], [0x7F, 0x80, 0xFF]]]


def test_16_bit_colour_png():
    def chunk(name, body):
        check = zlib.crc32(name + body)
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", check)

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" + COLOUR_16.astype(">u2").tobytes()))
    data = b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b"")
    np.testing.assert_array_equal(np.array(decode_full(data)), COLOUR_16_AS_8)


@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_colour_tiff_of_either_byte_order(order):
    short, long = 3, 4
    pixels = COLOUR_16.astype(f"{order}u2").tobytes()
    n_tags = 9
    at = 8 + 2 + 12 * n_tags + 4
    tags = [
        (256, long, 1, 2),
        (257, long, 1, 1),
        (258, short, 3, at),
        (259, long, 1, 1),
        (262, long, 1, 2),
        (273, long, 1, at + 6),
        (277, long, 1, 3),
        (278, long, 1, 1),
        (279, long, 1, len(pixels)),
    ]
    assert len(tags) == n_tags
    data = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HIH", 42, 8, n_tags)
    data += b"".join(struct.pack(f"{order}HHII", *tag) for tag in tags) + bytes(4)
    data += struct.pack(f"{order}HHH", 16, 16, 16) + pixels
    np.testing.assert_array_equal(np.array(decode_full(data)), COLOUR_16_AS_8)


def test_ycbcr_tiff():
    image = Image.new("RGB", (4, 4), (200, 30, 60)).convert("YCbCr")
    np.testing.assert_allclose(rgb(image, "TIFF")[0, 0].astype(int), (200, 30, 60), atol=3)


def test_lab_white_black_and_mid_grey():
    # Pillow stores L as 0–255 and a, b as signed bytes.
    image = Image.frombytes("LAB", (3, 1), bytes([255, 0, 0, 0, 0, 0, 137, 0, 0]))
    got = rgb(image, "TIFF")[0].astype(int)
    np.testing.assert_allclose(got[0], 255, atol=2)
    np.testing.assert_allclose(got[1], 0, atol=2)
    # L* = 53.7 is sRGB 128.
    np.testing.assert_allclose(got[2], 128, atol=3)
