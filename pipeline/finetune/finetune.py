"""Stage 3: train the upper part of the base together with the head, from where the head ended."""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from time import monotonic
from typing import Any

import keras

from pipeline.backbones.engines.tensorflow import configure_devices
from pipeline.config import FinetuneConfig, to_dict
from pipeline.evaluate import evaluate
from pipeline.finetune.augment import augmentation
from pipeline.finetune.checkpoint import HISTORY, Checkpoint
from pipeline.finetune.examples import Examples, open_examples
from pipeline.finetune.head import fit_starting_head
from pipeline.finetune.logs import plot_curves, tensorboard_log, write_history
from pipeline.finetune.network import Network, build_network
from pipeline.finetune.outcome import initial_figures, judge, selection
from pipeline.finetune.task import Task, check_classes, make_task
from pipeline.finetune.training.plan import Epoch, OnStep, best_epoch
from pipeline.finetune.training.spread import Spread, all_devices
from pipeline.finetune.training.trainer import Trainer
from pipeline.images import Dataset
from pipeline.runs import (
    FINETUNE,
    FinalTest,
    FineTuning,
    PredictionRows,
    RunData,
    RunFolder,
    experiment_digest,
    load_finished,
    load_run,
    new_run,
    run_name,
    save_model,
    write_run,
)
from pipeline.system.progress import SILENT as SILENT_REPORTER
from pipeline.system.progress import Reporter

logger = logging.getLogger("pipeline")


@dataclass(frozen=True)
class Finetuned:
    """What stage 3 did: the run it left, and whether it was there before."""

    run: RunFolder
    reused: bool


@dataclass(frozen=True)
class Watch:
    """Who is told how a fine-tuning goes on.

    Args:
        on_epoch: Told of epoch 0 (before training) and of every epoch.
        on_step: Told of each step.
        on_maps: Told of activations that are cached, batch by batch.
    """

    on_epoch: Callable[[Epoch], None] = lambda epoch: None
    on_step: OnStep = lambda *step: None
    on_maps: Reporter = SILENT_REPORTER


SILENT = Watch()


def finetune(
    config: FinetuneConfig, dataset: Dataset, source: RunFolder, watch: Watch = SILENT
) -> Finetuned:
    """Fine-tune the base under a run's head.

    The same again is answered from its run folder; where it was interrupted, it goes on after its
    last whole epoch.

    Args:
        config: What learns, on what, and how.
        dataset: The pictures.
        source: The run to start from; its features of ``dataset`` are in the cache.
        watch: Who is told how it goes on.

    Raises:
        RunError: The run's head cannot sit on the base, or has other classes.
        InputError: Nothing would learn, or nothing is frozen where activations are to be cached.
    """
    check_classes(dataset, source)
    _tell_of_other_pictures(dataset, source)
    task = make_task(config, dataset, source)
    key = task.key()
    digest = experiment_digest(key)
    name = run_name(task.name_parts, digest)
    if (finished := load_finished(config.runs / name, key)) is not None:
        return Finetuned(finished, reused=True)
    _run(task, name, Checkpoint(config.runs, digest), watch)
    return Finetuned(load_run(config.runs / name), reused=False)


def _tell_of_other_pictures(dataset: Dataset, source: RunFolder) -> None:
    if source.dataset.digest != dataset.digest:
        logger.warning(
            "%s was made on other pictures than %s holds now; its head is fitted again on these",
            source.name,
            dataset.location,
        )


