"""From pictures to maps: which method a run allows, and for and against which classes."""

import hashlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from pipeline.errors import UnknownNameError
from pipeline.evidence.occlusion import Occlusion
from pipeline.heads import softmax
from pipeline.images import DecodeRecipe, Failure, RowLoader, load_batches, paired
from pipeline.predict.labelling import Readable, bundle_predictor
from pipeline.predict.origins import Origin, open_origins
from pipeline.runs import Bundle, RunFolder
from pipeline.system.units import named

Choose = Callable[[int, np.ndarray], int]
"""From a picture's row and scores (k,) to the class that the answer is held against."""


class Tracing(Protocol):
    """A way to say where scores come from."""

    @property
    def method(self) -> str:
        """Its name."""

    @property
    def about(self) -> str:
        """How the cells came to their values, in words."""

    @property
    def passes(self) -> int:
        """How often a picture goes through the base."""

    @property
    def step(self) -> int:
        """Pictures to give it at a time."""

    def run(self, batches: Iterator[np.ndarray]) -> Generator[list[Origin], None, None]:
        """Yield what is known of the pictures of each batch (n, s, s, 3) uint8, in order."""


@dataclass(frozen=True)
class Evidence:
    """Where the answer to one picture comes from.

    Args:
        row: The picture.
        answer: Number of the likeliest class.
        against: Number of the class that it is held against.
        scores: (k,) of every class.
        cells: (h, w, 2), what each cell says for the answer, and for the other class.
        bias: What is added to the answer's score wherever one looks; None where cells are no sum.
    """

    row: int
    answer: int
    against: int
    scores: np.ndarray
    cells: np.ndarray
    bias: float | None

    @property
    def probabilities(self) -> np.ndarray:
        """(k,) float, of every class."""
        probabilities: np.ndarray = softmax(self.scores[None])[0]
        return probabilities

    @property
    def of_answer(self) -> np.ndarray:
        """(h, w), for the answer."""
        return self.cells[..., 0]

    @property
    def instead(self) -> np.ndarray:
        """(h, w), for the answer instead of the other class."""
        difference: np.ndarray = self.cells[..., 0] - self.cells[..., 1]
        return difference


@dataclass(frozen=True)
class Explained:
    """Some pictures, and those met on the way that could not be read.

    Args:
        found: In the order of the rows.
        failed: The pictures without.
        remarks: What pictures lost as they were decoded, (n, 4) int32.
    """

    found: list[Evidence]
    failed: tuple[Failure, ...]
    remarks: np.ndarray


@dataclass(frozen=True)
class Explainer:
    """A run that says where its answers come from.

    Args:
        tracing: How.
        decoding: How pictures are decoded, the same as in training.
        classes: Names of the scores.
    """

    tracing: Tracing
    decoding: DecodeRecipe
    classes: tuple[str, ...]

    def explain(self, pictures: Readable, choose: Choose) -> Generator[Explained, None, None]:
        """Say of each picture where its answer comes from, as they come.

        Args:
            pictures: By row number.
            choose: Which class the answer is held against.

        Raises:
            RunError: An exact map does not add up to the score.
        """
        loader = RowLoader(pictures.read, self.decoding)
        batches = load_batches(loader, range(len(pictures)), self.tracing.step)
        with closing(paired(self.tracing.run, batches)) as computed:
            for batch, origins in computed:
                rows = batch.rows.tolist()
                found = [_evidence(*one, choose) for one in zip(rows, origins, strict=True)]
                yield Explained(found, batch.failed, batch.remarks)


def _evidence(row: int, origin: Origin, choose: Choose) -> Evidence:
    answer, against = int(origin.scores.argmax()), choose(row, origin.scores)
    cells = origin.checked([answer, against])
    bias = None if origin.bias is None else float(origin.bias[answer])
    return Evidence(row, answer, against, origin.scores, cells, bias)


def open_explainer(
    name: str, bundle: Bundle, models: Path, batch_size: int, grid: int
) -> Explainer:
    """Make a run's bundle ready: exact where its scores are sums over places, else by occlusion.

    Args:
        name: The run's.
        bundle: What predicts.
        models: Folder of the converted models.
        batch_size: Pictures per step.
        grid: Squares a side of an occlusion.

    Raises:
        WeightsError: The base has to be built, and its weights are gone, or not what they were.
    """
    tracing: Tracing | None = open_origins(bundle, models, batch_size)
    if tracing is None:
        predictor = bundle_predictor(name, bundle, models, grid**2 + 1)
        tracing = Occlusion(predictor, grid, batch_size)
    return Explainer(tracing, bundle.decoding, bundle.classes)


def notes_on(bundle: Bundle) -> tuple[str, ...]:
    """Say what a reader of a run's maps has to know beside them."""
    if bundle.test_views is None:
        return ()
    return (
        f"the maps are of the pictures as they are; the run's own answers are the mean over each "
        f"picture and {bundle.test_views.n} views of it",
    )


def class_number(classes: tuple[str, ...], name: str) -> int:
    """Return the number of a class by its name; raises UnknownNameError."""
    if name not in classes:
        raise UnknownNameError("class", name, classes, f"the classes are {named(classes)}")
    return classes.index(name)


def known_labels(run: RunFolder, classes: tuple[str, ...]) -> dict[str, int]:
    """Return the class of each of a run's test pictures by the SHA-256 of its file, in hex.

    Pictures whose copies have another label have none.
    """
    labels: dict[str, set[str]] = {}
    for row in run.predictions():
        labels.setdefault(row["digest"], set()).add(row["label"])
    return {
        digest: classes.index(next(iter(names)))
        for digest, names in labels.items()
        if len(names) == 1
    }


def label_of(pictures: Readable, row: int, labels: dict[str, int]) -> int | None:
    """Return what is known of a picture's class; None where nothing is."""
    try:
        data = pictures.read(row)
    except OSError:  # gone since it was decoded: whoever draws it says so
        return None
    return labels.get(hashlib.sha256(data).hexdigest())


def opponent(scores: np.ndarray, against: int | None = None, label: int | None = None) -> int:
    """Return the class that an answer is held against.

    That is the one asked for, else for a mistake the true class, else the runner-up; an answer is
    never held against itself.

    >>> opponent(np.array([3.0, 1.0, 2.0])), opponent(np.array([3.0, 1.0, 2.0]), label=1)
    (2, 1)
    """
    answer, second = (int(number) for number in np.argsort(-scores, kind="stable")[:2])
    wanted = label if against is None else against
    return second if wanted is None or wanted == answer else wanted
