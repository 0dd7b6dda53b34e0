"""Pictures without labels: what is like what, and what to label next."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pipeline.cli import show
from pipeline.cli.app import DEFAULT_OUTPUT, FLAT, SWITCH, Data, Output, command
from pipeline.config import SimilarConfig
from pipeline.system.files import expanded


@FLAT
@dataclass(frozen=True, kw_only=True)
class SimilarFlags(SimilarConfig):
    """Settings of looking for what is alike."""

    overwrite: Annotated[bool, SWITCH] = SimilarConfig.overwrite


@command(
    "pipeline similar ~/unsorted photo.jpg",
    "pipeline similar ~/unsorted photo.jpg other.jpg --n 20 --out alike.html",
)
def similar(
    pool: Data,
    paths: Annotated[list[Path], Parameter(consume_multiple=True)],
    /,
    *,
    config: SimilarFlags = SimilarFlags(),
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """List the pictures of a pool that are most like given ones; computes what is missing first.

    Args:
        pool: Folder, archive or table of pictures, or the URL of one; labels do not count.
        paths: Pictures, folders or archives of them.
    """
    from pipeline.api import pools

    found = pools.similar_in(pool, [expanded(one) for one in paths], config, output.reporter)
    show.result(found.to_dict(), output.json, show.similar)
