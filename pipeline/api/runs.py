"""A finished run that labels pictures: paths, folders, or arrays."""

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from pipeline.api.pictures import given_pictures
from pipeline.api.settings import AnyPath, filled, location
from pipeline.config import EvidenceConfig, PredictConfig
from pipeline.errors import DataError
from pipeline.images import Failure
from pipeline.images.indexing import Listed
from pipeline.predict.labelling import Predictor, bundle_predictor
from pipeline.runs import Bundle, RunFolder, find_run, read_info, read_metrics
from pipeline.system.startup import safe_after_fork

Pictures = Any
"""A path or several (files, folders, archives), or an array (h, w, 3) or (n, h, w, 3), or several
arrays (h, w, 3), of RGB from 0 to 255."""


class Run:
    """A finished run. Made by `pipeline.load_run`, and part of what training returns.

    Attributes:
        name: Name of its folder.
        path: The folder.
        classes: Class names; column j of every probability is ``classes[j]``.
        head: The head with its parameters.
        layers: What the head sees: one layer, or several side by side.
    """

    _opened: tuple[int, Predictor] | None = None

    def __init__(self, folder: RunFolder, config: PredictConfig) -> None:
        self._folder, self._config = folder, config
        self.name, self.path = folder.name, folder.path
        self.classes, self.head, self.layers = folder.dataset.classes, folder.head, folder.layers

    def __repr__(self) -> str:
        return f"Run({self.name!r})"

    def __fspath__(self) -> str:
        return str(self.path)

    @cached_property
    def info(self) -> Mapping[str, Any]:
        """``run.json``: config, base, recipe, data, head, versions."""
        return read_info(self.path)

    @cached_property
    def metrics(self) -> Mapping[str, Any]:
        """``metrics.json``: ``selection``, ``test``, and ``epochs`` of a fine-tuned run."""
        return read_metrics(self.path)

    @property
    def selection_accuracy(self) -> float | None:
        """What it was chosen by, never a figure of the final test; None where nothing was."""
        return self._folder.selection.accuracy

    @property
    def test_accuracy(self) -> float:
        """Accuracy on the final test."""
        return self._folder.test.accuracy

    @property
    def test_interval(self) -> tuple[float, float]:
        """Its 95 % interval."""
        return self._folder.test.ci95

    @property
    def threshold(self) -> float | None:
        """Lowest probability that is answered; None where every picture is."""
        return self._bundle.threshold

    @cached_property
    def _bundle(self) -> Bundle:
        return self._folder.bundle(self._config.trust, self._config.weights)

    @property
    def _predictor(self) -> Predictor:
        """What labels, opened in the process that asks: an engine neither travels nor forks."""
        if self._opened is None or self._opened[0] != os.getpid():
            config = self._config
            made = bundle_predictor(self.name, self._bundle, config.converted, config.batch_size)
            self._opened = os.getpid(), made
        return self._opened[1]

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is read and opened again where it arrives."""
        own = ("_folder", "_config", "name", "path", "classes", "head", "layers")
        return {name: getattr(self, name) for name in own}

    def paths(self, pictures: Pictures) -> list[str]:
        """Return what the rows of `predict` and `predict_proba` are, in their order.

        Args:
            pictures: As for these; of a folder or an archive these are the pictures in it.
        """
        given = given_pictures(pictures)
        return [given.name(row) for row in range(len(given))]

    def predict(self, pictures: Pictures, *, strict: bool = True) -> np.ndarray:
        """Label pictures, decoded and judged exactly as in training.

        Args:
            pictures: A path or several, of files, folders and .zip or .tar archives; or pixels,
                RGB from 0 to 255: (h, w, 3), (n, h, w, 3), or a list of (h, w, 3).
            strict: Raise where a picture cannot be read; else its label is None.

        Returns:
            (n,) object: class names in the order of the pictures, those of a folder or an archive
            sorted by path; None where a run with a threshold does not know, and where a picture
            is less typical of its training pictures than the run asks for.

        Raises:
            InputError: ``pictures`` are nothing of these.
            DataError: A picture cannot be read or decoded, or there is none.
        """
        probabilities, unknown = self._answers(pictures, strict)
        labels = np.full(len(probabilities), None, object)
        threshold = 0.0 if self.threshold is None else self.threshold
        sure = np.flatnonzero(probabilities.max(axis=1) >= threshold)  # never where it is NaN
        labels[sure] = np.array(self.classes, object)[probabilities[sure].argmax(axis=1)]
        labels[unknown] = None
        return labels

    def predict_proba(self, pictures: Pictures, *, strict: bool = True) -> np.ndarray:
        """Return the probability of each class for each picture.

        Args:
            pictures: As for `predict`.
            strict: Raise where a picture cannot be read; else its row is NaN.

        Returns:
            (n, k) float, rows in the order of the pictures, columns in that of ``classes``.

        Raises:
            InputError: ``pictures`` are nothing of these.
            DataError: A picture cannot be read or decoded, or there is none.
        """
        return self._answers(pictures, strict)[0]

    def _answers(self, pictures: Pictures, strict: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities (n, k), and which pictures are too untypical for any class (n,)."""
        given = given_pictures(pictures)
        probabilities = np.full((len(given), len(self.classes)), np.nan)
        unknown = np.zeros(len(given), bool)
        failed: list[Failure] = []
        with safe_after_fork():
            for labelled in self._predictor.label(given, self._config.batch_size):
                failed += labelled.failed
                probabilities[labelled.rows] = labelled.probabilities
                unknown[labelled.rows] = self._predictor.unknown(labelled)
        _check_read(given, failed, strict)
        return probabilities, unknown

    def evidence(
        self,
        pictures: Pictures,
        *,
        against: str | None = None,
        grid: int = EvidenceConfig.grid,
        strict: bool = True,
    ) -> np.ndarray:
        """Return where in each picture the run's answer comes from.

        The answer is the likeliest class of the picture as it is. Of a linear head the cells add up
        exactly, without the bias, to the answer's score, or to how far it is above the score of
        ``against``; scores are centred, their mean over the classes is 0. Of any other run a cell
        is what the logarithm of the probability, or of the ratio of both, loses where the cell is
        covered.

        Args:
            pictures: As for `predict`.
            against: The class that the answer is held against, the runner-up where the answer is
                that class itself; None for the answer alone.
            grid: Squares a side that are covered, where the head is not linear.
            strict: Raise where a picture cannot be read; else its cells are NaN.

        Returns:
            (n, h, w) float, rows in the order of the pictures; cells are equal parts of the square
            that the base sees, from top to bottom and left to right.

        Raises:
            InputError: ``pictures`` are nothing of these, or there is no such class.
            DataError: A picture cannot be read or decoded, or there is none.
        """
        from pipeline.evidence.explain import class_number, open_explainer, opponent

        config = EvidenceConfig(grid=grid, batch_size=self._config.batch_size)
        other = None if against is None else class_number(tuple(self.classes), against)
        given = given_pictures(pictures)
        models = self._config.converted
        failed: list[Failure] = []
        cells: dict[int, np.ndarray] = {}
        with safe_after_fork():
            made = open_explainer(self.name, self._bundle, models, config.batch_size, config.grid)
            for part in made.explain(given, lambda _, scores: opponent(scores, other)):
                failed += part.failed
                for one in part.found:
                    cells[one.row] = one.of_answer if against is None else one.instead
        _check_read(given, failed, strict or not cells)
        shape = next(iter(cells.values())).shape
        nothing = np.full(shape, np.nan)
        return np.stack([cells.get(row, nothing) for row in range(len(given))])


