"""A frozen base as a scikit-learn transformer: pictures in, cached bottleneck features out."""

import warnings
from math import prod
from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from pipeline.api.opened import column_names
from pipeline.api.pictures import content_digests, given_samples
from pipeline.api.settings import AnyPath, filled
from pipeline.backbones.engines.precision import INT8
from pipeline.config import FeaturesConfig
from pipeline.errors import DataError, InputError
from pipeline.features.base import FrozenBase, frozen_base, inputs_of
from pipeline.features.extract import Extraction, extract
from pipeline.features.quantised import settled
from pipeline.features.saved import frozen_from_dict
from pipeline.features.store import FeatureCache
from pipeline.features.store.folders import one_at_a_time
from pipeline.images.identity import local_identities
from pipeline.images.indexing import Listed, pool_of


class FrozenFeatures(TransformerMixin, BaseEstimator):
    """Bottleneck features of pictures by a frozen base, each picture computed once.

    Features come from the cache wherever they are there: those of a cross-validation, a grid search
    or another program are computed once per backbone and layers. The cache is keyed by content;
    arrays of pixels are cached like the files that hold them would be, and processes that want the
    same features wait for one another.

    Nothing is learnt from the pictures that it is fitted on: fitting finds the base and computes
    their features. A base is converted for the CPU on first use, by TensorFlow; fitting it once
    before a search of several processes spares each of them that.

    Args:
        backbone: Pretrained base, arguments in brackets: ``"MobileNet(alpha=0.25)"``; or the file
            of a network of your own.
        preprocessing: What pixels go through first in a network of your own that does not say it.
        layer: Cut layer, ``block1`` … ``blockN``, ``top``, or any Keras layer name; several joined
            by ``+`` lie side by side.
        pooling: How a cut's map becomes a vector: avg, max, avg+max, gem, none (flattened); of
            tokens also cls, patch, cls+patch.
        weights: default, imagenet, none, or a file.
        image_size: Side in pixels of the square the base sees; None for the base's own.
        resize: How a picture becomes square: squash, crop, pad.
        interpolation: bilinear, bicubic or lanczos.
        jpeg: JPEG decoding: full, or scaled.
        precision: Arithmetic of the base: float32, mixed_float16 or mixed_bfloat16.
        engine: auto, openvino, tensorflow, jax or torch.
        dtype: Stored type of the features: float32 or float16.
        batch_size: Pictures per step; None for what suits the device. Changes no value.
        random_state: Seed of random weights, with ``weights="none"``; no part of any other. An int,
            or None or a ``numpy.random.RandomState`` for others at each fit.
        cache: Folder of the feature cache; None for ``features``.
        seed: Deprecated name of ``random_state``.

    Attributes:
        n_features_out_: Features of each picture.
        layers_: Names of the layers side by side.
        base_: The base, its weights' digest and its decoding, as plain values: `transform` refuses
            weights that are not the same, on this machine or on another.
        computed_: Distinct pictures that went through the base while fitting.
        reused_: Distinct pictures whose features were there before.

    Example:
        >>> from glob import glob
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.pipeline import make_pipeline
        >>> import pipeline
        >>> paths = sorted(glob("digits/train/[01]/*.png"))
        >>> labels = [path.split("/")[-2] for path in paths]
        >>> base = pipeline.FrozenFeatures(layer="block3", image_size=32, cache="cache")
        >>> model = make_pipeline(base, LogisticRegression(max_iter=1000)).fit(paths, labels)
        >>> model.score(paths, labels) > 0.9
        True
    """

    _held: tuple[FrozenBase, list[int]] | None = None
    """The base that it was fitted with, and the identity of its weights file then."""

    def __init__(
        self,
        backbone: str = FeaturesConfig.backbone,
        *,
        preprocessing: str | None = FeaturesConfig.preprocessing,
        layer: str = FeaturesConfig.layers,
        pooling: str = FeaturesConfig.pooling,
        weights: str = FeaturesConfig.weights,
        image_size: int | str | tuple[int, int] | None = FeaturesConfig.image_size,
        resize: str = FeaturesConfig.resize,
        interpolation: str = FeaturesConfig.interpolation,
        jpeg: str = FeaturesConfig.jpeg,
        precision: str = FeaturesConfig.precision,
        engine: str = FeaturesConfig.engine,
        dtype: str = FeaturesConfig.dtype,
        batch_size: int | None = FeaturesConfig.batch_size,
        random_state: int | np.random.RandomState | None = FeaturesConfig.seed,
        cache: AnyPath | None = None,
        seed: int | None = None,
    ) -> None:
        self.backbone = backbone
        self.preprocessing = preprocessing
        self.layer = layer
        self.pooling = pooling
        self.weights = weights
        self.image_size = image_size
        self.resize = resize
        self.interpolation = interpolation
        self.jpeg = jpeg
        self.precision = precision
        self.engine = engine
        self.dtype = dtype
        self.batch_size = batch_size
        self.random_state = random_state
        self.cache = cache
        self.seed = seed

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the base, and compute the features of these pictures that are not cached.

        Args:
            X: n pictures: paths of files (a list, an array, a pandas Series, or a table of one
                column), or pixels, RGB from 0 to 255: (n, h, w, 3), or a list of (h, w, 3).
            y: Not used.

        Returns:
            Itself.

        Raises:
            InputError: A parameter or a picture cannot be used.
            WeightsError: The weights are not there.
        """
        config = self._config(self._drawn_seed())
        base = frozen_base(config)
        if len(inputs_of(config, base)) > 1:
            raise InputError(
                f"expected one layer and one pooling, received layer={self.layer!r}, "
                f"pooling={self.pooling!r}; join layers with '+', or search over them"
            )
        pictures = given_samples(X)
        if base.precision == INT8:
            base = settled(config, base, pool_of("X", pictures, content_digests(pictures)))
        cache, _, extraction = _cached(config, base, pictures)
        widths = [prod(cache.row_shape(cut)) for cut in base.recipe.cuts]
        self.base_, self.layers_ = base.to_dict(), base.layers
        self._held = base, _identity(base)
        self._widths = widths
        self.n_features_out_ = sum(widths)
        self.computed_, self.reused_ = extraction.computed, extraction.reused
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the features of pictures; computes and caches those that are missing.

        Args:
            X: n pictures, as for `fit`.

        Returns:
            (n, n_features_out_) float32, in the order of X.

        Raises:
            NotFittedError: It was not fitted.
            InputError: A picture cannot be used.
            WeightsError: The weights are not those that it was fitted with.
        """
        check_is_fitted(self)
        base, config = self._fitted_base(), self._config(self.base_["weights_seed"])
        cache, digests, _ = _cached(config, base, given_samples(X))
        return cache.blocks(base.recipe.cuts, digests).array()

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns, (n_features_out_,) object: ``top_0``, ``top_1``, ….

        Args:
            input_features: Not used; pictures have no columns.
        """
        check_is_fitted(self)
        return np.array(column_names(self.layers_, self._widths), object)

    def _drawn_seed(self) -> int:
        if self.seed is not None:
            warnings.warn("seed of FrozenFeatures is called random_state", FutureWarning, 3)
            return self.seed
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _config(self, seed: int) -> FeaturesConfig:
        settings = {**self.get_params(), "layers": self.layer, "seed": seed}
        for name in ("layer", "random_state", *(["cache"] if self.cache is None else [])):
            del settings[name]
        return filled(FeaturesConfig, settings, "FrozenFeatures")

    def _fitted_base(self) -> FrozenBase:
        """Return the base as it was fitted; its weights are read again where they may be others."""
        if self._held is None or self._held[1] != _identity(self._held[0]):
            base = frozen_from_dict(self.base_)
            self._held = base, _identity(base)
        return self._held[0]

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what was found on this machine: on another one the weights lie elsewhere."""
        return {name: value for name, value in super().__getstate__().items() if name != "_held"}

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "base_")

    def __sklearn_tags__(self) -> Any:
        """Say that X is a list of paths or an array of pictures, not a table of numbers."""
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _identity(base: FrozenBase) -> list[int]:
    """Return numbers of which one changes when the weights file of a base does."""
    path = base.source.path
    return local_identities([] if path is None else [str(path)]).values.ravel().tolist()


def _cached(
    config: FeaturesConfig, base: FrozenBase, pictures: Listed
) -> tuple[FeatureCache, np.ndarray, Extraction]:
    """Compute what is missing, and return a cache that has all, the digests, and what was done."""
    dataset = pool_of("X", pictures, content_digests(pictures))
    cache = FeatureCache(config.cache, base.recipe)
    if cache.has(dataset.digests).all():
        n_distinct = len(np.unique(dataset.digests, axis=0))
        done = Extraction(base.recipe.id, len(dataset), reused=n_distinct)
        return cache, dataset.digests, done
    with one_at_a_time(config.cache, base.recipe.id):
        try:
            found = extract(config, base, dataset)
        except DataError as error:  # scikit-learn expects a ValueError
            raise InputError(str(error)) from error
    if failed := found.extraction.failed:
        raise InputError(
            f"expected pictures that can be decoded, {len(failed)} of {len(dataset)} cannot, "
            f"first {failed[0]['path']}: {failed[0]['reason']}; leave them out"
        )
    return found.caches.clean, dataset.digests, found.extraction
