"""What a run's files say of it: what it was chosen by, and how good it is on the final test.

Each type is read and written here and nowhere else. What older runs did not say yet has its default
where it is read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, NotRequired, TypedDict

import numpy as np

from pipeline.evaluate import (
    Estimate,
    Metrics,
    ReliabilityPoint,
    Threshold,
    per_class,
    proportion,
)
from pipeline.system.typed import Count, Share, Some, record, typed

ClassRow = TypedDict(
    "ClassRow", {"class": str, "precision": float, "recall": float, "f1": float, "support": int}
)
ConfusedRow = TypedDict(
    "ConfusedRow", {"class": str, "called": str, "count": int, "share": float, "paths": list[str]}
)


class MistakeRow(TypedDict):
    """A `pipeline.evaluate.mistakes.Mistake`."""

    path: str
    label: str
    prediction: str
    probability: float
    given_probability: float


class EstimateRow(TypedDict):
    """A `pipeline.evaluate.Estimate`."""

    value: float
    ci95: tuple[float, float]


class AnsweredRow(TypedDict):
    """A `pipeline.evaluate.threshold.Answered`."""

    n: int
    answered: int
    wrong: int
    coverage: EstimateRow
    error: EstimateRow | None


class EpochRow(TypedDict):
    """An epoch of fine-tuning."""

    epoch: Count
    train_loss: float | None
    train_accuracy: float | None
    validation_loss: float
    validation_accuracy: float
    learning_rate: NotRequired[float]
    seconds: NotRequired[float]


class MixtureRow(TypedDict):
    """A mean of the model before fine-tuning and the kept one."""

    share: Share
    validation_loss: float
    validation_accuracy: float


class CurvePointRow(TypedDict):
    """A point of a learning curve."""

    n: Some
    accuracy: Share
    ci95: tuple[Share, Share]
    accuracies: list[Share]


class LearningCurveRow(TypedDict):
    """``learning_curve.json``."""

    points: list[CurvePointRow]
    gain: float
    gain_ci95: tuple[float, float]
    answer: str
    sentence: str


class UntypicalRow(TypedDict):
    """A picture, and how typical it is of the training pictures."""

    path: str
    typical: Share


class TypicalRow(TypedDict):
    """``typical.json``: how typical the final test's pictures are of the training pictures."""

    least: Share
    n: Count
    below: Count
    share: EstimateRow
    histogram: list[Count]
    untypical: list[UntypicalRow]


MOST_UNTYPICAL, BINS = 12, 20


def typical_test(typical: np.ndarray, paths: Sequence[str], least: float) -> dict[str, Any]:
    """Return what ``typical.json`` says: how typical (n,) pictures of the test are of train."""
    below = int(np.sum(typical < least))
    order = np.argsort(typical, kind="stable")[:MOST_UNTYPICAL].tolist()
    return {
        "least": least,
        "n": len(paths),
        "below": below,
        "share": asdict(proportion(below / len(paths), len(paths))),
        "histogram": np.histogram(typical, BINS, (0, 1))[0].tolist(),
        "untypical": [{"path": paths[row], "typical": float(typical[row])} for row in order],
    }


class TriedRow(TypedDict):
    """A row of ``search.json``."""

    layers: list[str]
    preparation: NotRequired[str]
    head: str
    accuracy: Share | None
    log_loss: float | None
    seconds: NotRequired[float]


class ComparedBase(TypedDict):
    """A row of ``bases.json``."""

    backbone: str
    weights: str
    n_parameters: int | None
    images_per_second: float | None
    bytes_per_image: int | None
    sample_accuracy: Share | None
    sample_ci95: tuple[Share, Share] | None
    sample: int | None
    accuracy: float | None
    ci95: tuple[float, float] | None
    dropped: str | None
    chosen: bool
    pareto: bool
    difference: NotRequired[Mapping[str, Any] | None]


