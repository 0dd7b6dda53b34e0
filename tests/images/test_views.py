"""Views: what decides them, what each change may do, what lies beyond the picture."""

import hashlib
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import InputError, UnknownNameError
from pipeline.images import CHANGES, DecodeRecipe, ViewRecipe, make_view
from pipeline.images.scale import resize

EVERYTHING = ",".join(CHANGES)
MOVING = "crop,flip,shift,zoom,rotate"
BRIGHTNESS_OF_VERSION_1 = [92, 107, 87, 91, 87, 98, 109, 110]
MODES = ("squash", "crop", "pad")
SQUARE = DecodeRecipe(64)


def digest(n=0):
    return hashlib.sha256(f"picture {n}".encode()).digest()


def views(image, policy, numbers=range(1, 61), decoding=SQUARE, seed=0):
    recipe = ViewRecipe(policy, seed)
    return [make_view(image, decoding, recipe, digest(), number) for number in numbers]


def flat(value=100, size=(80, 60)):
    return Image.new("RGB", size, (value,) * 3)


def ramps(side=256):
    """Red grows to the right and green downwards, by 200 over the picture."""
    grows = np.linspace(20, 220, side)
    pixels = np.zeros((side, side, 3))
    pixels[..., 0], pixels[..., 1] = grows[None, :], grows[:, None]
    return Image.fromarray(np.rint(pixels).astype(np.uint8))


