"""Damaged and hostile files: whole pictures or a reason, never a guess, never another decoder."""

import io
import struct
import subprocess
import zlib

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import DecodeError
from pipeline.images import DecodeRecipe, decode_full
from pipeline.images.sniff import FORMATS


def picture(height=40, width=52):
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8))


def encode(image, format_, **options):
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def frames(image):
    return {"save_all": True, "append_images": [image.transpose(Image.Transpose.ROTATE_180)]}


def samples(image):
    """One file of each format and of each way to store pixels in it."""
    return {
        "JPEG": encode(image, "JPEG"),
        "progressive JPEG": encode(image, "JPEG", progressive=True),
        "CMYK JPEG": encode(image.convert("CMYK"), "JPEG"),
        "MPO": encode(image, "MPO", **frames(image)),
        "PNG": encode(image, "PNG"),
        "palette PNG": encode(image.convert("P"), "PNG", transparency=3),
        "animated PNG": encode(image, "PNG", **frames(image)),
        "WebP": encode(image, "WEBP"),
        "lossless WebP": encode(image, "WEBP", lossless=True),
        "animated WebP": encode(image, "WEBP", **frames(image)),
        "GIF": encode(image, "GIF"),
        "animated GIF": encode(image, "GIF", **frames(image)),
        "TIFF": encode(image, "TIFF"),
        "LZW TIFF": encode(image, "TIFF", compression="tiff_lzw"),
        "deflate TIFF": encode(image, "TIFF", compression="tiff_adobe_deflate"),
        "JPEG TIFF": encode(image, "TIFF", compression="jpeg"),
        "fax TIFF": encode(image.convert("1"), "TIFF", compression="group4"),
        "BMP": encode(image, "BMP"),
        "palette BMP": encode(image.convert("P"), "BMP"),
        "AVIF": encode(image, "AVIF"),
        "PPM": encode(image, "PPM"),
        "PPM of 100 values": b"P6 %d %d 100\n" % image.size
        + bytes(value % 101 for value in image.tobytes()),
        "PBM": encode(image.convert("1"), "PPM"),
        "PGM of 16 bits": encode(Image.fromarray(np.asarray(image)[..., 0].astype("u2")), "PPM"),
        "ASCII PPM": b"P3 %d %d 255 " % image.size + b" ".join(b"%d" % v for v in image.tobytes()),
    }


SAMPLES = samples(picture())
SMALL = samples(picture(9, 7))


