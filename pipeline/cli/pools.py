"""Pictures without labels: what is like what, what to label next, and where that is done."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pipeline.cli import show
from pipeline.cli.app import DEFAULT_OUTPUT, FLAT, SWITCH, Data, Output, command
from pipeline.config import LabelConfig, SimilarConfig, SuggestConfig
from pipeline.errors import InputError
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


@FLAT
@dataclass(frozen=True, kw_only=True)
class SuggestFlags(SuggestConfig):
    """Settings of what to label next."""

    overwrite: Annotated[bool, SWITCH] = SuggestConfig.overwrite


@command(
    "pipeline suggest ~/unsorted --n 24 --out first.csv",
    "pipeline suggest best ~/unsorted --n 40 --out more.csv",
)
def suggest(
    *run_and_pool: str,
    out: Path,
    config: SuggestFlags = SuggestFlags(),
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Choose pictures of a pool that are worth a label; fill in the column `label` of the table.

    Args:
        run_and_pool: Name or folder of a run, or best, and the pool; the pool alone to begin with.
        out: Table to write, .csv; `classify DATA --labels OUT` learns from it.
    """
    from pipeline.api import pools

    if len(run_and_pool) not in (1, 2):
        raise InputError(
            f"expected a run and a pool, or a pool alone, received {len(run_and_pool)} names: put "
            f"quotes around a path with spaces"
        )
    run = run_and_pool[0] if len(run_and_pool) == 2 else None
    found = pools.suggested_in(run, run_and_pool[-1], expanded(out), config, output.reporter)
    show.result(found.to_dict(), output.json, show.suggested)


@FLAT
@dataclass(frozen=True, kw_only=True)
class LabelFlags(LabelConfig):
    """Settings of the page on which pictures are labelled."""

    overwrite: Annotated[bool, SWITCH] = LabelConfig.overwrite


@command(
    "pipeline label --suggestions first.csv --classes cats,dogs --out label.html",
    "pipeline label ~/pictures --run best --suggestions more.csv --out label.html",
)
def label(
    data: str | None = None,
    /,
    *,
    out: Path,
    config: LabelFlags = LabelFlags(),
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Write a page that shows doubtful labels and suggestions, to label them by mouse or keys.

    Args:
        data: Place of pictures with labels, as for `check`: what looks wrong there is on the page.
        out: Page to write, .html; it saves the table that `classify DATA --labels` reads.
    """
    from pipeline.api import pools

    page = pools.label_page_of(data, expanded(out), config, output.reporter)
    show.result(page.to_dict(), output.json, show.label_page)
