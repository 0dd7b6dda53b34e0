"""What `pipeline check` finds in the data, looked at with a run's cached features."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.check.check import check
from pipeline.config import CheckConfig, ReportConfig
from pipeline.errors import PipelineError
from pipeline.features import Caches
from pipeline.features.extract import CachedFeatures, Extraction
from pipeline.images import Dataset
from pipeline.report.commands import feature_settings
from pipeline.runs import RunFolder
from pipeline.system.progress import Reporter

MOST_LISTED = 20
MOST_OF_A_GROUP = 6


@dataclass(frozen=True)
class Findings:
    """What was found: the value of `pipeline check --json`, with the layers that were looked at.

    The value is None where nothing could be looked at; the reason says why, or what could not be.
    """

    value: Mapping[str, Any] | None
    layers: str
    reason: str = ""

    def suspects(self) -> list[str]:
        """Return the paths of the labels that look wrong, as many as the page names."""
        return (
            []
            if self.value is None
            else [one["path"] for one in self.value["suspects"][:MOST_LISTED]]
        )

    def paths(self) -> Iterator[str]:
        """Yield the paths that the page names, with repetitions."""
        if self.value is None:
            return
        for suspect in self.value["suspects"][:MOST_LISTED]:
            yield suspect["path"]
        for leak in self.value["leaks"][:MOST_LISTED]:
            yield from (leak["path"], leak["other"]["path"])
        for group in self.value["duplicates"][:MOST_LISTED]:
            yield from (picture["path"] for picture in group["pictures"][:MOST_OF_A_GROUP])


def find(
    config: ReportConfig, run: RunFolder, dataset: Dataset | None, reporter: Reporter
) -> Findings:
    """Look at a data set as `pipeline check` does; no picture goes through a base.

    It is as it is today, None where it is gone. The reporter is told while near-duplicates are
    searched, part ``"check"``.
    """
    layers = "+".join(run.layers)
    if dataset is None:
        return Findings(None, layers, "the data set is not there, or was not read")
    if not config.cache.is_dir():
        return Findings(None, layers, f"there is no feature cache at {config.cache}")
    settings = CheckConfig(cache=config.cache, **feature_settings(run))
    try:
        base = run.frozen(look=True)
        caches = Caches(settings, base)
        cached = CachedFeatures(dataset, base, caches, Extraction(base.recipe.id, len(dataset)))
        found = check(settings, cached, reporter)
    except PipelineError as error:
        return Findings(None, layers, str(error))
    cuts, first = run.recipe.cuts, run.recipe.cuts[0][1]
    looked_at = ", ".join(f"{layer} ({pooling})" for layer, pooling in cuts if pooling == first)
    return Findings(found.to_dict(), looked_at, " ".join(found.notes))
