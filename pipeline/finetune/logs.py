"""The figures of a training, epoch by epoch: a CSV, a TensorBoard log."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from pipeline.errors import StoreError
from pipeline.finetune.training.plan import Epoch


def write_history(path: Path, history: Sequence[Epoch]) -> None:
    """Write one CSV row per epoch."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [field.name for field in fields(Epoch)])
        table.writeheader()
        table.writerows(asdict(epoch) for epoch in history)


def tensorboard_log(folder: Path) -> Callable[[Epoch], None]:
    """Return what adds an epoch's figures to a TensorBoard log.

    Raises:
        StoreError: The folder cannot be written.
    """
    import tensorflow as tf

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot write the TensorBoard log {folder}: {error.strerror or error}; name another "
            f"folder with --tensorboard"
        ) from error
    writer = tf.summary.create_file_writer(str(folder))
    # What tf.summary.scalar writes, which itself needs the package tensorboard only to look it up.
    scalar = tf.compat.v1.SummaryMetadata(data_class="DATA_CLASS_SCALAR")
    scalar.plugin_data.plugin_name = "scalars"

    def add(epoch: Epoch) -> None:
        with writer.as_default(step=epoch.epoch):
            for name, value in asdict(epoch).items():
                if name != "epoch" and value is not None:
                    tf.summary.write(name, tf.constant(value, tf.float32), metadata=scalar)
        writer.flush()

    return add
