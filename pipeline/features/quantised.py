"""Which quantised model a base computes with, for pictures.

It is made from a sample of the first pictures that the base sees in int8, kept beside the cache,
and named in the recipe. Further pictures go through the same one; for those of another data set it
is first held against float32 again.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from pipeline.backbones.engines import open_engine
from pipeline.backbones.engines.network import Outputs, network_key
from pipeline.backbones.engines.precision import INT8
from pipeline.config import FeaturesConfig
from pipeline.errors import DataError, InputError, StoreError
from pipeline.features.base import FrozenBase
from pipeline.features.store import FeatureCache
from pipeline.images import Dataset, RowLoader, load_batches
from pipeline.system.files import write_json
from pipeline.system.startup import import_nncf, installed_version
from pipeline.system.typed import read_json, typed

logger = logging.getLogger(__name__)

N_JUDGED, N_CALIBRATING = 64, 128
"""Pictures on which it is held against float32, and others that say the ranges of values."""


def kept_for(config: FeaturesConfig, base: FrozenBase, dataset: Dataset) -> FrozenBase:
    """Return a base with the kept model in which most of these pictures are cached; itself if none.

    Nothing is computed, and nothing changed.
    """
    held = [(_share(config, one, dataset), place, one) for place, one in _known(config, base)]
    share, _, best = max(held, default=(0.0, 0, base))
    return best if share > 0 else base


def settled(config: FeaturesConfig, base: FrozenBase, dataset: Dataset) -> FrozenBase:
    """Return a base that says all that decides its numbers; makes a quantised model if need be.

    What is not of int8, or settled, comes back as it is.

    Raises:
        InputError: NNCF is missing, or int8 is too far from float32 for this base.
        DataError: No picture of the sample can be decoded.
    """
    if base.precision != INT8:
        return base
    known = [one for _, one in _known(config, base)]
    shares = [_share(config, one, dataset) for one in known]
    if known and max(shares) >= 0.5:
        return known[shares.index(max(shares))]
    from pipeline.backbones.engines.quantised import Agreement

    rows = _drawn(dataset, config.seed)
    refusal = _refusal(config, base, dataset.digests[rows[: N_JUDGED + N_CALIBRATING]])
    if not known:
        _check_not_refused(base, refusal)
    judged = _decoded(dataset, base, rows[:N_JUDGED])
    reference = _outputs(config, base.in_float, judged)
    for one in known:
        found = Agreement.of(reference, _outputs(config, one, judged))
        if found.good:
            logger.info("int8, as made before: agreement with float32: %s", found)
            return one
        logger.info("the int8 model made before does not serve these pictures: %s", found)
    _check_not_refused(base, refusal)
    pictures = calibrating(dataset, base, config.seed)
    return _made(config, base, (judged, reference), pictures, refusal)


def _refusal(config: FeaturesConfig, base: FrozenBase, sample: np.ndarray) -> Path:
    """Return the file that remembers that int8 was too far off for pictures of these digests."""
    versions = [installed_version(name) for name in ("openvino", "nncf")]
    text = f"{network_key(base.in_float)} {versions}".encode()
    return config.converted / f"refused-{sha256(text + sample.tobytes()).hexdigest()}.json"


def _check_not_refused(base: FrozenBase, refusal: Path) -> None:
    try:
        found = typed(str, read_json(refusal))
    except (OSError, ValueError):  # not there, or no more than what can be found out again
        return
    raise _too_far(base, f"{found}, as found before")


def _too_far(base: FrozenBase, found: str) -> InputError:
    from pipeline.backbones.engines.quantised import LEAST, LEAST_MEDIAN

    return InputError(
        f"expected int8 to agree with float32 on {base.name}: cosine median {LEAST_MEDIAN} and "
        f"least {LEAST} or more, received {found}; choose --precision bfloat16 or float32"
    )


def calibrating(dataset: Dataset, base: FrozenBase, seed: int) -> np.ndarray:
    """Return pictures of train that say what values int8 has to cover: (n, s, s, 3) uint8.

    They are others than those that judge, where there are enough. Raises DataError if none can be
    decoded.
    """
    rows = _drawn(dataset, seed)
    further = rows[N_JUDGED:][:N_CALIBRATING]
    further = further if len(further) == N_CALIBRATING else rows[:N_CALIBRATING]
    return _decoded(dataset, base, further)


def _known(config: FeaturesConfig, base: FrozenBase) -> list[tuple[int, FrozenBase]]:
    """Return a base with each of its kept models, numbered."""
    if base.precision != INT8:
        return []
    from pipeline.backbones.engines.quantised import kept_precisions

    found = kept_precisions(config.converted, base.in_float)
    return [(place, replace(base, precision=one)) for place, one in enumerate(sorted(found))]


def _share(config: FeaturesConfig, base: FrozenBase, dataset: Dataset) -> float:
    return float(FeatureCache(config.cache, base.recipe).has(dataset.digests).mean())


def _made(
    config: FeaturesConfig,
    base: FrozenBase,
    judged: tuple[np.ndarray, Outputs],
    pictures: np.ndarray,
    refusal: Path,
) -> FrozenBase:
    from pipeline.backbones.engines import quantised

    import_nncf()
    logger.info("making an int8 model of %s, once: from %d pictures", base.name, len(pictures))
    plain = base.in_float
    model = quantised.float_model(config.converted, plain)
    for thorough in (False, True):
        made = quantised.quantise(model, pictures, thorough=thorough)
        engine = quantised.OpenVINOEngine(made, plain, len(judged[0]))
        found = quantised.Agreement.of(judged[1], next(engine.run([judged[0]])))
        logger.info("int8: agreement with float32: %s", found)
        if found.good:
            precision = quantised.keep_quantised(config.converted, plain, made, found)
            return replace(base, precision=precision)
    with suppress(StoreError):  # then it is found out again
        write_json(refusal, str(found))
    raise _too_far(base, str(found))


def _outputs(config: FeaturesConfig, base: FrozenBase, images: np.ndarray) -> Outputs:
    engine = open_engine(base, "openvino", base.precision, config.batch_size, config.converted)
    if engine.name != "openvino":
        raise InputError(
            f"expected a base that OpenVINO computes for --precision int8, received {base.name}, "
            f"which it does not; use --precision float32"
        )
    return next(engine.run([images]))


def _drawn(dataset: Dataset, seed: int) -> np.ndarray:
    """Return the rows of train, each content once, in an order that content and seed decide."""
    rows = dataset.select("train")
    rows = rows if len(rows) else np.arange(len(dataset))
    order = {
        sha256(b"%d %b" % (seed, dataset.digests[row].tobytes())).digest(): row for row in rows
    }
    return np.array([order[key] for key in sorted(order)])


def _decoded(dataset: Dataset, base: FrozenBase, rows: Sequence[int] | np.ndarray) -> np.ndarray:
    batches = load_batches(RowLoader(dataset.read, base.decoding), list(rows), len(rows))
    images = np.concatenate([batch.images for batch in batches])
    if not len(images):
        raise DataError(
            f"expected pictures that can be decoded in {dataset.location}, to make an int8 model "
            f"from, received none among {len(rows)} of train"
        )
    return images
