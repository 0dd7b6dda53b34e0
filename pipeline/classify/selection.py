"""How heads are compared inside train: what is learnt from and judges, and how it is prepared."""

from dataclasses import dataclass

import numpy as np

from pipeline.config import ClassifyConfig
from pipeline.evaluate import log_loss, proportion
from pipeline.features.table import FeatureTable, Input
from pipeline.heads import HeadSpec, Preparation, parse_heads, parse_preparation
from pipeline.heads.sample import Folds, Sample, make_folds
from pipeline.images import Dataset
from pipeline.runs import SelectionFigures

MOST_REPEATS = 10

ENOUGH_JUDGED = 500
"""Judged pictures that folds are repeated for; beyond that the draw of the folds hardly matters."""


@dataclass(frozen=True)
class Selection:
    """The pictures that heads are chosen by.

    Args:
        train: Rows of the data set (t,) that heads learn from.
        judges: Rows (v,) of the validation split, where that decides; else none.
        folds: Places to fit on and places held out, in ``train`` followed by ``judges``; of all
            repeats one after the other. Empty where nothing can be held out.
        how: The same for people.
        repeats: How often folds were drawn.
        note: What people should know about it, if anything.
    """

    train: np.ndarray
    judges: np.ndarray
    folds: Folds
    how: str
    repeats: int = 1
    note: str = ""

    @property
    def rows(self) -> np.ndarray:
        """Rows of the data set, as folds count them: (t + v,)."""
        return np.concatenate([self.train, self.judges])

    @property
    def is_cross_validation(self) -> bool:
        """Whether training pictures judge in turn."""
        return bool(self.folds) and not len(self.judges)

    def sample(self, table: FeatureTable, joined: Input, seed: int) -> Sample:
        """Return one input's features as folds count them."""
        dataset, n_views = table.dataset, table.n_views
        features = table.with_views(joined, self.train)
        if len(self.judges):  # their views are not wanted; nothing learns from these rows
            clean = table.features(joined, self.judges)
            views = np.split(features, 1 + n_views)
            features = np.concatenate([part for view in views for part in (view, clean)])
        return Sample(
            features,
            dataset.labels[self.rows],
            len(dataset.classes),
            seed,
            n_views,
            table.widths(joined),
            dataset.bundles(self.rows),
        )


def select_by(
    config: ClassifyConfig, dataset: Dataset, train: np.ndarray, validation: np.ndarray
) -> Selection:
    """Decide what judges: the validation split, else stratified folds of the training pictures.

    Few pictures are divided several times, so that the luck of one division does not decide.

    Args:
        config: Folds, repeats and seed.
        dataset: The pictures.
        train: Rows to learn from.
        validation: Rows of a validation split beside a test split; empty if there is none.

    Raises:
        DataError: Copies or groups leave a fold without some class.
    """
    if len(validation):
        fit, held_out = np.arange(len(train)), len(train) + np.arange(len(validation))
        return Selection(train, validation, [(fit, held_out)], "validation split")
    labels, groups = dataset.labels[train], dataset.bundles(train)
    if np.unique(labels, return_counts=True)[1].min() < 2:
        note = (
            "some class has a single training picture: nothing can be held out, so nothing is "
            "chosen by its figures, and how sure a head is comes from the pictures it has learnt"
        )
        how = "nothing: some class has one training picture"
        return Selection(train, validation, [], how, note=note)
    repeats = config.repeats or max(1, min(MOST_REPEATS, ENOUGH_JUDGED // len(train)))
    folds: Folds = []
    for number in range(repeats):
        folds += make_folds(labels, config.folds, config.seed + number, groups)
    n_folds = len(folds) // repeats
    few = n_folds < config.folds
    note = f"{n_folds} folds instead of {config.folds}: some class is that small" if few else ""
    again = f", repeated {repeats} times" if repeats > 1 else ""
    how = f"{n_folds}-fold cross-validation{again}"
    return Selection(train, validation, folds, how, repeats, note)


def selection_figures(
    how: str, places: np.ndarray, probabilities: np.ndarray, labels: np.ndarray
) -> SelectionFigures:
    """Return what a run says of its selection, from what heads say of pictures not seen.

    Args:
        how: What judged.
        places: (m,) int, as folds count them; a picture is there once per repeat.
        probabilities: (m, k) float.
        labels: (m,) int.
    """
    n_pictures = len(np.unique(places))
    accuracy = proportion(float(np.mean(probabilities.argmax(1) == labels)), n_pictures)
    loss = log_loss(probabilities, labels)
    return SelectionFigures(
        by=how, n=n_pictures, accuracy=accuracy.value, log_loss=loss, ci95=accuracy.ci95
    )


AUTO = "auto"

FEW = 10
"""Training pictures a class, on average, up to which nothing is standardised.

With so few the scale of a feature is mostly chance, and dividing by it lets noise in. Test accuracy
of logistic regression, standardised against unit length (means of 8 draws; EfficientNet-Lite0,
top): cats and dogs, 1 a class 0.552 and 0.824, 5 a class 0.836 and 0.954, 10 a class 0.959 and
0.968, 20 a class 0.975 and 0.971; ten Caltech classes, 1 a class 0.795 and 0.965, 10 a class 0.996
both; digits, 10 a class 0.764 and 0.825.
"""


def default_preparation(text: str, labels: np.ndarray) -> Preparation:
    """Return the preparation that a setting means for these training pictures.

    Args:
        text: `AUTO`, or what `parse_preparation` reads.
        labels: (n,) int, class numbers of the training pictures.

    Raises:
        InputError: The text is no preparation.
    """
    if text != AUTO:
        return parse_preparation(text)
    few = len(labels) <= FEW * len(np.unique(labels))
    return parse_preparation("l2" if few else "standard")


def heads_of(config: ClassifyConfig, labels: np.ndarray) -> list[HeadSpec]:
    """Return the heads that a config asks for, ready to be trained on these pictures.

    Args:
        config: Heads, how classes are weighed, and how features are prepared before heads that do
            not say it themselves.
        labels: (n,) int, class numbers of the training pictures.

    Raises:
        InputError: There is no such head or preparation, or a head cannot weigh classes.
    """
    specs, preparation = asked_heads(config), default_preparation(config.prepare, labels)
    return [spec.or_prepared(preparation) for spec in specs]


def asked_heads(config: ClassifyConfig) -> list[HeadSpec]:
    """Return the heads that a config asks for, as they are asked for."""
    specs = parse_heads(config.heads)
    return specs if config.class_weight == "none" else [spec.balanced() for spec in specs]
