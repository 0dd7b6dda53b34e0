"""Read one row's file once, decode it once, and make every view of it that is wanted."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from PIL import Image

from pipeline.errors import DecodeError
from pipeline.images.decode import decode_full
from pipeline.images.recipe import DecodeRecipe, resize
from pipeline.images.times import LoadTimes
from pipeline.images.views import ViewRecipe, make_view

CHANGED = "changed since it was indexed"


@dataclass(frozen=True)
class Failure:
    """A row without a picture.

    Args:
        row: Its row number.
        reason: Why there is none.
        transient: Whether the file could not be read or is in flux, so that another time may be
            different; else its content cannot be decoded, now or ever.
    """

    row: int
    reason: str
    transient: bool


Loaded = list[np.ndarray] | Failure
"""A uint8 array (size, size, 3) for each view wanted, or why there is none."""


@dataclass(frozen=True)
class RowLoader:
    """What turns a row number into arrays; used by several threads at once.

    Args:
        read: Returns the bytes of a row's file.
        recipe: How to decode.
        expected_digests: uint8 (n, 32), the SHA-256 that each row's file must have, or None.
        view_recipe: How to make views from 1 on; None where none are wanted.
        times: Where to count seconds and bytes.
    """

    read: Callable[[int], bytes]
    recipe: DecodeRecipe
    expected_digests: np.ndarray | None
    view_recipe: ViewRecipe | None
    times: LoadTimes

    def load(self, row: int, numbers: tuple[int, ...]) -> Loaded:
        """Return one array per view number, in their order, or why there is none."""
        began = perf_counter()
        try:
            data = self.read(row)
        except OSError as error:
            reason = f"cannot be read: {error.strerror or type(error).__name__}"
            return Failure(row, reason, transient=True)
        done_reading = perf_counter()
        loaded = self._decode(row, numbers, data)
        self.times.add(done_reading - began, perf_counter() - done_reading, len(data))
        return loaded

    def _decode(self, row: int, numbers: tuple[int, ...], data: bytes) -> Loaded:
        digest = hashlib.sha256(data).digest()
        if self.expected_digests is not None and digest != self.expected_digests[row].tobytes():
            return Failure(row, CHANGED, transient=True)
        try:
            image = decode_full(data, self.recipe)
        except DecodeError as error:
            return Failure(row, str(error), transient=False)
        return [self._view(image, digest, number) for number in numbers]

    def _view(self, image: Image.Image, digest: bytes, number: int) -> np.ndarray:
        if number == 0:
            return np.asarray(resize(image, self.recipe))
        assert self.view_recipe is not None  # the loader asked for it
        return make_view(image, self.recipe, self.view_recipe, digest, number)