def geometry(view):
    """Return the middle (x, y) that a view of `ramps` shows and its derivatives, in its sides."""
    size = len(view)
    inner = view[size // 4 : -(size // 4), size // 4 : -(size // 4), :2].astype(float)
    rows, columns = np.mgrid[: len(inner), : len(inner)] - (len(inner) - 1) / 2
    terms = np.stack([np.ones(rows.size), columns.ravel() / size, rows.ravel() / size], axis=1)
    solution = np.linalg.lstsq(terms, (inner.reshape(-1, 2) - 20) / 200, rcond=None)[0]
    return solution[0], solution[1:].T


def photo():
    rng = np.random.default_rng(0)
    small = rng.integers(0, 255, (12, 16, 3), np.uint8)
    return Image.fromarray(small).resize((160, 120), Image.Resampling.BICUBIC)


def test_a_view_is_an_array_of_the_asked_size():
    for mode in MODES:
        (view,) = views(photo(), EVERYTHING, [1], DecodeRecipe(31, mode))
        assert view.shape == (31, 31, 3)
        assert view.dtype == np.uint8
        assert view.flags.c_contiguous


def test_same_seed_content_and_number_give_the_same_bits_in_any_thread():
    alone = views(photo(), EVERYTHING)
    with ThreadPoolExecutor(4) as pool:
        numbers = list(range(60, 0, -1))
        together = list(pool.map(lambda n: views(photo(), EVERYTHING, [n])[0], numbers))
    np.testing.assert_array_equal(together[::-1], alone)


def test_seed_content_and_number_each_give_another_view():
    image, recipe = photo(), ViewRecipe(EVERYTHING, 0)
    made = [
        make_view(image, SQUARE, recipe, digest(), 1),
        make_view(image, SQUARE, recipe, digest(), 2),
        make_view(image, SQUARE, recipe, digest(1), 1),
        make_view(image, SQUARE, ViewRecipe(EVERYTHING, 1), digest(), 1),
        np.asarray(resize(image, SQUARE)),
    ]
    assert len({view.tobytes() for view in made}) == len(made)


def test_views_stay_what_they_were_when_the_program_changes():
    brightness = [int(view[0, 0, 0]) for view in views(flat(), "brightness", range(1, 9))]
    assert brightness == BRIGHTNESS_OF_VERSION_1


def angle(derivatives):
    return math.degrees(math.atan2(derivatives[1, 0], derivatives[0, 0]))


def test_leaving_a_change_out_leaves_the_others_as_they_were():
    zoomed, turned, both = (
        [geometry(view)[1] for view in views(ramps(), policy)]
        for policy in ("zoom", "rotate", "zoom,rotate")
    )
    for zoom, turn, d in zip(zoomed, turned, both, strict=True):
        assert abs(math.sqrt(np.linalg.det(d)) - zoom[0, 0]) < 0.02
        assert abs(angle(d) - angle(turn)) < 1
    several = [int(view[0, 0, 0]) for view in views(flat(), "zoom,brightness", range(1, 9))]
    assert several == BRIGHTNESS_OF_VERSION_1


def test_flip_mirrors_half_of_the_views_and_does_nothing_else():
    for mode in MODES:
        decoding = DecodeRecipe(64, mode)
        clean = np.asarray(resize(photo(), decoding))
        kept = [(view == clean).all() for view in views(photo(), "flip", decoding=decoding)]
        flipped = [
            (view == clean[:, ::-1]).all() for view in views(photo(), "flip", decoding=decoding)
        ]
        assert [not value for value in kept] == flipped
        assert 20 <= sum(flipped) <= 40


def test_shift_moves_by_a_tenth_at_most():
    middles = np.array([geometry(view)[0] for view in views(ramps(), "shift")])
    assert np.abs(middles - 0.5).max() <= 0.1 + 0.01
    assert np.abs(middles - 0.5).max(axis=0).min() > 0.08
    assert len(np.unique(middles.round(3), axis=0)) > 50


def test_zoom_keeps_the_middle_and_scales_both_sides_by_a_tenth_at_most():
    shown = [geometry(view) for view in views(ramps(), "zoom")]
    factors = np.array([1 / derivatives[0, 0] for _, derivatives in shown])
    assert 0.89 <= factors.min() < 0.93
    assert 1.07 < factors.max() <= 1.11
    for middle, derivatives in shown:
        np.testing.assert_allclose(middle, 0.5, atol=0.01)
        np.testing.assert_allclose(derivatives, np.eye(2) * derivatives[0, 0], atol=0.02)


def test_rotate_turns_about_the_middle_by_15_degrees_at_most():
    shown = [geometry(view) for view in views(ramps(), "rotate")]
    angles = [angle(derivatives) for _, derivatives in shown]
    assert -15.5 <= min(angles) < -12
    assert 12 < max(angles) <= 15.5
    for middle, derivatives in shown:
        np.testing.assert_allclose(middle, 0.5, atol=0.01)
        np.testing.assert_allclose(derivatives @ derivatives.T, np.eye(2), atol=0.03)


def test_crop_shows_a_part_of_the_stated_area_and_stretch_inside_the_picture():
    parts = []
    for view in views(ramps(), "crop"):
        (x, y), derivatives = geometry(view)
        width, height = derivatives[0, 0], derivatives[1, 1]
        parts.append((width * height, width / height))
        assert 0.59 <= width * height <= 1.01
        assert 0.74 <= width / height <= 1.35
        assert width / 2 - 0.01 <= x <= 1.01 - width / 2
        assert height / 2 - 0.01 <= y <= 1.01 - height / 2
    areas, stretches = np.array(parts).T
    assert areas.min() < 0.65
    assert areas.max() > 0.9
    assert stretches.min() < 0.85
    assert stretches.max() > 1.18


def test_brightness_and_contrast_keep_their_ranges():
    bright = np.array([view[0, 0, 0] for view in views(flat(), "brightness")], int)
    assert 85 <= bright.min() < 90
    assert 110 < bright.max() <= 115
    halves = Image.fromarray(np.repeat(np.uint8([[[100] * 3, [150] * 3]]), 40, axis=1))
    for view in views(halves, "contrast"):
        low, high = int(view[0, 0, 0]), int(view[0, -1, 0])
        assert 42 <= high - low <= 58
        assert abs(low + high - 250) <= 1


def test_brightness_stops_at_white():
    assert max(int(view.max()) for view in views(flat(250), "brightness")) == 255


@pytest.mark.parametrize("mode", ["squash", "crop"])
def test_a_flat_picture_stays_flat(mode):
    decoding = DecodeRecipe(32, mode)
    for view in views(flat(), MOVING, decoding=decoding):
        np.testing.assert_array_equal(view, 100)
    for view in views(flat(), EVERYTHING, decoding=decoding):
        assert len(np.unique(view)) == 1


@pytest.mark.parametrize("change", ["crop", "shift", "zoom", "rotate", MOVING])
def test_shrinking_is_antialiased(change):
    board = np.indices((512, 512)).sum(axis=0) % 2 * 255
    image = Image.fromarray(board.astype(np.uint8)).convert("RGB")
    for view in views(image, change, range(1, 9), DecodeRecipe(32)):
        np.testing.assert_allclose(view.astype(int), 127, atol=6)


def test_padding_is_black_and_shows_where_the_picture_was_moved():
    moved = views(flat(size=(60, 60)), "shift,rotate", range(1, 9), DecodeRecipe(32, "pad"))
    assert all(view.min() == 0 and view[16, 16, 0] == 100 for view in moved)
    bars = views(flat(size=(60, 30)), "zoom", range(1, 9), DecodeRecipe(32, "pad"))
    assert all((view[[0, -1]] == 0).all() and (view[16] == 100).any() for view in bars)


def test_a_cropped_picture_moves_over_what_lies_beside_the_crop():
    pixels = np.zeros((60, 120, 3), np.uint8)
    pixels[:, 30:90] = (255, 0, 0)
    pixels[:, :30] = pixels[:, 90:] = (0, 0, 255)
    moved = views(Image.fromarray(pixels), "shift", decoding=DecodeRecipe(60, "crop"))
    assert any(view[:, [0, -1], 2].max() == 255 for view in moved)


def test_beyond_the_picture_lies_its_mirror_image():
    stripe = np.full((64, 64, 3), 50, np.uint8)
    stripe[:, :8] = 200
    shifted = [view for view in views(Image.fromarray(stripe), "shift") if view[0, 9, 0] > 150]
    assert shifted
    for view in shifted:
        edge = int((view[0, :, 0] > 125).sum())
        assert 10 <= edge <= 16
        assert (view[0, :8, 0] > 150).all() or view[0, 0, 0] < 150


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(1, 400), (400, 1), (1, 1), (20_000, 1)])
def test_very_thin_pictures_remain_visible(mode, size):
    for view in views(flat(200, size), MOVING, range(1, 13), DecodeRecipe(16, mode)):
        assert view.shape == (16, 16, 3)
        assert view.max() > 60


def test_recipe_round_trip_and_order_of_names():
    recipe = ViewRecipe(" zoom,flip ,crop,flip", 3)
    assert recipe.to_dict() == {"policy": "crop,flip,zoom", "seed": 3, "version": 1}
    assert ViewRecipe(**recipe.to_dict()) == recipe == ViewRecipe("crop,zoom,flip", 3)


@pytest.mark.parametrize("policy", ["flop", "", "clean", "crop,,flip", "crop;flip"])
def test_unknown_changes_are_refused_with_the_known_ones(policy):
    with pytest.raises(UnknownNameError, match=r"unknown change of a view .*crop, flip, shift"):
        ViewRecipe(policy, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": 1.5}, r"whole number as seed; received seed=1.5"),
        ({"seed": True}, r"received seed=True"),
        ({"seed": 0, "version": 2}, r"received version=2: use the program version"),
    ],
)
def test_recipes_that_mean_nothing_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        ViewRecipe("flip", **arguments)


def test_the_clean_picture_is_no_augmented_view():
    with pytest.raises(InputError, match=r"numbered from 1; received number=0"):
        make_view(flat(), SQUARE, ViewRecipe("flip", 0), digest(), 0)
