"""Scaled JPEG decoding: when it happens, how near it comes, that nothing else changes."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import DecodeError, InputError
from pipeline.images import RESIZE_MODES, DecodeRecipe, decode, decode_full
from pipeline.images.recipe import jpeg_scale


def scaled(size, resize="squash"):
    return DecodeRecipe(size, resize, jpeg="scaled")


def smooth(width=256, height=192):
    """Soft waves in each channel, brighter to the lower right so that turns show."""
    rows, columns = np.mgrid[:height, :width] / width
    waves = [np.sin(7 * columns + 3 * rows + phase) for phase in (0, 2, 4)]
    pixels = 110 + 50 * np.stack(waves, axis=-1) + 60 * (rows + columns)[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def jpeg(image, format_="JPEG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format_, quality=95, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("size", "target", "expected"),
    [
        ((4000, 3000), 224, 4),
        ((4000, 3000), 128, 8),
        ((4000, 3000), 187, 8),
        ((4000, 3000), 188, 4),
        ((4000, 3000), 800, 1),
        # Neither a half nor a quarter of an odd side is a whole number of pixels.
        ((4000, 3001), 96, 1),
        ((4000, 3002), 96, 2),
        ((500, 375), 224, 1),
        # The short side decides, whatever the resize mode.
        ((9000, 300), 96, 1),
    ],
)
def test_scale_divides_both_sides_and_leaves_twice_the_target(size, target, expected):
    assert jpeg_scale(size, scaled(target)) == expected
    assert jpeg_scale(size, DecodeRecipe(target)) == 1


@pytest.mark.parametrize("resize", RESIZE_MODES)
@pytest.mark.parametrize("size", [12, 24, 48])
def test_a_smooth_picture_comes_out_nearly_the_same(resize, size):
    data = jpeg(smooth())
    full = decode(data, DecodeRecipe(size, resize)).astype(int)
    difference = np.abs(decode(data, scaled(size, resize)) - full)
    assert decode_full(data, scaled(size, resize)).width == 256 // (96 // size)
    assert difference.max() <= 3
    assert difference.mean() <= 0.6


def test_pictures_too_small_to_scale_are_bit_identical():
    data = jpeg(smooth())
    np.testing.assert_array_equal(decode(data, scaled(97)), decode(data, DecodeRecipe(97)))


@pytest.mark.parametrize("format_", ["PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF"])
def test_other_formats_are_bit_identical(format_):
    buffer = io.BytesIO()
    smooth().save(buffer, format_)
    data = buffer.getvalue()
    assert decode_full(data, scaled(24)).size == (256, 192)
    np.testing.assert_array_equal(decode(data, scaled(24)), decode(data, DecodeRecipe(24)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_still_holds(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = jpeg(smooth(), exif=exif)
    assert min(decode_full(data, scaled(24)).size) == 48
    full = decode(data, DecodeRecipe(24)).astype(int)
    np.testing.assert_allclose(decode(data, scaled(24)), full, atol=3)


@pytest.mark.parametrize("mode", ["CMYK", "L"])
def test_other_colours_still_hold(mode):
    data = jpeg(smooth().convert(mode))
    assert decode_full(data, scaled(24)).size == (64, 48)
    full = decode(data, DecodeRecipe(24)).astype(int)
    np.testing.assert_allclose(decode(data, scaled(24)), full, atol=3)


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 0}])
def test_progressive_and_fully_sampled_files(options):
    data = jpeg(smooth(), **options)
    full = decode(data, DecodeRecipe(24)).astype(int)
    np.testing.assert_allclose(decode(data, scaled(24)), full, atol=3)


def test_first_picture_of_an_mpo():
    data = jpeg(smooth(), "MPO", save_all=True, append_images=[Image.new("RGB", (256, 192))])
    assert decode_full(data, scaled(24)).size == (64, 48)
    full = decode(data, DecodeRecipe(24)).astype(int)
    np.testing.assert_allclose(decode(data, scaled(24)), full, atol=3)


def test_truncated_files_are_still_refused():
    data = jpeg(smooth())
    for percent in range(0, 100, 5):
        with pytest.raises(DecodeError, match=r"damaged file|empty"):
            decode(data[: len(data) * percent // 100], scaled(24))


def test_recipe_names_the_way_only_where_it_is_not_full():
    assert scaled(24).to_dict()["jpeg"] == "scaled"
    assert "jpeg" not in DecodeRecipe(24).to_dict()
    for recipe in (scaled(24), DecodeRecipe(24)):
        assert DecodeRecipe(**recipe.to_dict()) == recipe


def test_unknown_ways_are_refused():
    with pytest.raises(InputError, match=r"unknown way to decode JPEG 'scale'; nearest: scaled"):
        DecodeRecipe(24, jpeg="scale")