@dataclass(frozen=True, kw_only=True)
class SelectionFigures:
    """What a run was chosen by: never a figure of the final test.

    Args:
        by: What judged, for people.
        n: Pictures that judged; 0 where none could be held out.
        accuracy: The figure that runs are chosen by; None where nothing was judged.
        ci95: Its 95 % interval; None where there is none.
        log_loss: What decides between runs of the same accuracy, in nats.
        uncorrected: The accuracy before it was corrected for being the best of many.
        candidates: How many these were.
        threshold: From which probability on a picture is answered, where that was asked for.
        gain: Fine-tuning only, as what follows: accuracy beyond that of the head.
        validation_log_loss: Of the kept epoch, on the pictures that decided when to stop.
        validation_accuracy: The same.
        epoch: The epoch whose weights were kept.
    """

    by: str
    n: Count
    accuracy: float | None
    log_loss: float | None
    ci95: tuple[float, float] | None = None
    uncorrected: float | None = None
    candidates: int | None = None
    threshold: Threshold | None = None
    gain: float | None = None
    validation_log_loss: float | None = None
    validation_accuracy: float | None = None
    epoch: int | None = None

    @property
    def cv_accuracy(self) -> float | None:
        """The accuracy where cross-validation decided; None where a validation split did."""
        return self.accuracy if "fold" in self.by else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; what does not apply to a run is left out."""
        value: dict[str, Any] = {"by": self.by, "n": self.n, "accuracy": self.accuracy}
        if self.epoch is None:  # the accuracy of a fine-tuned base is a sum without an interval
            value["ci95"] = None if self.ci95 is None else list(self.ci95)
        value["log_loss"] = self.log_loss
        names = [field.name for field in fields(self) if field.name not in ("ci95", *value)]
        more = {name: getattr(self, name) for name in names}
        if self.threshold is not None:
            more["threshold"] = self.threshold.to_dict()
        return value | {name: one for name, one in more.items() if one is not None}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "SelectionFigures":
        """Inverse of `to_dict`; raises MisreadError on anything else."""
        return record(cls, {"n": 0, "accuracy": None, "log_loss": None, **value})


@dataclass(frozen=True)
class InitialFigures:
    """Where fine-tuning began, on the n pictures that decide when to stop.

    The accuracy of the whole model before training, that of the run's head on cached features, and
    the greatest difference of a probability between the two.
    """

    validation_accuracy: float
    head_accuracy: float
    max_probability_difference: float
    n: int


@dataclass(frozen=True, kw_only=True)
class FinalTest:
    """How good a run is on the final test, at which nothing was chosen.

    Args:
        split: The split that it is.
        n: Pictures.
        accuracy: Share that was called right.
        ci95: Its 95 % interval.
        balanced_accuracy: Mean recall of the classes.
        macro_f1: Mean F1 of the classes.
        log_loss: Mean negative log probability of the given labels, in nats.
        roc_auc: Binary or macro one-vs-rest; None if there is one class.
        average_precision: The same.
        top5_accuracy: None where there are five classes or fewer.
        calibration_error: Expected calibration error.
        reliability: Groups of pictures by rising confidence.
        confusion: k rows of k counts: row i, column j counts pictures of class i called class j.
        classes: Precision, recall, F1 and support of each class, in class order.
        confused: Which classes are taken for which, see `confused_pairs`; None if nobody looked.
        mistakes: The surest mistakes, see `confident_mistakes`; None if nobody looked.
        answered: What the threshold answers, see `judge_threshold`; None without a threshold.
    """

    split: str
    n: Some
    accuracy: Share
    ci95: tuple[Share, Share]
    balanced_accuracy: Estimate | None = None
    macro_f1: Estimate | None = None
    log_loss: float | None = None
    roc_auc: Estimate | None = None
    average_precision: float | None = None
    top5_accuracy: Estimate | None = None
    calibration_error: float | None = None
    reliability: tuple[ReliabilityPoint, ...] = ()
    confusion: Sequence[Sequence[Count]] = ()
    classes: Sequence[ClassRow] = ()
    confused: Sequence[ConfusedRow] | None = None
    mistakes: Sequence[MistakeRow] | None = None
    answered: AnsweredRow | None = None

    @classmethod
    def of(cls, split: str, judged: Metrics, classes: Sequence[str], **looked: Any) -> "FinalTest":
        """Take the figures of a split, and ``confused``, ``mistakes``, ``answered``."""
        return cls(
            split=split,
            n=judged.n,
            accuracy=judged.accuracy.value,
            ci95=judged.accuracy.ci95,
            balanced_accuracy=judged.balanced_accuracy,
            macro_f1=judged.macro_f1,
            log_loss=judged.log_loss,
            roc_auc=judged.roc_auc,
            average_precision=judged.average_precision,
            top5_accuracy=judged.top5_accuracy,
            calibration_error=judged.reliability.error,
            reliability=judged.reliability.points,
            confusion=judged.confusion.tolist(),
            classes=typed(list[ClassRow], per_class(judged.confusion, classes)),
            **looked,
        )

    def summary(self) -> dict[str, Any]:
        """Return what every command says of the final test, as plain JSON values."""
        return {
            "split": self.split,
            "n": self.n,
            "accuracy": self.accuracy,
            "ci95": list(self.ci95),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; what nobody looked for is left out."""
        value = {field.name: getattr(self, field.name) for field in fields(self)}
        value["accuracy"] = Estimate(self.accuracy, value.pop("ci95"))
        for name, one in value.items():
            if isinstance(one, Estimate):
                value[name] = one.to_dict()
        value["reliability"] = [asdict(point) for point in self.reliability]
        looked = ("confused", "mistakes", "answered")
        return {name: one for name, one in value.items() if name not in looked or one is not None}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "FinalTest":
        """Inverse of `to_dict`; raises MisreadError on anything else."""
        figures: dict[str, Any] = record(_Figures, value)
        accuracy = figures["accuracy"]
        return record(cls, {**value, "accuracy": accuracy.value, "ci95": accuracy.ci95})


class _Figures(TypedDict):
    """What of the final test is told in another form than it is kept in."""

    accuracy: Estimate
