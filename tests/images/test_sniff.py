"""What a file is by its first bytes, and reasons that are not for ever."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import DecodeError
from pipeline.images import decode_full, sniff
from pipeline.images.sniff import READABLE, is_picture, is_settled, why_unidentified
from tests.images.test_remarks import SIDE, tiff


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "PPM"])
def test_formats_that_are_read_are_known_by_their_beginning(format_):
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, format_)
    assert is_picture(buffer.getvalue()[:64])


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"P5\n# made by hand\n4 4\n255\n", True),
        (b"P3 4 4 255", True),
        (b"\0\0\0\x18ftypheic", True),
        (b"\0\0\0\x18ftypmif1", True),
        (b"\0\0\0\x0cjP  \r\n", True),
        (b"8BPS\0\1", True),
        (b"Pf\n4 4\n-1.0\n", True),
        (b"", False),
        (b"P5 is a format", False),
        (b"Python", False),
        (b"BM is short for benchmark, and this is a text", False),
        (b"\0\0\0\x18ftypisom", False),
        (b"RIFF\0\0\0\0WAVE", False),
        (b"%PDF-1.7", False),
        (b"PK\3\4", False),
        (b"<!doctype html>", False),
        (b"\x89HDF\r\n\x1a\n", False),
    ],
)
def test_what_is_a_picture_by_its_beginning(head, expected):
    assert is_picture(head) == expected


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"Pf\n2 2\n-1.0\n" + bytes(16), "^PFM files are not read here"),
        (b"PF\n2 2\n-1.0\n" + bytes(48), "^PFM files are not read here"),
        (b"P7\nWIDTH 2\n", "^PAM files are not read here"),
        (b"PyRGBA 2 2 255 ", "^not a picture in a known format"),
        (b"P5\n4 4\n255\n" + bytes(15), "^damaged file: image file is truncated"),
        (b"P6\n4 4\n100\n" + bytes(47), "^damaged file: not enough image data"),
        (b"P2\n2 2\n255\n1 2 3", "^damaged file: not enough image data"),
        (b"P2\n2 2\n10\n1 2 3 11", "^damaged file: Channel value too large"),
        (b"P5\n4 4\n70000\n" + bytes(32), "^damaged file: maxval must be"),
        (b"P5\n70000 70000\n255\n", "^too large: more than the 89,478,485"),
    ],
)
def test_netpbm_that_is_not_read(data, reason):
    with pytest.raises(DecodeError, match=reason):
        decode_full(data)


def test_netpbm_of_every_kind():
    grey, colour = [[0, 128], [255, 7]], [[[1, 2, 3], [250, 0, 9]]]
    for data, expected in (
        (b"P1\n2 2\n1 0\n0 1\n", [[0, 255], [255, 0]]),
        (b"P4\n2 2\n\x80\x40", [[0, 255], [255, 0]]),
        (b"P2 # text\n2 2 255\n0 128\n255 7\n", grey),
        (b"P5\n2 2\n255\n\x00\x80\xff\x07", grey),
        (b"P3\n2 1\n255\n1 2 3 250 0 9\n", colour),
        (b"P6\n2 1\n255\n\1\2\3\xfa\0\x09", colour),
        (b"P5\n3 1\n5\n\0\2\5", [[0, 102, 255]]),
        (b"P6\n1 1\n65535\n\0\0\x80\x80\xff\xff", [[[0, 128, 255]]]),
        (b"P5\n2 1\n65535\n\x01\x01\xff\xff", [[1, 255]]),
        (b"P5\n3 1\n4095\n\0\0\x08\0\x0f\xff", [[0, 128, 255]]),
    ):
        got = np.array(decode_full(data))
        expected = np.array(expected)
        values = expected if expected.ndim == 3 else np.stack([expected] * 3, -1)
        np.testing.assert_array_equal(got, values, err_msg=str(data))


@pytest.mark.parametrize(
    ("bits", "kind", "order", "told"),
    [
        ((16,) * 5, 1, "<", "5 values of 16 bits"),
        ((16,) * 2, 1, ">", "2 values of 16 bits"),
        ((32,) * 3, 3, "<", "3 floating-point values of 32 bits"),
        ((64,), 3, ">", "1 floating-point value of 64 bits"),
        ((16,), 3, "<", "1 floating-point value of 16 bits"),
        ((8,) * 12, 1, "<", "12 values of 8 bits"),
    ],
)
def test_tiffs_of_other_pixels(bits, kind, order, told):
    pixels = bytes(SIDE * SIDE * sum(bits) // 8)
    with pytest.raises(DecodeError, match=f"^TIFF with {told} a pixel is not read here: save as"):
        decode_full(tiff(pixels, bits, kind=kind, order=order))


HEIC = b"\0\0\0\x18ftypheic" + bytes(40)


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setattr(sniff, "has_heif", lambda: False)
    needed = "HEIC files need the extra heic: pip install 'bottleneck-pipeline[heic]'"
    assert why_unidentified(HEIC) == needed
    assert is_settled(needed)
    monkeypatch.setattr(sniff, "has_heif", lambda: True)
    assert why_unidentified(HEIC).startswith("damaged file: starts like HEIC")
    assert not is_settled(needed)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("damaged file: image file is truncated", True),
        (f"not a picture in a known format: expected one of {READABLE}", True),
        (f"SVG files are not read here: convert to one of {READABLE}", True),
        ("not a picture in a known format: expected one of JPEG, PNG", False),
        ("HEIC files are not read here: convert to one of JPEG, PNG, AVIF", False),
    ],
)
def test_reasons_of_times_with_fewer_formats_are_not_for_ever(reason, expected):
    assert is_settled(reason) == expected
