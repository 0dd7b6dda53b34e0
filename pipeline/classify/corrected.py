"""What corrections change: one head, learnt from the labels before and from those after."""

from typing import Any

import numpy as np

from pipeline.backbones.cuts import Cut
from pipeline.classify.learning import learner_of
from pipeline.classify.selection import select_by
from pipeline.config import ClassifyConfig
from pipeline.evaluate import mean_over_views, proportion
from pipeline.features.extract import CachedFeatures
from pipeline.heads import parse_head, softmax
from pipeline.images.splits import rows_of_bytes
from pipeline.runs import RunFolder
from pipeline.system.progress import SILENT, Reporter


def before_and_after(
    config: ClassifyConfig,
    before: CachedFeatures,
    after: CachedFeatures,
    run: RunFolder,
    reporter: Reporter = SILENT,
) -> dict[str, Any]:
    """Judge a run's head, learnt from either labels, by the corrected labels of the same pictures.

    Args:
        config: What judges.
        before: The pictures with their labels as they were.
        after: The same as corrected.
        run: Whose head and input.
        reporter: Told of rows that are learnt from in blocks.

    Returns:
        ``{"before", "after"}``, each ``{"accuracy", "ci95", "n"}`` on the pictures that judge in
        both; None each where nothing can be held out.
    """
    called = [_called(config, one, run, reporter) for one in (before, after)]
    dataset = after.dataset
    names = [dataset.classes[label] for label in dataset.labels.tolist()]
    truth = dict(zip(rows_of_bytes(dataset.digests), names, strict=True))
    both = sorted(called[0].keys() & called[1].keys() & truth.keys())
    if not both:
        return {"before": None, "after": None}
    figures = []
    for one in called:
        right = [np.mean([name == truth[digest] for name in one[digest]]) for digest in both]
        accuracy = proportion(float(np.mean(right)), len(both))
        told = {"accuracy": accuracy.value, "ci95": list(accuracy.ci95), "n": len(both)}
        figures.append(told)
    return {"before": figures[0], "after": figures[1]}


def _called(
    config: ClassifyConfig, cached: CachedFeatures, run: RunFolder, reporter: Reporter
) -> dict[bytes, list[str]]:
    """Return what heads that had not seen them call pictures, by their content."""
    table, dataset = cached.table(config.views, config.test_views), cached.dataset
    selection = select_by(config, dataset, table.rows("train"), table.rows("validation"))
    if not selection.folds:
        return {}
    joined = tuple(Cut(layer, pooling) for layer, pooling in run.experiment["joined"])
    spec = parse_head(run.head)
    learner = learner_of(table, selection, joined, spec, config.seed, reporter)
    places, views = learner.unseen()
    labels = mean_over_views([softmax(view) for view in views]).argmax(axis=1)
    digests = rows_of_bytes(dataset.digests[selection.rows[places]])
    called: dict[bytes, list[str]] = {}
    for digest, label in zip(digests, labels.tolist(), strict=True):
        called.setdefault(digest, []).append(dataset.classes[label])
    return called
