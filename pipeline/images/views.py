"""Augmented versions of a picture, the same ones whenever and wherever they are asked for.

View 0 is the clean picture; view ``n`` is decided by the seed, the content of the picture's file
and ``n``, and by nothing else: not by the order of pictures, the thread, the name of the file or
how many views there are. Each named change draws its own numbers, so that leaving one out changes
none of the others.

| name | change |
|---|---|
| crop | a random part: 60 to 100 % of the area, its sides stretched by up to 4:3 |
| flip | left and right exchanged, one time in two |
| shift | by up to 10 % of the side, along both sides |
| zoom | by 0.9 to 1.1 |
| rotate | by up to 15 degrees |
| brightness | times 0.85 to 1.15 |
| contrast | differences from the mean grey times 0.85 to 1.15 |

The crop is the random resized crop of Szegedy et al. 2015, "Going deeper with convolutions" (with
8 to 100 % of the area there), milder because frozen features are made few times per picture and the
label should stay true of each. The other changes are the usual mild ones. Crop, zoom, shift and
rotate are composed into one resampling of the full-size picture (:mod:`pipeline.images.window`).
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from pipeline.config import MAX_VIEWS, FeaturesConfig
from pipeline.errors import InputError, UnknownNameError
from pipeline.images.recipe import DecodeRecipe
from pipeline.images.scale import RgbPicture, resize, size_of
from pipeline.images.window import Window, show, whole

CHANGES = ("crop", "flip", "shift", "zoom", "rotate", "brightness", "contrast")
VERSION = 1

MIN_AREA = 0.6
MAX_STRETCH = 4 / 3
MAX_SHIFT = 0.1
MAX_ZOOM = 0.1
MAX_DEGREES = 15.0
MAX_BRIGHTNESS = 0.15
MAX_CONTRAST = 0.15

_GEOMETRIC = {"crop", "shift", "zoom", "rotate"}
# Of R, G and B in grey, ITU-R BT.601, as Pillow converts.
_LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class ViewRecipe:
    """Everything that decides views 1, 2, … of a picture.

    Args:
        policy: Names of `CHANGES` with commas; stored in the order of `CHANGES`, since the order of
            writing decides nothing.
        seed: Another seed, other views.
        version: Version of the rules themselves.

    Raises:
        UnknownNameError: If a name is not in `CHANGES`.
        InputError: If the seed is no whole number, or the version is another.

    >>> ViewRecipe("flip, crop", seed=1).to_dict()
    {'policy': 'crop,flip', 'seed': 1, 'version': 1}
    """

    policy: str
    seed: int
    version: int = VERSION

    def __post_init__(self) -> None:
        names = [name.strip() for name in self.policy.split(",")]
        for name in names:
            if name not in CHANGES:
                hint = f"name one or more of {', '.join(CHANGES)}, with commas"
                raise UnknownNameError("change of a view", name, CHANGES, hint)
        if type(self.seed) is not int:
            raise InputError(f"expected a whole number as seed; received seed={self.seed!r}")
        if self.version != VERSION:
            raise InputError(
                f"this program makes views by version {VERSION} of its rules; received "
                f"version={self.version!r}: use the program version that made this recipe, or "
                "compute the features again"
            )
        ordered = ",".join(name for name in CHANGES if name in names)
        object.__setattr__(self, "policy", ordered)

    @property
    def changes(self) -> tuple[str, ...]:
        """The names in the policy."""
        return tuple(self.policy.split(","))

    def to_dict(self) -> dict[str, int | str]:
        """Return the fields as a JSON-ready dict; ``ViewRecipe(**d)`` gives the recipe back."""
        return asdict(self)


def make_view(
    image: RgbPicture, decoding: DecodeRecipe, view: ViewRecipe, digest: bytes, number: int
) -> np.ndarray:
    """Return one augmented version of a picture.

    Args:
        image: The whole picture.
        decoding: Size, resize mode and interpolation of the result.
        view: Which changes, and the seed.
        digest: SHA-256 of the picture file's bytes.
        number: Which view; 1 or more, for 0 is the clean picture.

    Returns:
        uint8 array (size, size, 3), RGB, 0–255.

    Raises:
        InputError: If the number is below 1.
    """
    if number < 1:
        raise InputError(f"augmented views are numbered from 1; received number={number}")
    draws = {name: _draw(view, digest, number, name) for name in view.changes}
    if _GEOMETRIC & draws.keys():
        shown = show(image, _window(whole(size_of(image), decoding), draws), decoding)
    else:
        shown = Image.fromarray(resize(image, decoding))
    pixels = np.asarray(_recolour(shown, draws))
    flipped = "flip" in draws and draws["flip"][0] < 0.5
    return np.ascontiguousarray(pixels[:, ::-1]) if flipped else pixels


def _draw(view: ViewRecipe, digest: bytes, number: int, name: str) -> tuple[float, ...]:
    """Return four numbers from 0 to below 1 that belong to this change of this view.

    Straight from a digest: generators may change between versions of their library.
    """
    key = f"view {view.version} seed {view.seed} number {number} {name} ".encode() + digest
    whole_numbers = np.frombuffer(hashlib.sha256(key).digest(), "<u8")
    # 53 bits, as many as a float holds: the highest draw stays below 1.
    return tuple(float(n >> np.uint64(11)) / 2**53 for n in whole_numbers)


def _window(window: Window, draws: dict[str, tuple[float, ...]]) -> Window:
    """Compose the geometric changes: crop, then zoom, shift and rotate what it shows."""
    if "crop" in draws:
        window = _crop(window, *draws["crop"])
    if "zoom" in draws:
        side = 1 / (1 + MAX_ZOOM * _centred(draws["zoom"][0]))
        window = window.part((1 - side) / 2, (1 - side) / 2, side, side)
    if "shift" in draws:
        x, y = (MAX_SHIFT * _centred(number) for number in draws["shift"][:2])
        window = window.part(x, y, 1, 1)
    if "rotate" in draws:
        window = replace(window, degrees=MAX_DEGREES * _centred(draws["rotate"][0]))
    return window


def _crop(window: Window, area: float, stretch: float, x: float, y: float) -> Window:
    """Return a part of the window: area even in its range, stretch even in its logarithm."""
    part = MIN_AREA + (1 - MIN_AREA) * area
    # No side may be longer than the window's: a part that is nearly all of it can stretch little.
    ratio = min(MAX_STRETCH, 1 / part) ** _centred(stretch)
    width, height = math.sqrt(part * ratio), math.sqrt(part / ratio)
    return window.part(x * (1 - width), y * (1 - height), width, height)


def _centred(number: float) -> float:
    """Spread 0 to 1 over -1 to 1."""
    return 2 * number - 1


def _recolour(image: Image.Image, draws: dict[str, tuple[float, ...]]) -> Image.Image:
    """Apply brightness and contrast by one table of 256 values."""
    brightness, contrast = (
        1 + limit * _centred(draws[name][0]) if name in draws else 1.0
        for name, limit in (("brightness", MAX_BRIGHTNESS), ("contrast", MAX_CONTRAST))
    )
    if brightness == contrast == 1:
        return image
    sums = np.array(image.histogram()).reshape(3, 256) @ np.arange(256)
    mean_grey = float(_LUMA @ sums) / (image.width * image.height)
    mean = brightness * mean_grey
    values = (np.arange(256) * brightness - mean) * contrast + mean
    table = np.clip(np.rint(values), 0, 255).astype(int).tolist()
    return image.point(table * 3)


@dataclass(frozen=True)
class ViewAverage:
    """Which augmented views a picture is judged by, beside the picture itself.

    Averaging over views when a picture is judged goes back to Krizhevsky et al. 2012 ("ImageNet
    Classification with Deep Convolutional Neural Networks", ten crops); the views here are those
    that heads may learn from as well.

    Args:
        n: Views 1 to n of each picture.
        view: How they are made.
    """

    n: int
    view: ViewRecipe

    @classmethod
    def of(cls, config: FeaturesConfig) -> "ViewAverage | None":
        """Return what a config asks for; None where pictures are judged as they are."""
        if not config.test_views:
            return None
        return cls(config.test_views, ViewRecipe(config.view_policy, config.seed))

    @classmethod
    def from_dict(cls, value: Any) -> "ViewAverage":
        """Return what `to_dict` described.

        Raises:
            InputError: It is something else, or of a newer version.
        """
        wanted = f"a number n of views from 1 to {MAX_VIEWS} and how to make them as view"
        if not isinstance(value, Mapping) or value.keys() != {"n", "view"}:
            raise InputError(f"expected {wanted}, received {value!r}")
        n, view = value["n"], value["view"]
        if type(n) is not int or not 1 <= n <= MAX_VIEWS or not isinstance(view, Mapping):
            raise InputError(f"expected {wanted}, received n={n!r} and view={view!r}")
        try:
            return cls(n, ViewRecipe(**view))
        except (TypeError, AttributeError) as error:  # other fields, or a policy that is no text
            raise InputError(f"expected {wanted}, received view={view!r}: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"n": self.n, "view": self.view.to_dict()}

    @property
    def numbers(self) -> range:
        """Numbers of all views that are averaged, with the clean picture's: 0 to n."""
        return range(self.n + 1)
