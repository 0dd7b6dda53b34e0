"""Every broken, odd or hostile file of the collection: what becomes of it, written down."""

import json
import subprocess
import sys

import pytest

# Two pictures of the largest size that is decoded, and the libraries.
MEMORY = 2 * 2**30

SCRIPT = f"""
import json, resource, sys
from pathlib import Path
from pipeline.errors import DecodeError
from pipeline.images import DecodeRecipe, decode, decode_full

resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))
root = Path(sys.argv[1])
for path in sorted(p for p in root.rglob("*") if p.is_file() and p.name != "MANIFEST.tsv"):
    data = path.read_bytes()
    try:
        outcome = decode_full(data).size
        assert decode_full(data, DecodeRecipe(32)).tobytes() == decode_full(data).tobytes()
        assert decode(data, DecodeRecipe(32)).shape == (32, 32, 3)
    except DecodeError as error:
        outcome = str(error)
    print(json.dumps([path.relative_to(root).as_posix(), outcome]))
"""

NOT_READ = "files are not read here: convert to one of JPEG"
NO_HEADER = "damaged file: starts like {}, but its header cannot be read"
CUT_OFF = "damaged file: image file is truncated"

# The upright size (width, height), or how the reason begins.
OUTCOMES = {
    # Sizes are read before anything is decoded.
    "bomb/badwidth.bmp": "too large: more than the 89,478,485 pixels",
    "bomb/decompression_bomb.gif": "too large: more than the 89,478,485 pixels",
    "bomb/decompression_bomb.ico": f"ICO {NOT_READ}",
    # The second frame is the bomb; it is never looked at.
    "bomb/decompression_bomb_extents.gif": [100, 100],
    "bomb/png_decompression_dos.png": "its texts or colour profile unpack to more than is read",
    "corrupt/broken.png": NO_HEADER.format("PNG"),
    "corrupt/broken_data_stream.png": "damaged file: unrecognized data stream",
    # The frames of the animation are out of order: which one would be the picture?
    "corrupt/chunk_no_fctl.png": "damaged file: APNG contains frame sequence errors",
    "corrupt/crash-0e16d3bfb83be87356d026d66919deaefca44dac.tif": "damaged file: decoder error",
    "corrupt/libtiff_segfault.tif": NO_HEADER.format("TIFF"),
    "corrupt/not_enough_data.jp2": f"JPEG 2000 {NOT_READ}",
    "corrupt/tf_corrupt.jpg": "damaged file: broken data stream",
    "corrupt/tf_corrupt34_3.jpg": CUT_OFF,
    "corrupt/tf_corrupt34_4.jpg": CUT_OFF,
    # All pixels are there; only the note on their colours is short.
    "corrupt/truncated_app14.jpg": [100, 100],
    "corrupt/truncated_end_chunk.png": "damaged file: Truncated File Read",
    "corrupt/ultrahdr.jpg": CUT_OFF,
    "corrupt/unknown_compression_method.png": NO_HEADER.format("PNG"),
    "corrupt/zero_width.gif": NO_HEADER.format("GIF"),
    # What EXIF says besides the orientation is nobody's concern here, damaged or not.
    "exif/exif_typeerror.jpg": [800, 531],
    "exif/hopper_orientation_3.jpg": [128, 128],
    "exif/hopper_orientation_6.jpg": [128, 128],
    "exif/hopper_orientation_6.webp": [128, 128],
    "exif/icc_profile_big.jpg": [425, 250],
    # Stored 2 × 1 and to be turned.
    "exif/orientation_rectangle.jpg": [1, 2],
    "exif/truncated_exif_dpi.jpg": [480, 640],
    "exif/xmp_tags_orientation.png": [326, 268],
    "format/hopper.bmp": [128, 128],
    "format/hopper.gif": [128, 128],
    "format/hopper_rle8.bmp": [128, 128],
    "format/imageNotFound.gif": [300, 300],
    # The first of 42 frames.
    "format/iss634.webp": [245, 245],
    "format/jpeg_ff00_header.jpg": [300, 225],
    "format/junk_jpeg_header.jpg": [1024, 768],
    # The first of 3 pages.
    "format/multipage.tiff": [10, 10],
    "format/sugarshack.mpo": [640, 480],
    "format/sugarshack_bad_mpo_header.jpg": [640, 480],
    "format/test-card-lossless.jp2": f"JPEG 2000 {NOT_READ}",
    "made/empty.jpg": "the file is empty",
    "made/gif_named.jpg": [128, 128],
    "made/half.jpg": CUT_OFF,
    "made/head100.jpg": "damaged file: Truncated File Read",
    "made/png_named.jpg": [128, 128],
    "made/spaces and ünïcode (1).jpg": [300, 280],
    "mode/hopper.Lab.tif": [128, 128],
    "mode/hopper_bw_500.png": [500, 500],
    "mode/hopper_gray.jpg": [128, 128],
    "mode/i_trns.png": [64, 64],
    "mode/mode_grayscale_alpha.png": [128, 64],
    "mode/p_16.png": [128, 128],
    "mode/pil_sample_cmyk.jpg": [100, 100],
    "mode/tRNS_null_1x1.png": [1, 1],
    "mode/tf_jpeg_merge_test1_cmyk.jpg": [128, 256],
    "mode/transparent.png": [200, 150],
}


@pytest.fixture(scope="module")
def decoded(material):
    """Decode the collection in a process of its own that may use little memory and time."""
    pytest.importorskip("resource")
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(material / "bad_images")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert process.returncode == 0, process.stderr
    return dict(map(json.loads, process.stdout.splitlines())), process.stderr


@pytest.fixture(scope="module")
def manifest(material):
    lines = (material / "bad_images" / "MANIFEST.tsv").read_text("utf-8").splitlines()
    return {line.split("\t")[0].removeprefix("bad_images/") for line in lines if line[0] != "#"}


def test_the_table_has_every_file(decoded, manifest):
    assert set(OUTCOMES) == manifest == set(decoded[0])


@pytest.mark.parametrize("name", OUTCOMES)
def test_outcome(decoded, name):
    outcome, expected = decoded[0][name], OUTCOMES[name]
    if isinstance(expected, list):
        assert outcome == expected
    else:
        assert isinstance(outcome, str)
        assert outcome.startswith(expected)


def test_damaged_files_leave_nothing_on_the_screen(decoded):
    assert decoded[1] == ""
