"""Names of features side by side."""

from collections.abc import Sequence


def column_names(layers: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Return a name per feature: its layer and its place there.

    Args:
        layers: Names of the cuts, in order.
        widths: How many features each has.

    >>> column_names(["block5", "top"], [1, 2])
    ['block5_0', 'top_0', 'top_1']
    """
    parts = zip(layers, widths, strict=True)
    return [f"{layer}_{place}" for layer, width in parts for place in range(width)]