def _run(task: Task, name: str, checkpoint: Checkpoint, watch: Watch) -> None:
    """Train, judge on the test split once, and write the run."""
    began, config = monotonic(), task.config
    keras.utils.set_random_seed(config.seed)
    on_gpu = configure_devices(config.precision)
    start = fit_starting_head(task.table, task.spec, task.source, task.fit, task.validation)
    spread = all_devices()
    with spread.scope():
        network = build_network(config, task.base, start.head, task.spec)
    opened = open_examples(task, network, on_gpu, watch.on_maps)
    before = opened.examples.probabilities(task.validation)
    initial = initial_figures(task, before, start)
    told = _telling(config, name, watch)
    history = _train(task, network, opened.examples, checkpoint, told, spread)
    after = opened.examples.probabilities(task.validation)
    test = task.table.rows("test")
    probabilities = opened.examples.probabilities(test)
    with new_run(config.runs, name) as folder:
        run = RunFolder(
            path=folder,
            kind=FINETUNE,
            experiment=task.key(),
            config=to_dict(config),
            base=task.base.to_dict(),
            recipe=task.base.recipe,
            dataset=RunData.of(task.table),
            head=str(task.spec),
            layers=task.base.layers,
            params=dict(task.spec.params),
            seed=config.seed,
            selection=selection(task, best_epoch(history), before, after),
            test=FinalTest.of(
                task.dataset.test_name,
                evaluate(probabilities, task.dataset.labels[test], config.seed),
                task.dataset.classes,
            ),
            seconds=round(monotonic() - began, 3),
            fine_tuning=FineTuning(
                from_run=task.source.name,
                learned_layers=tuple(network.learning),
                boundary=None if opened.boundary is None else opened.boundary.layer,
                step_factors=network.factors,
                changes=task.changed.to_dict(),
                devices=spread.n_devices,
                initial=initial,
                epochs=tuple(asdict(epoch) for epoch in history),
            ),
        )
        write_run(run, PredictionRows.of(task.dataset, test, probabilities))
        write_history(folder / HISTORY, history)
        plot_curves(folder / "plots" / "history.svg", history, len(task.validation))
        save_model(folder / "bundle", network.whole, task.dataset.classes, task.base.to_dict())
    checkpoint.remove()


def _train(
    task: Task,
    network: Network,
    examples: Examples,
    checkpoint: Checkpoint,
    watch: Watch,
    spread: Spread,
) -> list[Epoch]:
    """Train from the start, or from where it was interrupted."""
    if spread.n_devices > 1:
        logger.info("each batch is shared by %d devices", spread.n_devices)
    augment = augmentation(task.changed.names, task.config.seed)
    trainer = Trainer(
        network.logits, augment, task.plan(), examples.network, network.factors, spread
    )
    resumed = checkpoint.load()
    if resumed is not None and not trainer.fits(resumed):
        checkpoint.ignore("it is of another model")
        resumed = None
    if resumed is not None:
        logger.info("going on after epoch %d, from %s", resumed.history[-1].epoch, checkpoint.path)
    return trainer.fit(
        examples.batches(task.fit, task.config.seed),
        lambda: judge(task, examples.probabilities(task.validation)),
        watch.on_epoch,
        watch.on_step,
        resumed=resumed,
        keep=checkpoint.save,
    )


def _telling(config: FinetuneConfig, name: str, watch: Watch) -> Watch:
    """Return the same watch, with a TensorBoard log beside it where one is wanted."""
    if config.tensorboard is None:
        return watch
    log = tensorboard_log(config.tensorboard / name)

    def on_epoch(epoch: Epoch) -> None:
        log(epoch)
        watch.on_epoch(epoch)

    return Watch(on_epoch, watch.on_step, watch.on_maps)


def describe(finetuned: Finetuned) -> dict[str, Any]:
    """Return the stage's ``--json`` value."""
    run, tuned = finetuned.run, finetuned.run.fine_tuning
    assert tuned is not None
    return {
        "run": run.name,
        "from": tuned.from_run,
        "mode": run.mode,
        "boundary": tuned.boundary,
        "learned_layers": list(tuned.learned_layers),
        "initial": tuned.initial and asdict(tuned.initial),
        "epochs": list(tuned.epochs),
        "kept_epoch": run.selection.epoch,
        "test": run.test.summary(),
        "seconds": run.seconds,
        "reused": finetuned.reused,
    }
