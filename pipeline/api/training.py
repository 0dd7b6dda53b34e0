"""Stages 2 and 3 as functions: classifiers on cached features, and fine-tuning from the best."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from os import fspath
from typing import TYPE_CHECKING, Any, Unpack

from pipeline.api import stages
from pipeline.api.kinds import CLASSIFIER_OF, place
from pipeline.api.progress import ProgressWanted, reporting
from pipeline.api.runs import Run
from pipeline.api.settings import (
    AnyPath,
    ClassifySettings,
    FinetuneSettings,
    filled,
    location,
    takes,
)
from pipeline.config import ClassifyConfig, FinetuneConfig, PredictConfig
from pipeline.features.extract import Extraction
from pipeline.runs import FineTuning, RunFolder
from pipeline.system.startup import safe_after_fork

if TYPE_CHECKING:
    from pipeline.classify.experiment import Result


@dataclass(frozen=True)
class TrainedHead:
    """One head on one input, chosen inside train and judged by the final test once.

    Args:
        run: What it left; it labels pictures.
        head: The head with its parameters.
        layers: Its input: one layer, or several side by side.
        params: The parameters alone.
        selection_accuracy: What heads are chosen by, never a figure of the final test; None where
            no training picture could be held out.
        cv_accuracy: The same where cross-validation decides; None where a validation split does.
        test_accuracy: On the final test.
        test_interval: Its 95 % interval.
        seconds: Of training and judging.
        reused: Whether the run was there before.
    """

    run: Run
    head: str
    layers: tuple[str, ...]
    params: Mapping[str, Any]
    selection_accuracy: float | None
    cv_accuracy: float | None
    test_accuracy: float
    test_interval: tuple[float, float]
    seconds: float
    reused: bool

    def __fspath__(self) -> str:
        return fspath(self.run)


@dataclass(frozen=True, repr=False)
class Trained:
    """What `pipeline.train_classifier` did.

    Args:
        best: The result with the highest selection accuracy; the final test had no say.
        results: One per input and head in the order asked for; one per head after a search.
        features: What stage 1 did before.
        leaked: Test pictures that are byte-identical to a training picture.
        contradictory: Pictures that are byte-identical to one of another class.
        learning_curve: Whether more pictures would help; None unless asked for.
    """

    best: TrainedHead
    results: tuple[TrainedHead, ...]
    features: Extraction
    leaked: int = 0
    contradictory: int = 0
    learning_curve: Mapping[str, Any] | None = None

    def __repr__(self) -> str:
        return f"Trained({len(self.results)} results, best={self.best})"


@dataclass(frozen=True)
class FineTuned:
    """What `pipeline.fine_tune` did.

    Args:
        run: What it left; it labels pictures.
        trained: False where the pictures that decide could show no gain over the head: then ``run``
            is the run to start from, with its own figures.
        from_run: Name of the run that it began with.
        initial: Of the same validation pictures, before training: ``validation_accuracy`` of the
            whole model and ``head_accuracy`` of the run's head on cached features; None where a
            run of the first versions does not say it.
        epochs: Figures of epoch 0 (before training) and of every epoch.
        kept_epoch: The epoch whose weights were kept; None where nothing was trained.
        test_accuracy: On the final test.
        test_interval: Its 95 % interval.
        seconds: Of the whole.
        reused: Whether the run was there before.
        features: What stage 1 did before.
    """

    run: Run
    trained: bool
    from_run: str
    initial: Mapping[str, Any] | None
    epochs: tuple[Mapping[str, Any], ...] = field(repr=False)
    kept_epoch: int | None
    test_accuracy: float
    test_interval: tuple[float, float]
    seconds: float
    reused: bool
    features: Extraction = field(repr=False)

    def __fspath__(self) -> str:
        return fspath(self.run)


@takes(ClassifyConfig)
def train_classifier(
    data: AnyPath, *, progress: ProgressWanted = None, **settings: Unpack[ClassifySettings]
) -> Trained:
    """Train classifiers on cached features (stage 2); computes missing features first.

    Every head is tried on every input and kept as a run; an experiment that was done before is
    answered from its run. Choosing happens inside train, the final test is looked at once each.

    Args:
        data: As for `pipeline.extract_features`.
        progress: True for the command line's progress on stderr; or a function that is called with
            (done, total, what), what being ``"index"``, ``"features"``, ``"search"``,
            ``"classify"`` or ``"learning"``.
        **settings: Fields of `pipeline.config.ClassifyConfig`: ``heads`` (a text with commas, or a
            list), ``tune``, ``folds``, ``runs``, …, and those of `pipeline.extract_features`.

    Returns:
        The best result and all of them, each with its figures and its run.

    Raises:
        UnknownNameError: No setting, backbone, layer or head has that name.
        DataError: Too few pictures for what was asked.
        PipelineError: The data, the weights or a folder cannot be used.

    Example:
        >>> import pipeline
        >>> trained = pipeline.train_classifier(
        ...     "digits", heads=["lda", "knn"], image_size=32, layers="block3", cache="cache"
        ... )
        >>> len(trained.results)
        2
        >>> trained.best.test_accuracy > 0.8
        True
        >>> labels = trained.best.run.predict("digits/test")
    """
    config = filled(ClassifyConfig, settings, "train_classifier")
    with reporting(progress) as reporter, safe_after_fork():
        classification, extraction = stages.classified(place(data, CLASSIFIER_OF), config, reporter)
    results = tuple(_trained_head(result, config) for result in classification.results)
    best = next(result for result in results if result.run.name == classification.best.name)
    return Trained(
        best,
        results,
        extraction,
        classification.leaked,
        classification.contradictory,
        classification.curve,
    )


def _run(folder: RunFolder, config: ClassifyConfig | FinetuneConfig, made_here: bool) -> Run:
    """Return what labels pictures; a head that could run code is trusted if it was made here."""
    return Run(folder, PredictConfig(runs=config.runs, cache=config.cache, trust=made_here))


def _trained_head(result: "Result", config: ClassifyConfig) -> TrainedHead:
    folder = result.run
    return TrainedHead(
        _run(folder, config, made_here=not result.reused),
        folder.head,
        folder.layers,
        folder.params,
        folder.selection.accuracy,
        folder.selection.cv_accuracy,
        folder.test.accuracy,
        folder.test.ci95,
        folder.seconds,
        result.reused,
    )


@takes(FinetuneConfig)
def fine_tune(
    data: AnyPath,
    *,
    from_run: AnyPath = FinetuneConfig.source,
    progress: ProgressWanted = None,
    **settings: Unpack[FinetuneSettings],
) -> FineTuned:
    """Train the upper part of the base together with a run's head (stage 3).

    The same again is answered from its run; where it was interrupted, it goes on after its last
    whole epoch.

    Args:
        data: The pictures that the run was trained on, as for `pipeline.extract_features`.
        from_run: Run to start from: its name, its folder, what training or loading returned, or
            ``"best"`` of those on the same data; its head must be linear or dense.
        progress: True for the command line's progress on stderr; or a function that is called with
            (done, total, what) after each step, what being ``"epoch 1"`` and so on.
        **settings: Fields of `pipeline.config.FinetuneConfig`: ``mode``, ``unfreeze``, ``augment``,
            ``epochs``, ``runs``, ``cache``, ….

    Returns:
        The run it left, and how the epochs went.

    Raises:
        RunError: There is no such run, its head cannot sit on the base, or has other classes.
        InputError: A setting is out of range, or nothing would learn.

    Example:
        >>> import pipeline
        >>> tuned = pipeline.fine_tune(
        ...     "digits", from_run="best", mode="frozen", epochs=1, cache="cache"
        ... )
        >>> tuned.test_interval[0] <= tuned.test_accuracy <= tuned.test_interval[1]
        True
    """
    config = filled(FinetuneConfig, settings, "fine_tune", source=location("from_run", from_run))
    with reporting(progress) as reporter, safe_after_fork():
        done, extraction = stages.finetuned(place(data, None), config, reporter)
    folder = done.run
    tuned = folder.fine_tuning or FineTuning(from_run=folder.name)
    return FineTuned(
        _run(folder, config, made_here=not done.reused),
        folder.fine_tuning is not None,
        tuned.from_run,
        None if tuned.initial is None else asdict(tuned.initial),
        tuned.epochs,
        folder.selection.epoch,
        folder.test.accuracy,
        folder.test.ci95,
        folder.seconds,
        done.reused,
        extraction,
    )
