"""TIFFs whose values Pillow mixes up: read rightly, or refused by a sentence."""

import struct
import zlib

import numpy as np
import pytest

from pipeline.errors import DecodeError
from pipeline.images import decode_full
from pipeline.images.decode import decode_remarked

LONGS = (273, 279)
DRAW = np.random.default_rng(0)


def written(values, photometric=2, *, apart=True, order="<", packed=False, n_planes=None, **tags):
    """Write values (height, width, channels) as a TIFF: a strip for each channel, or one strip.

    Further tags are given as ``tag338=2``.
    """
    height, width, n = values.shape
    values = values.astype(values.dtype.newbyteorder(order))
    planes = np.moveaxis(values, -1, 0) if apart else values[None]
    strips = [plane.tobytes() for plane in planes[:n_planes]]
    strips = list(map(zlib.compress, strips)) if packed else strips
    fields = {256: [width], 257: [height], 258: [values.itemsize * 8] * n, 277: [n]}
    fields |= {259: [8 if packed else 1], 262: [photometric], 284: [2 if apart else 1]}
    fields |= {273: [0] * len(strips), 279: list(map(len, strips)), 278: [height]}
    fields |= {int(tag[3:]): [value] for tag, value in tags.items()}

    def head(offsets):
        fields[273] = offsets
        entries, beside = b"", b""
        for tag, field in sorted(fields.items()):
            kind = "I" if tag in LONGS else "H"
            body = struct.pack(f"{order}{len(field)}{kind}", *field).ljust(4, b"\0")
            entries += struct.pack(f"{order}HHI", tag, 4 if kind == "I" else 3, len(field))
            at = 8 + 2 + 12 * len(fields) + 4 + len(beside)
            entries += body if len(body) == 4 else struct.pack(f"{order}I", at)
            beside += body if len(body) > 4 else b""
        mark = b"II" if order == "<" else b"MM"
        start = mark + struct.pack(f"{order}HIH", 42, 8, len(fields))
        return start + entries + bytes(4) + beside

    at = len(head([0] * len(strips)))
    offsets = np.cumsum([at, *map(len, strips)])[:-1].tolist()
    return head(offsets) + b"".join(strips)


def drawn(n_channels, dtype, high=None):
    return DRAW.integers(0, high or np.iinfo(dtype).max + 1, (6, 7, n_channels)).astype(dtype)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("further", [{}, {"tag338": 2}])
def test_colours_in_planes_are_the_same_as_side_by_side(further, dtype, order, packed):
    values = drawn(4 if further else 3, dtype)
    options = {"order": order, "packed": packed, **further}
    got = np.asarray(decode_full(written(values, **options)))
    beside = decode_full(written(values, apart=False, **options))
    np.testing.assert_array_equal(got, np.asarray(beside))
    if not further:
        np.testing.assert_array_equal(got, values >> (8 * values.itemsize - 8))


def test_what_16_bit_planes_lose_is_told_as_of_others():
    faint = drawn(3, np.uint16, 4096)
    remarks = [decode_remarked(written(faint, apart=apart))[1] for apart in (True, False)]
    assert remarks[0] == remarks[1]
    assert remarks[0][0] == 16


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("n_channels", "photometric", "further", "told"),
    [
        (2, 1, {"tag338": 2}, "2 values"),
        (2, 1, {"tag338": 1}, "2 values"),
        (3, 8, {}, "3 values"),
    ],
)
def test_planes_that_pillow_mixes_up_are_refused(n_channels, photometric, further, told, packed):
    data = written(drawn(n_channels, np.uint8), photometric, packed=packed, **further)
    sentence = f"^TIFF with {told} of 8 bits a pixel, each in a plane .* 16 bits, interleaved$"
    with pytest.raises(DecodeError, match=sentence):
        decode_full(data)


@pytest.mark.parametrize(
    ("values", "photometric", "further"),
    [
        (drawn(4, np.uint16), 5, {}),  # CMYK
        (drawn(3, np.uint8), 6, {}),  # YCbCr
        (drawn(4, np.uint8), 2, {"tag338": 1}),
        (drawn(4, np.uint8), 2, {"tag338": 0}),
        (drawn(3, np.uint8), 2, {"tag266": 2}),
        (drawn(1, np.uint8), 0, {}),
        (drawn(1, np.uint16), 1, {}),
    ],
)
def test_raw_planes_that_are_no_plain_bytes_are_refused(values, photometric, further):
    with pytest.raises(DecodeError, match=r"a pixel, each in a plane of its own, is not read here"):
        decode_full(written(values, photometric, **further))


def test_planes_that_were_read_are_read():
    grey = drawn(1, np.uint8)
    got = decode_full(written(grey, 1))
    np.testing.assert_array_equal(np.asarray(got)[..., :1], grey)
    cmyk = drawn(4, np.uint8)
    got = np.asarray(decode_full(written(cmyk, 5)))
    np.testing.assert_array_equal(got, np.asarray(decode_full(written(cmyk, 5, apart=False))))


def test_a_plane_that_is_not_there_is_told():
    with pytest.raises(DecodeError, match=r"damaged file: the header says 7 × 6, the strips hold"):
        decode_full(written(drawn(3, np.uint8), n_planes=2))


@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bits_whose_0_is_white_are_refused_and_8_bits_turned(order):
    grey = drawn(1, np.uint8)
    got = decode_full(written(grey, 0, apart=False, order=order))
    np.testing.assert_array_equal(np.asarray(got)[..., :1], 255 - grey)
    with pytest.raises(
        DecodeError, match=r"^TIFF with 1 white-is-zero value of 16 bits a pixel is"
    ):
        decode_full(written(drawn(1, np.uint16), 0, apart=False, order=order))


@pytest.mark.parametrize("photometric", [6, 8])
def test_other_colours_of_16_bits_are_named(photometric):
    with pytest.raises(DecodeError, match=r"^TIFF with 3 (YCbCr|CIELAB) values of 16 bits a pixel"):
        decode_full(written(drawn(3, np.uint16), photometric, apart=False))


def test_signed_grey_below_zero_is_refused_whatever_its_bits():
    for dtype in (np.int8, np.int16):
        grey = np.linspace(-100, 100, 42).astype(dtype).reshape(6, 7, 1)
        with pytest.raises(
            DecodeError, match=r"^grey values from -100 to 100 have no agreed range"
        ):
            decode_full(written(grey, 1, apart=False, tag339=2))
    bright = np.abs(grey).astype(np.int8)
    got = decode_full(written(bright, 1, apart=False, tag339=2))
    np.testing.assert_array_equal(np.asarray(got)[..., :1], bright)
