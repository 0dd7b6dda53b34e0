"""What lies in the feature cache."""

from pathlib import Path

from pipeline import show
from pipeline.cli.app import DEFAULT_OUTPUT, Output, command
from pipeline.config import FeaturesConfig


@command(
    "pipeline explain ~/pictures",
    "pipeline explain ~/pictures --image-size 160",
)
def explain(
    data: str, *, config: FeaturesConfig = FeaturesConfig(), output: Output = DEFAULT_OUTPUT
) -> None:
    """Say which pictures are cached, which are not, and what differs from what is cached.

    Args:
        data: Folder DATA/{train,validation,test}/CLASS/… or DATA/CLASS/…, .zip, .tar, .csv or URL.
    """
    from pipeline.api import stages
    from pipeline.explain import describe
    from pipeline.explain import explain as compare_with_cache

    dataset = stages.indexed(data, config, output.reporter, config.seed, config.label_pattern)
    show.result(describe(compare_with_cache(config, dataset)), output.json, show.explanation)


@command(
    "pipeline verify",
    "pipeline verify --cache /data/features",
)
def verify(*, cache: Path = Path("features"), output: Output = DEFAULT_OUTPUT) -> None:
    """Read everything in the cache, and set aside what is damaged; it is computed again.

    Args:
        cache: Folder of the feature cache.
    """
    from pipeline.verify import describe
    from pipeline.verify import verify as check_everything

    with show.progress("verify", "bytes", output.silent) as progress:
        verification = check_everything(cache.expanduser(), progress.update)
    show.result(describe(verification), output.json, show.verification)


@command(
    "pipeline export-features ~/pictures --out features.npz",
    "pipeline export-features ~/pictures --out features.parquet --layers top",
)
def export_features(
    data: str,
    *,
    out: Path,
    overwrite: bool = False,
    config: FeaturesConfig = FeaturesConfig(),
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Write cached features, labels, paths and splits into one file.

    Args:
        data: Folder DATA/{train,validation,test}/CLASS/… or DATA/CLASS/…, .zip, .tar, .csv or URL.
        out: File that ends in .h5, .npz or .parquet.
        overwrite: Replace the file if it is there.
    """
    from pipeline.api import stages
    from pipeline.export_features import describe
    from pipeline.export_features import export_features as write

    dataset = stages.indexed(data, config, output.reporter, config.seed, config.label_pattern)
    with show.progress("export", "rows", output.silent) as progress:
        exported = write(config, dataset, out, overwrite=overwrite, progress=progress.update)
    show.result(describe(exported), output.json, show.exported)
