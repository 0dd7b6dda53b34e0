"""Stage 3: train the upper part of the base together with the head, from where the head ended."""

import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from pipeline.backbones.cuts import Cut
from pipeline.backbones.engines.devices import device_of
from pipeline.config import FinetuneConfig, to_dict
from pipeline.errors import InputError
from pipeline.evaluate import evaluate
from pipeline.evaluate.plots import plot_history
from pipeline.features.extract import CachedFeatures
from pipeline.finetune.attempts import attempt
from pipeline.finetune.checkpoint import HISTORY, Checkpoint
from pipeline.finetune.examples import open_examples
from pipeline.finetune.logs import write_history
from pipeline.finetune.network import build_network, check_memory
from pipeline.finetune.onward import go_on_from
from pipeline.finetune.outcome import initial_figures, selection
from pipeline.finetune.settings import ALL, AUTO
from pipeline.finetune.start import Outlook, StartingHead, fit_starting_head, look_ahead
from pipeline.finetune.task import Task, check_classes, make_task
from pipeline.finetune.training.plan import kept_epoch
from pipeline.finetune.training.spread import all_devices
from pipeline.runs import (
    FINETUNE,
    FinalTest,
    FineTuning,
    PredictionRows,
    RunData,
    RunFolder,
    SelectionFigures,
    experiment_digest,
    load_finished,
    load_run,
    new_run,
    run_name,
    save_model,
    write_run,
)
from pipeline.runs.figures import EpochRow, MixtureRow
from pipeline.system.machine import available_memory
from pipeline.system.progress import SILENT, Reporter
from pipeline.system.typed import typed

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finetuned:
    """What stage 3 did.

    Args:
        run: The run it left; the one that it would have started from, where nothing was trained.
        reused: Whether it was there before.
        outlook: Why nothing was trained; None where something was.
    """

    run: RunFolder
    reused: bool
    outlook: Outlook | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the stage's ``--json`` value."""
        run = self.run
        tuned = run.fine_tuning or FineTuning(from_run=run.name)
        return {
            "run": run.name,
            "trained": run.fine_tuning is not None,
            "outlook": self.outlook and self.outlook.to_dict(),
            "from": tuned.from_run,
            "mode": run.mode,
            "learning_rate": tuned.learning_rate,
            "given_up": list(tuned.given_up),
            "boundary": tuned.boundary,
            "learned_layers": list(tuned.learned_layers),
            "initial": tuned.initial and asdict(tuned.initial),
            "epochs": list(tuned.epochs),
            "kept_epoch": run.selection.epoch,
            "mixtures": list(tuned.mixtures),
            "test": run.test.summary(),
            "seconds": run.seconds,
            "reused": self.reused,
        }


def finetune(
    config: FinetuneConfig,
    found: CachedFeatures,
    source: RunFolder,
    reporter: Reporter = SILENT,
) -> Finetuned:
    """Fine-tune the base under a run's head.

    The same again is answered from its run folder; where it was interrupted, it goes on after its
    last whole epoch. Where the head makes too few mistakes for the pictures that decide to show a
    gain, nothing is trained and the head stays, unless that is asked for anyway.

    Args:
        config: What learns, on what, and how.
        found: The pictures, with the features that the run's head learns from.
        source: The run to start from.
        reporter: Is told of activations that are cached, of each step and of each epoch.

    Raises:
        RunError: The run's head cannot sit on the base, or has other classes.
        InputError: Nothing would learn, nothing is frozen where activations are to be cached, or
            the loss is not a number from the beginning.
        DataError: A picture has no features, cannot be read as it was, or none can be held out.
    """
    check_classes(found.dataset, source)
    if source.dataset.digest != found.dataset.digest:
        fitted = "its head is fitted again on these"
        seen = "it may have learnt from some of those that decide here, and looks better than it is"
        logger.warning(
            "%s was made on other pictures than %s holds now; %s",
            source.name,
            found.dataset.location,
            seen if source.kind == FINETUNE else fitted,
        )
    task = make_task(config, found, source)
    digest = experiment_digest(task.key())
    name = run_name(task.name_parts, digest)
    if (finished := load_finished(config.runs / name, task.key())) is not None:
        return Finetuned(finished, reused=True)
    if config.unfreeze not in (ALL, AUTO) and not config.unfreeze.isdigit():
        lowest = task.base.spec.resolve_layer(config.unfreeze)
        task.base.with_cuts([Cut(lowest, "avg")]).check_layers()
    start = fit_starting_head(task)
    if source.kind == FINETUNE:
        start = go_on_from(task, start)
    outlook = look_ahead(task, start)
    if not (outlook.visible or config.anyway):
        return Finetuned(source, reused=True, outlook=outlook)
    logger.info("%s", outlook.sentence)
    _run(task, name, start, Checkpoint(config.runs, digest), reporter)
    return Finetuned(load_run(config.runs / name), reused=False)


