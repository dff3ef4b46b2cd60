"""`model.fit` with everything that a run should leave behind."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from keras_recs.models.check_tables import check_tables
from keras_recs.schema import Schema
from keras_recs.training.check_two_level_tables import check_two_level_tables
from keras_recs.training.evictions import evictions
from keras_recs.training.exact_metrics import ExactMetrics
from keras_recs.training.history_file import HistoryFile
from keras_recs.training.monitored import (
    RequireMetric,
    check_monitor,
    default_monitor,
    direction_of,
)
from keras_recs.training.run_identity import begin_run, is_interrupted
from keras_recs.training.save_run_schema import save_run_schema


def fit(
    model: keras.Model,
    train: Any,
    schema: Schema,
    workdir: str | os.PathLike,
    *,
    validation: Any = None,
    epochs: int = 1,
    monitor: str | None = None,
    patience: int = 2,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
) -> keras.callbacks.History:
    """Trains a compiled model and fills a run directory.

    The epoch that is best by `monitor` is kept: training stops `patience` epochs after
    it and its weights are restored. One whose training loss is not finite is never the
    best; its value is NaN. Where all are so, training ends with an error and no model.
    An interrupted run, called again with the same `workdir`, model and data, goes on at
    the epoch it was in; a finished one is replaced. It leaves `model.keras`,
    `schema.json`, `vocabularies/`, `history.csv`, `checkpoints/` and `tensorboard/`.

    Keys of features with `expire_after` are evicted at the end of each epoch, before
    its metrics are computed. An `EvictStaleKeys` among `callbacks` takes the place of
    that.

    Tables that lie partly in files (`hot_rows`) are complete in them at the end, and in
    each checkpoint. What an interrupted run leaves in the files is refused, but by that
    run itself, which goes on from its checkpoint; where it has none yet, remove them.

    Args:
        model: compiled `keras.Model`, made in the strategy's scope.
        train: batches for `model.fit`.
        schema: fitted `keras_recs.Schema`.
        workdir: the run directory.
        validation: batches for the exact metrics after each epoch. Defaults to `None`.
        epochs: int. Defaults to `1`.
        monitor: metric that chooses the epoch, such as `"val_click_auc"`. Defaults to
            `None`: of the first label the AUC (binary), MSE (regression) or AUC
            weighted by watch time (watch time).
        patience: int. Epochs without a better one before training stops. Defaults to
            `2`.
        callbacks: further Keras callbacks.
        verbose: as in `model.fit`. Defaults to `"auto"`.

    Returns:
        `keras.callbacks.History`.

    Raises:
        ValueError: if the directory holds an interrupted run of another model,
            optimizer, schema or data set, if `monitor` is not among the metrics of
            an epoch, or is given without `validation`, and for a table with `hot_rows`
            that the optimizer would train wrong, that is too large for the checkpoints
            or whose files an earlier run left; for a schema of another fit than the
            model's, for several steps an execution on several replicas, and at the end
            where no epoch had a finite loss.
    """
    if monitor is not None:
        check_monitor(monitor, schema)
    if monitor is not None and validation is None:
        raise ValueError(
            f"`monitor` needs `validation`. Received: monitor={monitor!r} and no "
            "validation data."
        )
    workdir = Path(workdir)
    checkpoints = workdir / "checkpoints"
    tables = check_two_level_tables(model, callbacks, is_interrupted(workdir))
    _check_steps_per_execution(model)
    evicting = evictions(model, schema, callbacks)
    check_tables(model, schema)
    begin_run(workdir, model, schema, train)
    save_run_schema(schema, workdir)

    best, resume = checkpoints / "best.weights.h5", checkpoints / "resume"
    watchers: list[keras.callbacks.Callback] = []
    if validation is not None:
        monitor = monitor or default_monitor(schema)
        mode = direction_of(monitor)
        known = _best_value(workdir / "history.csv", monitor, mode)
        watchers = [
            ExactMetrics(validation, schema),
            RequireMetric(monitor),
            keras.callbacks.ModelCheckpoint(
                best,
                monitor,
                save_best_only=True,
                save_weights_only=True,
                mode=mode,
                initial_value_threshold=known,
            ),
            keras.callbacks.EarlyStopping(
                monitor, patience=patience, mode=mode, baseline=known
            ),
        ]
    history = model.fit(
        train,
        epochs=epochs,
        shuffle=False,  # the data set has its own order
        verbose=verbose,
        callbacks=[
            # First, so that metrics and checkpoints are of one model.
            *evicting,
            *watchers,
            HistoryFile(workdir / "history.csv"),
            keras.callbacks.TensorBoard(workdir / "tensorboard", write_graph=False),
            keras.callbacks.BackupAndRestore(resume, double_checkpoint=True),
            *callbacks,
        ],
    )
    has_best = validation is not None and best.exists()
    if not has_best:
        _check_loss(history, schema)
    for table in tables:
        table.flush()
    if has_best:
        model.load_weights(best)
    temporary = workdir / f".model.{os.getpid()}.keras"
    model.save(temporary)
    os.replace(temporary, workdir / "model.keras")
    return history


def _check_loss(history: keras.callbacks.History, schema: Schema) -> None:
    losses = history.history.get("loss", [])
    if not losses or any(map(math.isfinite, losses)):
        return
    labels = [
        label
        for label in schema.label_names
        if not math.isfinite(history.history.get(f"{label}_loss", losses)[0])
    ]
    raise ValueError(
        f"Training diverged: the loss of {labels} was {losses[0]} in epoch "
        f"{history.epoch[0]}, and finite in no epoch since. No model was saved: lower "
        "`learning_rate`, or look for such numbers in the data."
    )


def _check_steps_per_execution(model: keras.Model) -> None:
    strategy = getattr(model, "distribute_strategy", None)
    replicas = getattr(strategy, "num_replicas_in_sync", 1)
    if replicas > 1 and model.steps_per_execution > 1:
        raise ValueError(
            "TensorFlow fails to run several steps an execution on several replicas. "
            "Compile the model with `steps_per_execution=1`. Received: "
            f"steps_per_execution={model.steps_per_execution} on {replicas} replicas"
        )


def _best_value(history: Path, monitor: str, mode: str) -> float:
    """What an interrupted run reached, so that a worse epoch does not replace it."""
    rows = []
    if history.exists():
        with open(history, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    values = [float(row.get(monitor) or math.nan) for row in rows]
    values = [value for value in values if not math.isnan(value)]
    # With nothing to be better than, Keras would take NaN for the best and keep it.
    if mode == "max":
        return max(values, default=-math.inf)
    return min(values, default=math.inf)
