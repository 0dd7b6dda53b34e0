"""Stage 1 as a function, and its features as arrays."""

from typing import Unpack

import numpy as np

from pipeline.api import stages
from pipeline.api.kinds import FEATURES_OF, place
from pipeline.api.opened import Held, OpenedFeatures
from pipeline.api.progress import ProgressWanted, reporting
from pipeline.api.settings import AnyPath, FeaturesSettings, filled, takes
from pipeline.config import FeaturesConfig
from pipeline.errors import InputError
from pipeline.features import Caches, cached_views, left_out_of, resolve, wanted_views
from pipeline.features.extract import Extraction
from pipeline.features.quantised import kept_for
from pipeline.images.leftout import check_strictly
from pipeline.images.usable import check_left, usable_rows
from pipeline.system.progress import SILENT


@takes(FeaturesConfig)
def extract_features(
    data: AnyPath, *, progress: ProgressWanted = None, **settings: Unpack[FeaturesSettings]
) -> Extraction:
    """Run every picture once through a frozen base and cache its features (stage 1).

    What is cached already is not computed again; interrupting keeps what is done. Features are
    keyed by the content of the pictures, so moving, renaming and relabelling compute nothing.

    Args:
        data: Folder ``DATA/{train,validation,test}/CLASS/…`` or ``DATA/CLASS/…``, a .zip, .tar or
            .csv file, or a URL.
        progress: True for the command line's progress on stderr; or a function that is called with
            (done, total, what), what being ``"index"`` or ``"features"``.
        **settings: Fields of `pipeline.config.FeaturesConfig`: ``backbone``, ``layers`` (a text
            with commas, or a list), ``pooling``, ``weights``, ``image_size``, ``cache``, ….

    Returns:
        What was done: ``computed``, ``reused`` and ``copies`` count distinct pictures, ``failed``
        lists those that cannot be read with their reasons.

    Raises:
        UnknownNameError: No setting, backbone, layer or pooling has that name.
        PipelineError: The data, the weights or the cache cannot be used.

    Example:
        >>> import pipeline
        >>> done = pipeline.extract_features(
        ...     "digits", image_size=32, layers="block3", cache="cache"
        ... )
        >>> done.images == done.computed + done.reused + done.copies
        True
    """
    config = filled(FeaturesConfig, settings, "extract_features")
    with reporting(progress) as reporter:
        return stages.features(place(data, FEATURES_OF), config, reporter)


@takes(FeaturesConfig)
def open_features(data: AnyPath, **settings: Unpack[FeaturesSettings]) -> OpenedFeatures:
    """Open cached features as arrays; nothing is computed and no base is built.

    Args:
        data: As for `extract_features`; the files are looked at again, only unchanged ones are not
            read.
        **settings: The same as for `extract_features`. Where they ask for several layers or
            poolings, their features lie side by side.

    Returns:
        The pictures that have features, ordered by path; what cannot be decoded is in ``left_out``.

    Raises:
        InputError: Features are missing: how many, and what computes them.
        DataError: With ``strict``, a picture cannot be decoded.
        PipelineError: A setting, the data or the cache cannot be used.

    Example:
        >>> import pipeline
        >>> features = pipeline.open_features(
        ...     "digits", image_size=32, layers="block3", cache="cache"
        ... )
        >>> train, test = features.split("train"), features.split("test")
        >>> from sklearn.neighbors import KNeighborsClassifier
        >>> model = KNeighborsClassifier().fit(train.X, train.y)
        >>> bool(model.score(test.X, test.y) > 0.8)
        True
    """
    config = filled(FeaturesConfig, settings, "open_features")
    base = resolve(config, look=True)
    dataset = stages.indexed(place(data, FEATURES_OF), config, SILENT, look=True)
    base = kept_for(config, base, dataset)
    caches = Caches(config, base)
    held = Held(dataset, base, caches, max(config.views, config.test_views))
    lost = left_out_of(dataset, held.caches.clean)
    check_strictly(config.strict, [one.to_dict() for one in lost], dataset.n_found)
    check_left(dataset, lost)
    rows = np.flatnonzero(usable_rows(dataset, (one.path for one in lost)))
    _require(config, held, rows)
    return OpenedFeatures(held, rows, base.cuts)


def _require(config: FeaturesConfig, held: Held, rows: np.ndarray) -> None:
    """Refuse features that are not all there."""
    clean, viewed = held.caches.clean, held.caches.viewed
    missing = [(int(np.sum(~clean.has(held.dataset.digests[rows]))), len(rows), "pictures")]
    if viewed is not None:
        wanted = wanted_views(config, held.dataset, rows)
        cached = wanted & cached_views(config, held.dataset, rows, viewed)
        missing.append((int(wanted.sum() - cached.sum()), int(wanted.sum()), "views"))
    for n_missing, n_all, what in missing:
        if n_missing:
            raise InputError(
                f"expected features of all {n_all} {what} of {held.dataset.location} in "
                f"{clean.folder}, {n_missing} are missing; call pipeline.extract_features, or "
                f"run `pipeline features`, with the same settings"
            )
