"""The verb: runs in, one HTML file out."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.config import ReportConfig
from pipeline.errors import InputError
from pipeline.report.commands import Commands, Missing, Notes
from pipeline.report.material import choose_runs, collect
from pipeline.report.page import render
from pipeline.report.projection import parse_maps
from pipeline.report.sources import check_pictures
from pipeline.report.views import page_view, payload_of
from pipeline.system.files import check_free, is_stream, output_path
from pipeline.system.progress import SILENT, Reporter

SUFFIXES = (".html", ".htm")


@dataclass(frozen=True)
class Written:
    """What was written: names of the runs in it and of those in detail, and how many pictures.

    ``n_all`` pictures there are; ``unreadable`` are shown without a thumbnail: path and reason.
    ``missing`` could not be shown.
    """

    path: Path
    n_bytes: int
    runs: tuple[str, ...]
    detailed: tuple[str, ...]
    n_pictures: int
    n_all: int
    unreadable: tuple[tuple[str, str], ...]
    missing: tuple[Missing, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the command's ``--json`` value."""
        return {
            "path": str(self.path),
            "bytes": self.n_bytes,
            "runs": list(self.runs),
            "detailed": list(self.detailed),
            "pictures": self.n_pictures,
            "pictures_in_all": self.n_all,
            "failed": [{"path": path, "reason": reason} for path, reason in self.unreadable],
            "missing": [asdict(one) for one in self.missing],
        }


def check_target(out: Path, overwrite: bool) -> None:
    """Raise InputError for a file that cannot be written, before anything is read.

    It has to end in .html, and must not exist unless it may be overwritten.
    """
    check_free(out, overwrite)
    if out.suffix.lower() not in SUFFIXES and not is_stream(out):
        raise InputError(
            f"expected a file that ends in {' or '.join(SUFFIXES)}, received out={out}; rename it"
        )


def write_report(
    config: ReportConfig, names: Sequence[str], out: Path, reporter: Reporter = SILENT
) -> Written:
    """Write one HTML file about runs: figures, pictures, findings, maps, and how to get them again.

    The same runs, pictures and settings give the same bytes. Whatever is not there is said in its
    place, with the command that would make it. Runs that are named are shown in detail; of all runs
    the best of each data set is. The reporter is told of files, of near-copies and of decoded
    pictures: parts ``"index"``, ``"check"`` and ``"report"``.

    Raises:
        InputError: The file cannot be written there, there is no run, or no such map.
        RunError: There is no run of a name, or one is damaged.
        StoreError: The file cannot be written.
    """
    check_target(out, config.overwrite)
    check_pictures(config.pictures)
    maps = parse_maps(config.map)
    groups = choose_runs(config, names)
    materials = collect(config, groups, maps, reporter)
    notes = Notes()
    view = page_view(materials, Commands(config, out), names, notes)
    sheets = [material.sheets.images for material in materials]
    page = render(view, payload_of(materials), sheets)
    data = page.encode()
    with output_path(out) as temporary:
        temporary.write_bytes(data)
    return Written(
        path=out,
        n_bytes=len(data),
        runs=tuple(run.name for material in materials for run in material.chosen.runs),
        detailed=tuple(one.run.name for material in materials for one in material.details),
        n_pictures=sum(len(material.album) for material in materials),
        n_all=sum(material.album.n_all for material in materials),
        unreadable=tuple(one for material in materials for one in material.unreadable),
        missing=tuple(notes.missing),
    )
