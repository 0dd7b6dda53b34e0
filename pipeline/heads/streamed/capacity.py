"""Whether features fit in memory, and what to say where they do not."""

from pipeline.errors import InputError
from pipeline.heads.catalog import HeadSpec
from pipeline.system.machine import available_memory
from pipeline.system.units import size_text

STREAMABLE = ("logistic", "ridge", "lda", "centroid", "linear-svm", "dense")
"""The heads that learn in blocks."""

COPIES = 4
"""Of the features, held at once in memory: the table, the training rows, those prepared, a fold."""


def fits_in_memory(n_bytes: int, available: int | None = None) -> bool:
    """Return whether a head can learn from features of so many bytes, copies included.

    What is available is asked of the system, and taken for enough where that does not say.
    """
    available = available_memory() if available is None else available
    return available is None or COPIES * n_bytes <= available


def check_fits(spec: HeadSpec, n_bytes: int, available: int | None = None) -> None:
    """Raise InputError for a head that needs all features at once where they do not fit."""
    available = available_memory() if available is None else available
    if spec.head.name in STREAMABLE or available is None or fits_in_memory(n_bytes, available):
        return
    raise InputError(
        f"expected features that fit in memory for {spec}, which needs about {COPIES} copies of "
        f"them at once, received {size_text(n_bytes)} of features with {size_text(available)} of "
        f"memory free; use {', '.join(STREAMABLE[:-1])} or {STREAMABLE[-1]}, which learn in "
        f"blocks, or fewer pictures, or a cut or pooling with fewer features"
    )


def check_products(
    spec: HeadSpec, n_features: int, n_products: int, available: int | None = None
) -> None:
    """Raise InputError for a head whose products of features, (d, d) float64 each, do not fit."""
    available = available_memory() if available is None else available
    n_bytes = 8 * n_features**2 * n_products
    if available is not None and n_bytes > available:
        raise InputError(
            f"expected products of features that fit in memory for {spec} in blocks, received "
            f"{n_features} features, whose products take {size_text(n_bytes)} with "
            f"{size_text(available)} of memory free; use logistic, linear-svm, centroid or dense "
            f"without pca, or a cut or pooling with fewer features"
        )
