"""The decode recipe.

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
FAST = "bilinear"
"""The interpolation that has a version 2, see `pipeline.images.scale`."""


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
            other numbers: 1 or, for ``"bilinear"`` alone, 2. 0 becomes the newest there is.
        jpeg: ``"full"`` decodes every pixel; ``"scaled"`` lets libjpeg decode large pictures at a
            fraction of their size (see :func:`jpeg_scale`), faster and not bit-identical.

    Raises:
        InputError: If a value is none of these.

    >>> DecodeRecipe(224).to_dict()
    {'size': 224, 'resize': 'squash', 'interpolation': 'bilinear', 'version': 2}
    """

    size: int
    resize: str = "squash"
    interpolation: str = "bilinear"
    version: int = 0
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
        versions = (1, 2) if self.interpolation == FAST else (1,)
        if self.version == 0 and type(self.version) is int:
            object.__setattr__(self, "version", versions[-1])
        if type(self.version) is not int or self.version not in versions:
            raise InputError(
                f"this program decodes {self.interpolation} by version "
                f"{' or '.join(map(str, versions))} of its rules; received "
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
