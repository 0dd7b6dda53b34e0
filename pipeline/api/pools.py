"""What is done with pools: their features first, then what looks at them."""

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.api.stages import computed, indexed, pooled
from pipeline.config import (
    CheckConfig,
    FeaturesConfig,
    LabelConfig,
    SimilarConfig,
    SuggestConfig,
)
from pipeline.errors import InputError
from pipeline.features import resolve
from pipeline.features.quantised import settled
from pipeline.images import find_pictures
from pipeline.images.indexing import pool_of
from pipeline.runs import find_run
from pipeline.system.files import check_free
from pipeline.system.progress import Reporter
from pipeline.system.units import named

if TYPE_CHECKING:
    from pipeline.pool.label import LabelPage
    from pipeline.pool.similar import Similar
    from pipeline.pool.suggest import Suggested


def similar_in(
    pool: str, paths: Sequence[Path], config: SimilarConfig, reporter: Reporter
) -> "Similar":
    """Find the pictures of a pool that are most like given ones, and draw them if asked to."""
    from pipeline.pool.sheet import check_sheet
    from pipeline.pool.similar import draw, similar

    if config.out is not None:
        check_sheet(config.out, config.overwrite)
    listed, base = find_pictures(paths), resolve(config)
    given = pool_of(
        named([str(path) for path in paths]), listed, listed.digests(config.cache / "index")
    )
    dataset = pooled(pool, config, reporter)
    base = settled(config, base, dataset)
    found = [computed(config, base, one, reporter) for one in (dataset, given)]
    answer = similar(config, *found)
    return answer if config.out is None else draw(answer, config.out)


def label_page_of(
    data: str | None, out: Path, config: LabelConfig, reporter: Reporter
) -> "LabelPage":
    """Write the page on which pictures are labelled, after stage 1 for what is missing.

    Without data it has suggestions alone; a run has a base of its own.
    """
    from pipeline.check.check import check
    from pipeline.pool.label import write_label_page
    from pipeline.report import check_target
    from pipeline.report.commands import feature_settings

    check_target(out, config.overwrite)
    if data is None and config.suggestions is None:
        raise InputError(
            "expected a place of pictures with labels, --suggestions F.csv, or both, received "
            "neither: name what to label"
        )
    if data is None:
        _refuse_of_data(config)
    run = None if config.run is None else find_run(config.runs, config.run)
    checked = None
    if data is not None:
        looking = config
        if run is not None:
            _no_base_beside_a_run(config)
            own = {name: value for name, value in feature_settings(run).items() if name in OF_BASE}
            looking = replace(config, **own)
        base = resolve(looking)
        checked = check(
            looking, computed(looking, base, indexed(data, looking, reporter), reporter), reporter
        )
    return write_label_page(config, checked, run, out, reporter)


def _refuse_of_data(config: LabelConfig) -> None:
    """Raise InputError where a setting says how to look at data that are not given."""
    for field in fields(CheckConfig):
        name, value = field.name, getattr(config, field.name)
        if name not in ("corrections", "cache") and value != field.default:
            raise InputError(
                f"expected no {name} where there are suggestions alone, received {name}={value}: "
                f"leave it out, or name DATA"
            )


OF_BASE = (
    *("backbone", "preprocessing", "layers", "pooling", "weights", "image_size", "resize"),
    *("interpolation", "precision", "dtype", "jpeg"),
)


def suggested_in(
    run: str | None, pool: str, out: Path, config: SuggestConfig, reporter: Reporter
) -> "Suggested":
    """Choose what to label next, after stage 1 on the pool for what is missing.

    Without a run, to begin with, the config says the base as well.
    """
    from pipeline.pool.suggest import suggest

    check_free(out, config.overwrite)
    bundle = None if run is None else find_run(config.runs, run).bundle(config.trust)
    if bundle is None:
        base = resolve(config)
    else:
        _no_base_beside_a_run(config)
        base = bundle.frozen()
    dataset = pooled(pool, replace(config, corrections=None), reporter)  # it says what is labelled
    return suggest(config, computed(config, base, dataset, reporter), bundle, out)


def _no_base_beside_a_run(config: FeaturesConfig) -> None:
    for name in OF_BASE:
        if getattr(config, name) != getattr(FeaturesConfig, name):
            raise InputError(
                f"expected no {name} beside a run, which has a base of its own, received "
                f"{name}={getattr(config, name)}: leave it out"
            )
