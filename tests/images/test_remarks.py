"""What pictures lose as they are decoded, and how that is told."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from pipeline.images.decode import decode_remarked
from pipeline.images.remarks import FRAMES, NO_REMARK, PLANES, noted, sentences

SIDE = 40


def remark(image, format_="PNG", **options):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return decode_remarked(buffer.getvalue())[1]


def ramp(low, high, dtype=np.uint16):
    return np.linspace(low, high, SIDE * SIDE).reshape(SIDE, SIDE).astype(dtype)


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "PPM"])
@pytest.mark.parametrize(("low", "high"), [(0, 4095), (0, 65535), (30_000, 34_000), (7, 7)])
def test_the_range_of_16_bits(format_, low, high):
    assert remark(ramp(low, high), format_) == (16, low, high, 0)


@pytest.mark.parametrize("maxval", [1023, 4095, 65535])
@pytest.mark.parametrize("kind", ["P2", "P5"])
def test_a_pgm_that_says_its_range_uses_all_of_it(kind, maxval):
    values = ramp(0, maxval)
    text = b" ".join(b"%d" % value for value in values.ravel().tolist())
    body = values.astype(">u2").tobytes() if kind == "P5" else text
    data = b"%s\n%d %d\n%d\n" % (kind.encode(), SIDE, SIDE, maxval) + body
    assert decode_remarked(data)[1] == (16, 0, 65535, 0)


def test_few_values_far_away_do_not_count():
    dead = ramp(0, 4095)
    dead[3, 3:5] = 65535
    bits, low, high, _ = remark(dead)
    assert bits == 16
    assert 0 <= low < 30
    assert 4000 < high <= 4095
    written = ramp(0, 4095)
    written[:4] = 65535  # a tenth of the picture is no outlier
    assert remark(written) == (16, written.min(), 65535, 0)


def test_integers_of_32_bits_are_taken_for_16():
    assert remark(ramp(0, 255, np.int32), "TIFF") == (16, 0, 255, 0)


def test_colours_of_16_bits():
    """Pillow keeps the high byte of each value; 12 bits become nearly black."""
    colours = np.stack([ramp(0, 4095)] * 3, -1).astype(">u2").tobytes()
    data = tiff(colours, bits=(16, 16, 16), order=">")
    assert decode_remarked(data)[1] == (16, 0, 4095, 0)


def tiff(pixels, bits=(8,), extra=(), kind=1, order="<"):
    """Write an uncompressed TIFF of any kind of pixels: SIDE × SIDE, one strip."""
    n, photometric = len(bits), 2 if len(bits) >= 3 else 1
    n_tags = 11 if extra else 10
    at = 8 + 2 + 12 * n_tags + 4
    lists = {258: bits, 338: extra, 339: (kind,) * n}
    packed, places = b"", {}
    for tag, values in lists.items():
        places[tag] = at + len(packed)
        packed += struct.pack(f"{order}{len(values)}H", *values)
    packed += b"\0" * (len(packed) % 2)
    tags = [(256, 1, SIDE), (257, 1, SIDE), (258, n, bits), (259, 1, 1), (262, 1, photometric)]
    tags += [(273, 1, at + len(packed)), (277, 1, n), (278, 1, SIDE), (279, 1, len(pixels))]
    tags += [(338, len(extra), extra)] * bool(extra) + [(339, n, (kind,) * n)]
    body = struct.pack(f"{order}H", n_tags)
    for tag, count, value in tags:
        if isinstance(value, tuple) and count <= 2:
            field = struct.pack(f"{order}{count}H", *value).ljust(4, b"\0")
        else:
            field = struct.pack(f"{order}I", places[tag] if isinstance(value, tuple) else value)
        type_ = 3 if isinstance(value, tuple) else 4
        body += struct.pack(f"{order}HHI", tag, type_, count) + field
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    return head + body + bytes(4) + packed + pixels


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (ramp(0, 5, np.uint8), (8, 0, 5, 0)),
        (ramp(100, 160, np.uint8), (8, 100, 160, 0)),
        (ramp(0, 255, np.uint8), NO_REMARK),
        (np.stack([ramp(0, 5, np.uint8)] * 3, -1), NO_REMARK),  # colours are not looked at
    ],
)
def test_8_bits(image, expected):
    assert remark(image) == expected
    assert remark(image, "BMP") == expected


def test_alpha_is_no_value():
    grey_and_alpha = np.stack([ramp(0, 5, np.uint8), np.full((SIDE, SIDE), 255, np.uint8)], -1)
    assert remark(Image.fromarray(grey_and_alpha, "LA")) == (8, 0, 5, 0)


def test_of_palettes_the_colours_count():
    mask = Image.fromarray(ramp(0, 5, np.uint8)).convert("P")
    mask.putpalette([value for value in range(6) for _ in range(3)])
    assert remark(mask) == (8, 0, 5, 0)
    mask.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9, 255, 255, 255])
    assert remark(mask) == NO_REMARK


def frames(n=3):
    colours = [Image.new("RGB", (8, 8), (40 * number, 200, 0)) for number in range(n)]
    return {"save_all": True, "append_images": colours[1:]}, colours[0]


@pytest.mark.parametrize("format_", ["GIF", "TIFF", "PNG", "WEBP", "AVIF"])
def test_frames_and_pages_are_noticed(format_):
    options, first = frames()
    assert remark(first, format_, **options)[3] == FRAMES
    assert remark(first, format_)[3] == 0


def test_what_an_mpo_has_beside_its_picture_is_no_frame():
    options, first = frames()
    assert remark(first, "MPO", **options) == NO_REMARK


def test_smaller_copies_in_a_tiff_are_no_pages():
    whole = Image.new("RGB", (8, 8))
    copy = Image.new("RGB", (4, 4))
    copy.encoderinfo = {"tiffinfo": {254: 1}}
    buffer = io.BytesIO()
    whole.save(buffer, "TIFF", save_all=True, append_images=[copy])
    assert decode_remarked(buffer.getvalue())[1] == NO_REMARK


def test_a_second_page_that_is_damaged_is_none():
    options, first = frames(2)
    buffer = io.BytesIO()
    first.save(buffer, "TIFF", **options)
    data = buffer.getvalue()
    assert decode_remarked(data)[1] == (0, 0, 0, FRAMES)
    first_page = struct.unpack_from("<I", data, 4)[0]
    next_page = first_page + 2 + 12 * struct.unpack_from("<H", data, first_page)[0]
    damaged = data[:next_page] + struct.pack("<I", len(data) + 99) + data[next_page + 4 :]
    assert decode_remarked(damaged)[1] == NO_REMARK


@pytest.mark.parametrize(
    ("bits", "extra", "dropped"),
    [
        ((8, 8, 8), (), 0),
        ((8, 8, 8, 8), (2,), 0),
        ((8, 8, 8, 8), (0,), PLANES),
        ((8, 8, 8, 8, 8), (0, 0), PLANES),
        ((8, 8, 8, 8, 8), (2, 0), PLANES),
        ((8, 8), (0,), PLANES),
    ],
)
def test_planes_beside_colour_are_noticed(bits, extra, dropped):
    pixels = np.random.default_rng(0).integers(0, 256, SIDE * SIDE * len(bits), np.uint8)
    assert decode_remarked(tiff(pixels.tobytes(), bits, extra))[1] == (0, 0, 0, dropped)


def test_sentences_count_files():
    narrow, wide = [(16, 0, 4095, 0), (16, 10, 900, FRAMES)], (16, 0, 65535, 0)
    remarks = np.array([*narrow, wide, (0, 0, 0, FRAMES | PLANES), (8, 0, 5, 0), NO_REMARK])
    assert sentences(remarks) == [
        "2 of 3 16-bit pictures use less than a quarter of their value range (0–4,095 of "
        "0–65,535): they are scaled as 0–65,535 and look almost black; stretch their values to "
        "0–65,535, or save them as 8-bit",
        "2 pictures have several frames or pages, of which the first is used",
        "1 picture has planes beside colour and transparency, which are not used",
    ]
    assert noted(remarks) == {
        0: "16-bit values 0–4,095 of 0–65,535",
        1: "16-bit values 10–900 of 0–65,535; several frames or pages, of which the first is used",
        3: "several frames or pages, of which the first is used; planes beside colour and "
        "transparency, which are not used",
        4: "8-bit values 0–5 of 0–255",
    }


def test_nothing_is_said_of_nothing():
    assert sentences(np.zeros((0, 4), np.int32)) == []
    assert sentences(np.zeros((3, 4), np.int32)) == []
    assert noted(np.zeros((3, 4), np.int32)) == {}


def test_bright_pictures_of_little_contrast_are_not_called_black():
    (sentence,) = sentences(np.array([(16, 30_000, 34_000, 0)]))
    assert "(30,000–34,000 of 0–65,535)" in sentence
    assert "look almost without contrast" in sentence


@pytest.mark.parametrize("n_bytes", [1, 3, 5, 7])
def test_a_damaged_second_frame_is_no_frame(n_bytes):
    first, second = (Image.new("L", (8, 8), grey) for grey in (0, 255))
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=[second])
    data = buffer.getvalue()
    at = data.rindex(b"\x2c", 0, -20)  # where the second frame says its place
    assert decode_remarked(data)[1][3] == FRAMES
    assert decode_remarked(data[: at + n_bytes])[1][3] == 0
