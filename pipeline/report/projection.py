"""Features in two dimensions: where pictures lie that the base finds alike."""

import importlib.util
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.config import ReportConfig
from pipeline.errors import InputError, PipelineError, StoreError, UnknownNameError
from pipeline.features.store import FeatureCache
from pipeline.report.album import Album
from pipeline.report.sources import read_features
from pipeline.runs import RunFolder

logger = logging.getLogger(__name__)

AUTO, PCA, TSNE, UMAP = "auto", "pca", "tsne", "umap"
MOST_FOR_TSNE = 5000
MAPPED_DIMENSIONS = 50
MOST_EXACT = 2000
"""Features up to which the covariance is decomposed whole."""
LEAST_FOR_NEIGHBOURS = 10
TITLES = {PCA: "PCA", TSNE: "t-SNE", UMAP: "UMAP"}


@dataclass(frozen=True)
class Map:
    """Pictures in two dimensions, (n, 2) int in the order of `Mapped.pictures`, and how."""

    told: str
    places: np.ndarray


@dataclass(frozen=True)
class Mapped:
    """Maps, by name, of some pictures of an album, (n,) int, or why there are none.

    ``n_without`` counts the pictures whose features are not cached.
    """

    pictures: np.ndarray
    maps: Mapping[str, Map]
    n_without: int
    reason: str = ""


def parse_maps(text: str) -> tuple[str, ...]:
    """Read which maps are wanted; PCA always is.

    Raises InputError if there is no such map, or umap-learn is not installed.
    """
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in (AUTO, *TITLES):
            known = ", ".join((AUTO, *TITLES))
            raise UnknownNameError("map", name, TITLES, f"choose from {known}")
    if UMAP in names and importlib.util.find_spec("umap") is None:
        raise InputError(
            f"expected umap-learn for map={text}, received none: run "
            f"pip install 'bottleneck-pipeline[umap]', or leave umap out"
        )
    return tuple(dict.fromkeys([PCA, *names]))


def project(
    features: np.ndarray, maps: Sequence[str], seed: int
) -> dict[str, tuple[np.ndarray, str]]:
    """Lay pictures out in two dimensions.

    Features are standardised and brought to 50 principal components, of which PCA shows the first
    two. The other maps keep neighbours together; distances between groups mean little there.

    Args:
        features: (n, d) float.
        maps: From `parse_maps`; ``auto`` is t-SNE for up to 5,000 pictures.
        seed: Of everything random.

    Returns:
        For each map positions (n, 2) and a sentence on them; maps that need more pictures are left
        out.
    """
    components, explained = _components(features, seed)
    first, second = explained
    told = f"the first two components hold {first:.0%} and {second:.0%} of the variance"
    made = {PCA: (components[:, :2], told)}
    if len(features) < LEAST_FOR_NEIGHBOURS:
        return made
    for name in maps:
        if name == TSNE or (name == AUTO and len(features) <= MOST_FOR_TSNE):
            made[TSNE] = _tsne(components, seed)
        elif name == UMAP:
            made[UMAP] = _umap(components, seed)
    return made


def _components(features: np.ndarray, seed: int) -> tuple[np.ndarray, tuple[float, float]]:
    """Return principal components (n, at least 2) and the variance shares of the first two."""
    from sklearn import decomposition

    spread = features.std(0)
    kept = features[:, spread > 0]
    if min(kept.shape) < 2:
        padded = np.zeros((len(features), 2))
        padded[:, : kept.shape[1]] = (kept - kept.mean(0))[:, :2]
        return padded, (1.0, 0.0)
    standard = ((kept - kept.mean(0)) / spread[spread > 0]).astype(np.float32)
    n = min(MAPPED_DIMENSIONS, *standard.shape)
    # Exact where the covariance is small; of many features, those random projections find.
    solver = "covariance_eigh" if standard.shape[1] <= MOST_EXACT else "randomized"
    fitted = decomposition.PCA(n, svd_solver=solver, random_state=seed)
    components = fitted.fit_transform(standard)
    first, second = fitted.explained_variance_ratio_[:2].tolist()
    return components, (first, second)


def _tsne(components: np.ndarray, seed: int) -> tuple[np.ndarray, str]:
    from sklearn import manifold
    from threadpoolctl import threadpool_limits

    n = len(components)
    if n > 2000:
        logger.info("t-SNE of %s pictures, which takes a while", f"{n:,}")
    perplexity = min(30.0, (n - 1) / 3)
    made = manifold.TSNE(2, perplexity=perplexity, init="pca", random_state=seed)
    # Several threads add up forces in an order of their own, and no two maps would be the same.
    with threadpool_limits(1):
        places = made.fit_transform(components)
    return places, f"perplexity {perplexity:.0f}; neighbours count, distances between groups do not"


def _umap(components: np.ndarray, seed: int) -> tuple[np.ndarray, str]:
    # umap would import TensorFlow, which it does without and which takes seconds.
    hidden = "tensorflow" not in sys.modules
    if hidden:
        sys.modules["tensorflow"] = None  # type: ignore[assignment]
    try:
        import umap
    finally:
        if hidden:
            del sys.modules["tensorflow"]
    n_neighbours = min(15, len(components) - 1)
    made = umap.UMAP(n_neighbors=n_neighbours, random_state=seed, n_jobs=1)
    places = made.fit_transform(components)
    told = f"{n_neighbours} neighbours; neighbours count, distances between groups do not"
    return places, told


def on_grid(places: np.ndarray, size: int = 2000) -> np.ndarray:
    """Return positions as whole numbers from 0 to ``size``, both axes on one scale: (n, 2) int."""
    low, high = places.min(0), places.max(0)
    span = float((high - low).max()) or 1.0
    centred = (places - (low + high) / 2) / span
    return np.round((centred + 0.5) * size).astype(int)


def map_pictures(config: ReportConfig, run: RunFolder, album: Album, maps: Sequence[str]) -> Mapped:
    """Lay out the pictures whose features are cached; nothing is computed."""
    nothing = np.empty(0, int)
    try:
        if not config.cache.is_dir():
            raise StoreError(f"there is no feature cache at {config.cache}")
        cache = FeatureCache(config.cache, run.recipe)
        pictures = np.flatnonzero(cache.has(album.digests))
        if len(pictures) < 3:
            reason = f"the features of {len(pictures)} of {len(album)} pictures are in the cache"
            return Mapped(nothing, {}, len(album), reason)
        features = read_features(cache, run, album.digests[pictures])
    except PipelineError as error:
        return Mapped(nothing, {}, len(album), str(error))
    made = {
        name: Map(told, on_grid(places))
        for name, (places, told) in project(features, maps, config.seed).items()
    }
    return Mapped(pictures, made, len(album) - len(pictures))
