"""Pictures and features: some to begin with, what is in one's own, what lies in the cache."""

from pathlib import Path
from typing import Annotated

from pipeline.cli import show
from pipeline.cli.app import DEFAULT_OUTPUT, FLAT, SWITCH, Data, Output, command
from pipeline.config import CACHE, CheckConfig, FeaturesConfig
from pipeline.system.files import expanded


@command(
    "pipeline digits",
    "pipeline digits ~/digits",
)
def digits(folder: Path = Path("data/digits"), *, output: Output = DEFAULT_OUTPUT) -> None:
    """Write scikit-learn's handwritten digits as PNG files, split into train and test.

    Args:
        folder: Where to; files that are there already stay.
    """
    from pipeline.images import write_digits

    show.result(write_digits(folder).to_dict(), output.json, show.digits)


@command(
    "pipeline check ~/pictures",
    "pipeline check ~/pictures --similarity 0.98 --json",
)
def check(
    data: Data,
    *,
    config: Annotated[CheckConfig, FLAT] = CheckConfig(),
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Say what is in the data: classes, copies, leaks into the test, suspect labels, bad files."""
    from pipeline.api import stages

    checked = stages.checked(data, config, output.reporter)
    show.result(checked.to_dict(), output.json, show.checked)


@command(
    "pipeline explain ~/pictures",
    "pipeline explain ~/pictures --image-size 160",
)
def explain(
    data: Data,
    *,
    unlabelled: Annotated[bool, SWITCH] = False,
    config: Annotated[FeaturesConfig, FLAT] = FeaturesConfig(),
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Say which pictures are cached, which are not, and what differs from what is cached.

    Args:
        unlabelled: Take all pictures as they lie, without labels, whatever folders and tables say.
    """
    from pipeline.api import stages

    explained = stages.explained(data, config, output.reporter, unlabelled=unlabelled)
    show.result(explained.to_dict(), output.json, show.explanation)


@command(
    "pipeline verify",
    "pipeline verify --cache /data/features",
)
def verify(*, cache: Path = CACHE, output: Output = DEFAULT_OUTPUT) -> int:
    """Read everything in the cache, and set aside what is damaged; exit code 1 says that some was.

    Args:
        cache: Folder of the feature cache.

    Returns:
        The exit code.
    """
    from pipeline.features.verify import verify as check_everything

    verification = check_everything(expanded(cache), output.reporter)
    show.result(verification.to_dict(), output.json, show.verification)
    return 1 if verification.bad else 0


@command(
    "pipeline export-features ~/pictures --out features.npz",
    "pipeline export-features ~/pictures --out features.parquet --layers top",
)
def export_features(
    data: Data,
    *,
    out: Path,
    overwrite: Annotated[bool, SWITCH] = False,
    unlabelled: Annotated[bool, SWITCH] = False,
    config: Annotated[FeaturesConfig, FLAT] = FeaturesConfig(),
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Write cached features, labels, paths and splits into one file.

    Args:
        out: File that ends in .h5, .npz or .parquet.
        overwrite: Replace the file if it is there.
        unlabelled: Take all pictures as they lie, without labels, whatever folders and tables say.
    """
    from pipeline.api import stages

    exported = stages.features_exported(
        data, config, out, overwrite, output.reporter, unlabelled=unlabelled
    )
    show.result(exported.to_dict(), output.json, show.exported)