def _run(
    task: Task, name: str, start: StartingHead, checkpoint: Checkpoint, reporter: Reporter
) -> None:
    """Train, judge on the test split once, and write the run.

    What could fail at the end is tried before training: the test pictures can be read, and the
    folder of the runs has room for a checkpoint, which is larger than a run.
    """
    began, config = monotonic(), task.config
    device = device_of("tensorflow", config.precision)
    devices = all_devices()
    with devices.scope():
        network = build_network(task, start)
    check_memory(network, config.batch_size, None if device.gpu else available_memory())
    examples = open_examples(task, network, device, reporter)
    before = examples.probabilities(task.validation)
    initial = initial_figures(task, before, start)
    try:
        done = attempt(task, name, network, examples, checkpoint, devices, reporter)
    except InputError:  # the way out is another setting, which has another checkpoint
        checkpoint.remove_untrained()
        raise
    after = examples.probabilities(task.validation)
    tested = examples.probabilities(task.test)
    if not np.isfinite(tested).all():
        raise InputError(
            f"expected probabilities that are numbers of all {len(tested)} test pictures, received "
            f"NaN or infinity from the kept epoch; choose a smaller --learning-rate, or "
            f"--precision float32"
        )
    tuned = FineTuning(
        from_run=task.source.name,
        learned_layers=tuple(network.learning),
        boundary=None if examples.boundary is None else examples.boundary.layer,
        step_factors=network.factors,
        changes=task.changed.to_dict(),
        devices=devices.n_devices,
        initial=initial,
        learning_rate=done.learning_rate,
        given_up=done.given_up,
        epochs=tuple(typed(EpochRow, asdict(epoch)) for epoch in done.history),
        mixtures=tuple(typed(MixtureRow, asdict(one)) for one in done.mixtures),
    )
    chosen = selection(task, kept_epoch(done.history), before, after)
    with new_run(config.runs, name) as folder:
        run = _described(task, folder, tuned, chosen, tested)
        run = replace(run, seconds=round(monotonic() - began, 3))
        write_run(run, PredictionRows.of(task.dataset, task.test, tested))
        write_history(folder / HISTORY, done.history)
        (folder / "plots").mkdir()
        curves = folder / "plots" / "history.svg"
        plot_history(tuned.epochs, chosen.epoch, len(task.validation), curves, tuned.mixtures)
        save_model(folder / "bundle", network.whole, task.dataset.classes, task.base.to_dict())
    checkpoint.remove()


def _described(
    task: Task, folder: Path, tuned: FineTuning, chosen: SelectionFigures, tested: np.ndarray
) -> RunFolder:
    """Return what the run says of itself; ``tested`` are probabilities (n, k) of the test rows."""
    labels, names = task.dataset.labels[task.test], task.dataset.classes
    test = evaluate(tested, labels, task.config.seed)
    return RunFolder(
        path=folder,
        kind=FINETUNE,
        experiment=task.key(),
        config=to_dict(task.config),
        base=task.base.to_dict(),
        recipe=task.base.recipe,
        dataset=RunData.of(task.table),
        head=str(task.spec),
        layers=task.base.layers,
        params=dict(task.spec.params),
        seed=task.config.seed,
        selection=chosen,
        test=FinalTest.of(task.dataset.test_name, test, names),
        fine_tuning=tuned,
    )
