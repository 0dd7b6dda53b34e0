"""Features, labels and paths of a data set as one file, for whoever just wants a file."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import FeaturesConfig
from pipeline.errors import InputError
from pipeline.features import left_out_of
from pipeline.features.base import FrozenBase
from pipeline.features.store import FeatureCache
from pipeline.features.store.export import (
    Column,
    Table,
    array_column,
    check_target,
    export_table,
    text_column,
)
from pipeline.images import Dataset
from pipeline.images.indexing import is_pool
from pipeline.images.leftout import check_strictly
from pipeline.images.usable import check_left, usable_rows
from pipeline.system.progress import SILENT, Reporter


@dataclass
class ExportedFeatures:
    """What was written.

    Args:
        path: The file.
        format: What it is: h5, npz or parquet.
        rows: Pictures in it, ordered by path.
        layers: Its features: ``{name: shape of one picture's}``.
        dtype: Their type.
        bytes: Size of the file.
        recipe: Id of the recipe that they were made with.
        left_out: Pictures without features: ``[{"path", "reason"}]``.
        found: Pictures that were found: ``rows`` and ``left_out`` together.
        labelled: Whether they have labels and splits.
    """

    path: str
    format: str
    rows: int
    layers: dict[str, list[int]]
    dtype: str
    bytes: int
    recipe: str
    left_out: list[dict[str, str]] = field(default_factory=list)
    found: int = 0
    labelled: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return the command's ``--json`` value."""
        return dict(vars(self))


def check_export(config: FeaturesConfig, out: Path, overwrite: bool) -> None:
    """Raise what `export_features` would raise about its settings, before any picture is read.

    Raises:
        UnknownNameError: The file's suffix is none of .h5, .npz and .parquet.
        InputError: It exists, pyarrow is not installed, or views are asked for.
    """
    check_target(out, overwrite)
    for name in ("views", "test_views"):
        if number := getattr(config, name):
            raise InputError(
                f"expected to export pictures as they are, received {name}={number}; "
                f"leave --{name.replace('_', '-')} out"
            )


def export_features(
    config: FeaturesConfig,
    base: FrozenBase,
    dataset: Dataset,
    out: Path,
    *,
    overwrite: bool = False,
    reporter: Reporter = SILENT,
) -> ExportedFeatures:
    """Write the cached features of a data set into a .h5, .npz or .parquet file; computes nothing.

    The file has a row per picture, ordered by path: ``X/<layer>`` for each layer, ``y`` (number of
    the class), ``path``, ``split`` and ``digest`` (SHA-256 in hex); and ``classes``, sorted; of
    pictures without labels no ``y`` and ``split``, and no class. It appears whole or not at all,
    and is written in little memory.

    Raises:
        InputError: As `check_export` says.
        DataError: Nothing of the data, of a class or of a split can be used.
        StoreError: Features are missing, or the file cannot be written.
    """
    check_export(config, out, overwrite)
    cache = FeatureCache(config.cache, base.recipe)
    lost = left_out_of(dataset, cache)
    left_out = [one.to_dict() for one in lost]
    check_strictly(config.strict, left_out, dataset.n_found)
    check_left(dataset, lost)
    rows = np.flatnonzero(usable_rows(dataset, (one.path for one in lost)))
    cache.require(dataset.digests[rows])
    columns = [
        _feature_column(f"X/{name}", cut, dataset.digests[rows], cache, reporter)
        for name, cut in zip(base.layers, base.recipe.cuts, strict=True)
    ]
    classes = () if is_pool(dataset) else dataset.classes
    told = {"recipe": base.recipe.id, "source": dataset.location}
    table = Table(len(rows), [*columns, *_picture_columns(dataset, rows)], classes, told)
    n_bytes = export_table(out, table)
    return ExportedFeatures(
        path=str(out),
        format=out.suffix.lower().removeprefix("."),
        rows=len(rows),
        layers={
            name: list(column.shape) for name, column in zip(base.layers, columns, strict=True)
        },
        dtype=base.recipe.dtype,
        bytes=n_bytes,
        recipe=base.recipe.id,
        left_out=left_out,
        found=dataset.n_found,
        labelled=not is_pool(dataset),
    )


def _feature_column(
    name: str,
    cut: tuple[str, str],
    digests: np.ndarray,
    cache: FeatureCache,
    reporter: Reporter,
) -> Column:
    def read(start: int, stop: int) -> np.ndarray:
        features = cache.read(cut, digests[start:stop])
        reporter.advance("export", stop, len(digests), "rows")
        return features

    return Column(name, np.dtype(cache.recipe.dtype), cache.row_shape(cut), read)


def _picture_columns(dataset: Dataset, rows: np.ndarray) -> list[Column]:
    labels = array_column("y", dataset.labels[rows].astype(np.int64))
    path = text_column("path", [dataset.paths[row] for row in rows])
    split = text_column("split", dataset.splits[rows].tolist())
    digest = text_column("digest", [dataset.digests[row].tobytes().hex() for row in rows])
    return [path, digest] if is_pool(dataset) else [labels, path, split, digest]
