"""Both versions of the rules: what they give for ever, and that they differ in nothing else."""

import io
import random
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import DecodeError, InputError
from pipeline.images import RESIZE_MODES, DecodeRecipe, RowLoader, decode, decode_full, scale
from pipeline.images.decode import decode_remarked

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "decode"
PHOTO = (GOLDEN / "photo.jpg").read_bytes()
MODULE = import_module("pipeline.images.decode")  # the package has a function of that name
NEW, OLD = DecodeRecipe(8), DecodeRecipe(8, version=1)


def jpeg(mode="RGB", size=(53, 37), format_="JPEG", **options):
    pixels = np.random.default_rng(0).integers(0, 256, (7, 9, 3), np.uint8)
    image = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).convert(mode)
    buffer = io.BytesIO()
    if format_ == "MPO":
        options |= {"save_all": True, "append_images": [image.transpose(1)]}
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return jpeg(exif=exif)


def marked(data, marker, at=2, to=None):
    """Change the frame header's marker, or the byte ``at`` behind it."""
    changed, start = bytearray(data), data.index(b"\xff\xc0")
    changed[start + 1] = marker
    changed[start + at] = changed[start + at] if to is None else to
    return bytes(changed)


QUICK = {
    "plain": jpeg(),
    "fully sampled": jpeg(subsampling=0),
    "half sampled": jpeg(subsampling=1),
    "progressive": jpeg(progressive=True),
    "stored as RGB": jpeg(keep_rgb=True),
    "restart markers": jpeg(restart_marker_rows=1),
    "MPO": jpeg(format_="MPO"),
    "colour profile": jpeg(icc_profile=b"x" * 100_000),
    "one pixel": jpeg(size=(1, 1)),
    "a line": jpeg(size=(900, 1)),
    "odd sides": jpeg(size=(17, 15)),
    "garbage behind it": jpeg() + b"garbage" * 50,
    "two in one file": jpeg() + jpeg(size=(9, 9)),
    **{f"orientation {n}": turned(n) for n in range(1, 10)},
}
SLOW = {
    "grey": jpeg("L"),
    "CMYK": jpeg("CMYK"),
    "without its end": jpeg()[:-2],
    "garbage before it": b"\0" + jpeg(),
    "cut off": jpeg()[:-200],
    "closed behind a cut": jpeg()[:-200] + b"\xff\xd9",
    "arithmetic": marked(jpeg(), 0xC9),
    "lossless": marked(jpeg(), 0xC3),
    "12 bits": marked(jpeg(), 0xC0, 4, 12),
    "no height": marked(jpeg(size=(53, 7)), 0xC0, 6, 0),
}


def outcome(data, recipe):
    try:
        picture, remark = decode_remarked(data, recipe)
    except DecodeError as error:
        return str(error)
    return np.asarray(picture).shape, np.asarray(picture).tobytes(), remark


@pytest.fixture
def without_packages(monkeypatch):
    monkeypatch.setattr(MODULE, "decode_jpeg", None)
    monkeypatch.setattr(scale, "fast", None)


@pytest.mark.parametrize("mode", RESIZE_MODES)
@pytest.mark.parametrize("version", [1, 2])
def test_pixels_are_what_they_were(version, mode):
    got = decode(PHOTO, DecodeRecipe(32, mode, version=version))
    np.testing.assert_array_equal(got, np.load(GOLDEN / "pixels.npz")[f"{version} {mode}"])


@pytest.mark.usefixtures("without_packages")
@pytest.mark.parametrize("mode", RESIZE_MODES)
def test_pixels_are_the_same_where_no_package_can_be_installed(mode):
    test_pixels_are_what_they_were(2, mode)


def test_a_loader_gives_the_same_pixels():
    images, _ = RowLoader(lambda row: PHOTO, DecodeRecipe(32)).load(0, (0,))
    np.testing.assert_array_equal(images[0], np.load(GOLDEN / "pixels.npz")["2 squash"])


@pytest.mark.parametrize("name", QUICK)
def test_a_jpeg_has_the_pixels_that_pillow_gives(name):
    pytest.importorskip("simplejpeg")
    picture, _ = decode_remarked(QUICK[name], NEW)
    orientation = name.removeprefix("orientation ")
    # Whatever is turned is turned by Pillow.
    assert isinstance(picture, Image.Image) == (orientation in set("2345678"))
    assert outcome(QUICK[name], NEW) == outcome(QUICK[name], OLD)
    assert decode_full(QUICK[name], NEW).mode == "RGB"


@pytest.mark.parametrize("name", SLOW)
def test_whatever_is_odd_is_for_pillow_to_judge(name):
    found = outcome(SLOW[name], NEW)
    assert found == outcome(SLOW[name], OLD)
    if isinstance(found, tuple):
        assert isinstance(decode_remarked(SLOW[name], NEW)[0], Image.Image)


def test_damaged_files_have_the_same_outcome():
    """Bytes are changed, left out and put in at random, and files cut off."""
    draw = random.Random(0)
    refused = 0
    for data in [jpeg(), jpeg(progressive=True), turned(6)] * 60:
        at, damaged = draw.randrange(2, len(data)), bytearray(data)
        kind = draw.randrange(4)
        if kind == 0:
            damaged[at] = draw.randrange(256)
        else:
            damaged[at : at + draw.randrange(30)] = draw.randbytes((0, 0, 20, 1)[kind])
        if kind == 3:
            del damaged[at:]
        found = outcome(bytes(damaged), NEW)
        refused += isinstance(found, str)
        assert found == outcome(bytes(damaged), OLD)
    assert 20 < refused < 160


def test_scaled_jpegs_stay_with_pillow():
    recipe = DecodeRecipe(8, jpeg="scaled")
    data = jpeg(size=(64, 48))
    picture, _ = decode_remarked(data, recipe)
    assert isinstance(picture, Image.Image)
    assert picture.size == (32, 24)


def test_the_newest_version_depends_on_the_interpolation():
    assert DecodeRecipe(8).version == 2
    assert DecodeRecipe(8, interpolation="bicubic").version == 1
    assert DecodeRecipe(8, version=1).to_dict()["version"] == 1
    with pytest.raises(InputError, match=r"decodes lanczos by version 1 of its rules; received v"):
        DecodeRecipe(8, interpolation="lanczos", version=2)
    with pytest.raises(InputError, match=r"bilinear by version 1 or 2 .* received version=True"):
        DecodeRecipe(8, version=True)
