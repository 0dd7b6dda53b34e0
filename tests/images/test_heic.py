"""HEIC, with the extra of that name."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import DecodeError
from pipeline.images import decode_full
from pipeline.images.decode import decode_remarked
from pipeline.images.remarks import FRAMES, NO_REMARK

pillow_heif = pytest.importorskip("pillow_heif", reason="needs the extra heic")

ROWS, COLUMNS = np.mgrid[0:48, 0:64]
PIXELS = np.stack([ROWS * 5, COLUMNS * 3, ROWS + COLUMNS], -1).astype(np.uint8)
LOSSLESS = {"quality": -1, "chroma": 444}


def heic(*pixels):
    file = pillow_heif.HeifFile()
    for each in pixels:
        file.add_from_pillow(Image.fromarray(each))
    buffer = io.BytesIO()
    file.save(buffer, **LOSSLESS)
    return buffer.getvalue()


def test_colours_grey_and_transparency():
    got = np.array(decode_full(heic(PIXELS))).astype(int)
    np.testing.assert_allclose(got, PIXELS, atol=2)
    got = np.array(decode_full(heic(PIXELS[..., 1])))
    np.testing.assert_array_equal(got, np.stack([PIXELS[..., 1]] * 3, -1))
    clear = np.dstack([PIXELS, np.zeros((48, 64), np.uint8)])
    np.testing.assert_array_equal(np.array(decode_full(heic(clear))), 255)


SAVING = """
import sys
from PIL import Image
import pillow_heif
pillow_heif.register_heif_opener()
exif = Image.Exif()
exif[0x0112] = int(sys.argv[2])
image = Image.open(sys.argv[1])
image.save(sys.argv[1] + ".heic", "HEIF", exif=exif.tobytes(), quality=-1, chroma=444)
"""


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda a: a),
        (3, lambda a: a[::-1, ::-1]),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (8, lambda a: np.rot90(a)),
    ],
)
def test_pictures_are_turned_upright_once(tmp_path, orientation, upright):
    # Only Pillow's way of saving turns; it would stay registered in this process.
    path = tmp_path / "a.png"
    Image.fromarray(PIXELS).save(path)
    command = [sys.executable, "-c", SAVING, str(path), str(orientation)]
    subprocess.run(command, check=True, capture_output=True)
    data = (tmp_path / "a.png.heic").read_bytes()
    got = np.array(decode_full(data)).astype(int)
    np.testing.assert_allclose(got, upright(PIXELS), atol=2)


def test_a_file_that_is_cut_is_refused():
    data = heic(PIXELS)
    for percent in range(10, 100, 10):
        with pytest.raises(DecodeError, match=r"^damaged file"):
            decode_full(data[: len(data) * percent // 100])


def test_several_pictures_in_a_file_are_noticed():
    assert decode_remarked(heic(PIXELS))[1] == NO_REMARK
    assert decode_remarked(heic(PIXELS, PIXELS[::-1]))[1] == (0, 0, 0, FRAMES)


def test_nothing_is_registered_with_pillow():
    decode_full(heic(PIXELS))
    assert "HEIF" not in Image.OPEN
