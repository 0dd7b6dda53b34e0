"""What is done with pools: their features first, then what looks at them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.api.stages import computed, pooled
from pipeline.config import SimilarConfig
from pipeline.features import resolve
from pipeline.images import find_pictures
from pipeline.images.pool import pool_of
from pipeline.system.progress import Reporter

if TYPE_CHECKING:
    from pipeline.pool.similar import Similar


def similar_in(
    pool: str, paths: Sequence[Path], config: SimilarConfig, reporter: Reporter
) -> "Similar":
    """Find the pictures of a pool that are most like given ones, and draw them if asked to.

    Args:
        pool: The location.
        paths: Pictures, folders and archives.
        config: The base, and how many.
        reporter: Told how it goes on.
    """
    from pipeline.pool.sheet import check_sheet
    from pipeline.pool.similar import draw, similar

    if config.out is not None:
        check_sheet(config.out, config.overwrite)
    listed, base = find_pictures(paths), resolve(config)
    given = pool_of("pictures", listed, listed.digests(config.cache / "index"))
    dataset = pooled(pool, config, reporter)
    found = [computed(config, base, one, reporter) for one in (dataset, given)]
    answer = similar(config, *found)
    return answer if config.out is None else draw(answer, config.out)
