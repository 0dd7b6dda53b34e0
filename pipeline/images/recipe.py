"""The decode recipe, and the resizing it asks for.

Every field decides the value of features, so the whole recipe goes into their cache key.
"""

from dataclasses import asdict, dataclass

from PIL import Image

from pipeline.errors import InputError, UnknownNameError

MAX_SIZE = 8192
RESIZE_MODES = ("squash", "crop", "pad")
INTERPOLATIONS = {
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
JPEG_MODES = ("full", "scaled")
JPEG_SCALES = (8, 4, 2)
VERSION = 1


@dataclass(frozen=True)
class DecodeRecipe:
    """Everything that decides the array a picture becomes.

    Args:
        size: Side of the square result in pixels, 1 to 8192.
        resize: ``"squash"`` scales both sides to ``size`` whatever the aspect ratio; ``"crop"``
            scales the largest centred square (the short side, then a centre crop); ``"pad"``
            scales the long side to ``size`` and centres the picture on black.
        interpolation: ``"box"``, ``"bilinear"``, ``"hamming"``, ``"bicubic"`` or ``"lanczos"``;
            all of them antialiased when they shrink.
        version: Version of the rules themselves. It grows whenever the same file would give
            other numbers.
        jpeg: ``"full"`` decodes every pixel; ``"scaled"`` lets libjpeg decode large pictures at a
            fraction of their size (see :func:`jpeg_scale`), faster and not bit-identical.

    Raises:
        InputError: If a value is none of these.

    >>> DecodeRecipe(224).to_dict()
    {'size': 224, 'resize': 'squash', 'interpolation': 'bilinear', 'version': 1}
    """

    size: int
    resize: str = "squash"
    interpolation: str = "bilinear"
    version: int = VERSION
    jpeg: str = "full"

    def __post_init__(self) -> None:
        if type(self.size) is not int or not 1 <= self.size <= MAX_SIZE:
            raise InputError(
                f"the side of decoded pictures must be a whole number of pixels from 1 to "
                f"{MAX_SIZE}; received size={self.size!r}"
            )
        for kind, name, known in (
            ("resize mode", self.resize, RESIZE_MODES),
            ("interpolation", self.interpolation, tuple(INTERPOLATIONS)),
            ("way to decode JPEG", self.jpeg, JPEG_MODES),
        ):
            if name not in known:
                hint = f"choose one of {', '.join(known)}"
                raise UnknownNameError(kind, str(name), known, hint)
        if self.version != VERSION:
            raise InputError(
                f"this program decodes by version {VERSION} of its rules; received "
                f"version={self.version!r}: use the program version that made this recipe, or "
                "compute the features again"
            )

    def to_dict(self) -> dict[str, int | str]:
        """Return the fields as a JSON-ready dict; ``DecodeRecipe(**d)`` gives the recipe back.

        ``jpeg`` is left out where it is ``"full"``: features made before the choice existed were
        made so, and keep their recipe.
        """
        fields = asdict(self)
        if self.jpeg == "full":
            del fields["jpeg"]
        return fields


def jpeg_scale(size: tuple[int, int], recipe: DecodeRecipe) -> int:
    """Return by how much a JPEG of this size (width, height) is divided while it is decoded.

    libjpeg can leave out the fine detail of each block of 8 × 8 pixels and give 1, 1/2, 1/4 or 1/8
    of the size. At twice the size that is asked for, the antialiased resize still does the last
    halving, so that what reaches the result is its work. A scale that does not divide both sides
    is not used: the picture would be shifted by a part of a pixel.

    Returns:
        8, 4, 2 or 1, which is all of ``recipe.jpeg="full"``.
    """
    if recipe.jpeg == "full":
        return 1
    width, height = size
    enough = 2 * recipe.size
    for scale in JPEG_SCALES:
        divides = width % scale == height % scale == 0
        if divides and min(width, height) // scale >= enough:
            return scale
    return 1


def resize(image: Image.Image, recipe: DecodeRecipe) -> Image.Image:
    """Bring an RGB image to the square that the recipe asks for.

    Args:
        image: An image of mode RGB.
        recipe: Size, resize mode and interpolation.

    Returns:
        An RGB image of ``recipe.size`` × ``recipe.size`` pixels.
    """
    filter_ = INTERPOLATIONS[recipe.interpolation]
    square = (recipe.size, recipe.size)
    if recipe.resize == "crop":
        side = min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        return image.resize(square, filter_, box=(left, top, left + side, top + side))
    if recipe.resize == "pad":
        return _pad(image, recipe.size, filter_)
    return image.resize(square, filter_)


def _pad(image: Image.Image, side: int, filter_: Image.Resampling) -> Image.Image:
    scale = side / max(image.size)
    # A side never vanishes: of a picture 1 × 9000 a line of one pixel remains.
    width, height = (max(1, round(length * scale)) for length in image.size)
    canvas = Image.new("RGB", (side, side))
    canvas.paste(
        image.resize((width, height), filter_), ((side - width) // 2, (side - height) // 2)
    )
    return canvas