def _check_read(given: Listed, failed: Sequence[Failure], strict: bool) -> None:
    if failed and strict:
        first = failed[0]
        raise DataError(
            f"expected every picture to be readable, {len(failed)} of {len(given)} are not, "
            f"first {given.name(first.row)}: {first.reason}; mend or remove them, or pass "
            f"strict=False"
        )


def load_run(
    run: AnyPath,
    *,
    runs: AnyPath = PredictConfig.runs,
    cache: AnyPath = PredictConfig.cache,
    batch_size: int = PredictConfig.batch_size,
    trust: bool = PredictConfig.trust,
    weights: str | None = PredictConfig.weights,
) -> Run:
    """Open a finished run, to label pictures with it.

    The base is loaded on the first prediction; where its converted model is kept beside the cache,
    TensorFlow is not imported.

    Args:
        run: Name or folder of a run, the beginning of its name, or ``"best"``: of the data that
            were asked about last, the run with the highest selection accuracy; ``"best:FOLDER"``
            of the data of that name, or in that place.
        runs: Folder of the runs.
        cache: Folder of the feature cache.
        batch_size: Pictures per step.
        trust: Load a head that only joblib could store; reading it can run any code.
        weights: File of the base's weights, if it is not where the run says.

    Returns:
        What labels pictures.

    Raises:
        RunError: There is no such run, or it is damaged.
        InputError: A setting is out of range.

    Example:
        >>> import pipeline
        >>> run = pipeline.load_run("best", runs="runs", cache="cache")
        >>> probabilities = run.predict_proba("digits/test")
        >>> probabilities.shape == (len(run.paths("digits/test")), len(run.classes))
        True
    """
    settings = {"runs": runs, "cache": cache, "batch_size": batch_size, "trust": trust}
    config = filled(PredictConfig, {**settings, "weights": weights}, "load_run")
    return Run(find_run(config.runs, location("run", run)), config)