def array_or_reason(data):
    try:
        return np.array(decode_full(data))
    except DecodeError as error:
        return str(error)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_file_cut_anywhere_is_refused_or_has_all_its_pixels(name):
    """What lies behind the last pixel (a checksum, an end marker) may be missing, no pixel may."""
    data = SAMPLES[name]
    whole = np.array(decode_full(data))
    for length in {len(data) * percent // 100 for percent in range(0, 100, 5)}:
        outcome = array_or_reason(data[:length])
        if isinstance(outcome, str):
            assert outcome
        else:
            np.testing.assert_array_equal(outcome, whole)
            # The second frame of an animation is never needed.
            assert length > 0.9 * len(data) or "animated" in name or name == "MPO"


@pytest.mark.parametrize(
    ("name", "may_miss", "may_not"),
    [
        ("JPEG", 0, 1),
        ("progressive JPEG", 0, 1),
        ("WebP", 0, 1),
        ("lossless WebP", 0, 1),
        ("TIFF", 0, 1),
        ("LZW TIFF", 0, 1),
        ("BMP", 0, 1),
        # The end of the blocks of pixels, and the end of the file.
        ("GIF", 2, 12),
        # The checksum of the pixels, and the empty chunk that ends the file.
        ("PNG", 16, 40),
    ],
)
def test_how_much_of_the_end_may_be_missing(name, may_miss, may_not):
    data = SAMPLES[name]
    whole = np.array(decode_full(data))
    np.testing.assert_array_equal(np.array(decode_full(data[: len(data) - may_miss])), whole)
    with pytest.raises(DecodeError, match="damaged file"):
        decode_full(data[: len(data) - may_not])


JPEGS = {
    "colour": (picture(), {}),
    "unsampled": (picture(), {"subsampling": 0}),
    "grey": (picture().convert("L"), {}),
    "CMYK": (picture().convert("CMYK"), {}),
    "with restart markers": (picture(), {"restart_marker_rows": 1}),
    "with flat areas": (Image.new("RGB", (640, 480), (0, 90, 200)), {}),
}


@pytest.mark.parametrize("name", JPEGS)
@pytest.mark.parametrize(
    "recipe",
    [None, DecodeRecipe(8), DecodeRecipe(8, jpeg="scaled")],
    ids=["full", "version 2", "scaled"],
)
def test_a_jpeg_closed_behind_a_cut_is_refused(name, recipe):
    image, options = JPEGS[name]
    data = encode(image, "JPEG", **options)
    start = data.index(b"\xff\xda") + 20
    for tenths in range(1, 10):
        length = start + (len(data) - start) * tenths // 10
        closed = data[:length].rstrip(b"\xff") + b"\xff\xd9"
        with pytest.raises(DecodeError, match=r"^damaged file: it ends before the picture does$"):
            decode_full(closed, recipe)


@pytest.mark.parametrize("value", [126, 127, 128, 129])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_mid_grey_jpeg_is_a_picture(value, mode):
    image = Image.new(mode, (40, 30), value if mode == "L" else (value,) * len(mode))
    assert decode_full(encode(image, "JPEG")).size == (40, 30)


def repaired(data):
    """Set right the checksums of PNG chunks, so that damage gets further than to them."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    at, parts = 8, [data[:8]]
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        body = data[at + 4 : at + 8 + length]
        parts.append(data[at : at + 4] + body + struct.pack(">I", zlib.crc32(body)))
        at += 12 + length
    return b"".join(parts)


def mutations(data, n):
    rng = np.random.default_rng(len(data))
    for _ in range(n):
        mutant = bytearray(data)
        for _ in range(rng.integers(1, 5)):
            # Most of what can go wrong is in the header.
            at = int(rng.integers(0, min(len(mutant), 200 if rng.random() < 0.7 else len(mutant))))
            junk = rng.integers(0, 256, rng.integers(1, 4), np.uint8).tobytes()
            mutant[at : at + int(rng.integers(0, 4))] = junk
        yield repaired(bytes(mutant)) if rng.random() < 0.5 else bytes(mutant)


@pytest.mark.parametrize("name", SMALL)
def test_a_changed_file_gives_a_picture_or_a_reason_and_nothing_else(name, capfd):
    n_refused = 0
    for mutant in mutations(SMALL[name], 150):
        outcome = array_or_reason(mutant)
        if isinstance(outcome, str):
            n_refused += 1
            assert outcome
            assert "\n" not in outcome
        else:
            assert outcome.ndim == 3
            assert outcome.shape[2] == 3
            assert outcome.dtype == np.uint8
    assert n_refused > 0
    # Neither Pillow nor libtiff writes lines of its own between ours.
    assert capfd.readouterr() == ("", "")


def test_only_the_allowed_decoders_are_asked(monkeypatch):
    assert set(FORMATS) < set(Image.OPEN)

    def never(*_):
        raise AssertionError("asked a decoder that is not on the list")

    for name in set(Image.OPEN) - set(FORMATS) - {"MPO"}:
        monkeypatch.setitem(Image.OPEN, name, (never, never))
    for function in ("Popen", "run", "check_call", "check_output"):
        monkeypatch.setattr(subprocess, function, never)
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    with pytest.raises(DecodeError, match=r"^PostScript files are not read here"):
        decode_full(eps)
    for others in ("ICO", "TGA", "PCX", "SGI", "DDS", "PDF"):
        with pytest.raises(DecodeError, match=r"not read here|not a picture in a known format"):
            decode_full(encode(picture(), others))
    for data in SAMPLES.values():
        assert decode_full(data).size == (52, 40)


@pytest.mark.parametrize("mode", ["RGB", "1", "L", "I;16", "CMYK", "LAB"])
def test_a_tiff_with_fewer_strips_than_rows_is_refused(mode):
    image = Image.new(mode, (16, 8))
    whole = encode(image, "TIFF")
    assert decode_full(whole).size == (16, 8)
    # The entry of the height: tag 257, of type 4 (or 3), one of it, 8.
    entry = next(e for t in (3, 4) if (e := struct.pack("<HHII", 257, t, 1, 8)) in whole)
    taller = whole.replace(entry, entry[:8] + struct.pack("<I", 16))
    with pytest.raises(DecodeError, match=r"says 16 × 16, the strips hold 128 pixels"):
        decode_full(taller)


def with_chunk(png, name, body):
    """Put a chunk right behind the header of a PNG."""
    chunk = struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return png[:33] + chunk + png[33:]


BOMB = zlib.compress(bytes(2 * 2**20))


@pytest.mark.parametrize(
    ("name", "body"),
    [
        (b"zTXt", b"Comment\0\0" + BOMB),
        (b"iTXt", b"Comment\0\1\0\0\0" + BOMB),
        (b"iCCP", b"profile\0\0" + BOMB),
    ],
)
def test_texts_and_profiles_that_unpack_to_a_lot_are_refused(name, body):
    with pytest.raises(DecodeError, match=r"^its texts or colour profile .*: save it without them"):
        decode_full(with_chunk(SAMPLES["PNG"], name, body))


def test_long_texts_and_profiles_that_need_no_unpacking_change_nothing():
    text = with_chunk(SAMPLES["PNG"], b"tEXt", b"Comment\0" + b"x" * (2 * 2**20))
    assert decode_full(text).tobytes() == picture().tobytes()
    profile = encode(picture(), "JPEG", icc_profile=bytes(3 * 2**20))
    assert decode_full(profile).tobytes() == decode_full(SAMPLES["JPEG"]).tobytes()


def test_a_frame_larger_than_allowed_is_refused_whatever_the_screen_of_a_gif():
    gif = bytearray(SAMPLES["GIF"])
    # The image descriptor's width and height follow its comma, left and top.
    at = gif.index(b",\0\0\0\0\x34\0\x28\0")
    gif[at + 5 : at + 9] = struct.pack("<HH", 60_000, 60_000)
    with pytest.raises(DecodeError, match=r"too large|damaged file"):
        decode_full(bytes(gif))
