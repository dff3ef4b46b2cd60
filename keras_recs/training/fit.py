"""Training with everything that a run should leave behind."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from keras_recs.layers.embedding.whole_folder import sync_folder
from keras_recs.models.check_tables import check_tables
from keras_recs.models.next_item_model import NextItemModel
from keras_recs.schema import Schema
from keras_recs.training.catalogue_metrics import CatalogueMetrics
from keras_recs.training.check_two_level_tables import check_two_level_tables
from keras_recs.training.evictions import evictions
from keras_recs.training.exact_metrics import ExactMetrics
from keras_recs.training.finite_steps import FiniteSteps, check_policy
from keras_recs.training.history_file import HistoryFile
from keras_recs.training.is_parameter_server import is_parameter_server
from keras_recs.training.keep_best import KeepBest
from keras_recs.training.monitored import (
    RequireMetric,
    check_monitor,
    default_monitor,
    direction_of,
)
from keras_recs.training.multi_task.end_epoch import EndEpoch
from keras_recs.training.multi_task.multi_task_model import MultiTaskModel
from keras_recs.training.parameter_server.check_trainable import check_trainable
from keras_recs.training.parameter_server.lost_servers import lost_servers
from keras_recs.training.parameter_server.prepare import prepare
from keras_recs.training.parameter_server.run_on_servers import run_on_servers
from keras_recs.training.parameter_server.server_recovery import ServerRecovery
from keras_recs.training.recovery import Recovery
from keras_recs.training.run_epochs import run_epochs
from keras_recs.training.run_identity import begin_run, is_interrupted
from keras_recs.training.save_run_schema import save_run_schema
from keras_recs.training.steps_of import steps_of
from keras_recs.training.workers import Workers


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
    checkpoint_seconds: float = 60.0,
    checkpoint_steps: int | None = None,
    on_nonfinite: str = "stop",
    round_steps: int | None = None,
) -> keras.callbacks.History:
    """Trains a compiled model and fills a run directory.

    The epoch that is best by `monitor` is kept: training stops `patience` epochs after
    it and its weights are restored. One whose training loss is not finite is never the
    best; its value is NaN. Where all are so, training ends with an error and no model.
    An interrupted run, called again with the same `workdir`, model and data, goes on
    from its last checkpoint, at the very batch: weights, slots of the optimizer, seeds,
    metrics, patience and the place in the data are those of the run that was not
    interrupted. For that the order of `train` must be the same in each process, as it
    is for data sets of `keras_recs.data`. SIGTERM saves and ends the process. A
    finished run is replaced. It leaves `model.keras`, `schema.json`, `vocabularies/`,
    `history.csv`, `checkpoints/` and `tensorboard/`.

    Keys of features with `expire_after` are evicted at the end of each epoch, before
    its metrics are computed. An `EvictStaleKeys` among `callbacks` takes the place of
    that.

    Tables that lie partly in files (`hot_rows`) are complete in them at the end, and in
    each checkpoint. What an interrupted run leaves in the files is refused, but by that
    run itself, which goes on from its checkpoint; where it has none yet, remove them.

    Under `multi_worker_mirrored` each worker calls it with its own part of the data
    (`tfrecord_dataset(…, num_workers=…, worker_index=…)`); a step takes a batch of
    each. One with fewer batches trains empty ones at the end of an epoch. The chief
    fills the run directory; others keep their checkpoints in `workers/` there, or in
    the same place of their own disk. Each of them evaluates the whole `validation`.
    Where one dies the others end with an error, and all go on from the last checkpoint
    that they have in common.

    Under `parameter_server` the chief calls it with all data, which the workers read
    themselves; each trains its own batches at its own pace. The run directory must be
    on a disk that the servers share with the chief. A worker that dies costs at most
    the batch it was at, and is taken back when it is there again. Where a server dies a
    `ConnectionError` ends the call, and the same call goes on in a new cluster.

    Args:
        model: compiled `keras.Model`, made in the strategy's scope.
        train: `tf.data.Dataset` of batches for `model.fit`, whose number is known. The
            replicas of a machine share each batch.
        schema: fitted `keras_recs.Schema`.
        workdir: the run directory.
        validation: batches for the exact metrics after each epoch; of a
            `NextItemModel` those that `CatalogueMetrics` takes, or one itself. Defaults
            to `None`.
        epochs: int. Defaults to `1`.
        monitor: metric that chooses the epoch, such as `"val_click_auc"`. Defaults to
            `None`: of the first label the AUC (binary), MSE (regression) or AUC
            weighted by watch time (watch time); of a `NextItemModel`
            `"val_ndcg@10"`.
        patience: int. Epochs without a better one before training stops. Defaults to
            `2`.
        callbacks: further Keras callbacks. What Keras's `EarlyStopping`,
            `ReduceLROnPlateau` and `ModelCheckpoint` remember is in the checkpoints,
            and of others what their `get_state()` returns, which `set_state(state)`
            gets.
        verbose: as in `model.fit`. Defaults to `"auto"`.
        checkpoint_seconds: float. Time between two checkpoints; more where one costs
            more than a few percent of it; none at all for infinity. Each takes the
            memory of another copy of the model until it is written. Defaults to `60.0`.
        checkpoint_steps: int. Steps between two checkpoints, in the place of the time.
            Defaults to `None`.
        on_nonfinite: what a step does whose gradients hold NaN or infinity, of which
            nothing is applied. `"stop"` raises and names the gradients and, where there
            is one, the feature, label or weight that is not finite or very large.
            `"skip"` leaves the batch out, logs that as a warning and counts it as
            `skipped_steps`; averages of the epoch's training metrics begin anew. It
            needs `steps_per_execution=1`. Keys that the batch brought to a feature with
            `max_keys` stay. `"ignore"` does not look, nor is there a look at a model
            that XLA compiles. Defaults to `"stop"`.
        round_steps: int. Under `parameter_server` only: so many steps end before the
            next ones begin, so that no gradient is older. Defaults to `None`: workers
            never wait for each other.

    Returns:
        `keras.callbacks.History` of all epochs, also of those before an interruption.

    Raises:
        ValueError: if the directory holds an interrupted run of another model,
            optimizer, schema or data set, if `monitor` is not among the metrics of
            an epoch, or is given without `validation`, and for a table with `hot_rows`
            that the optimizer would train wrong, that is too large for the checkpoints
            or whose files an earlier run left; for a schema of another fit than the
            model's, for several steps an execution on several replicas, for data
            without a batch, and at the end where no epoch had a finite loss.
            `NonFiniteStep`, a `ValueError`, for gradients that are not finite.
        ConnectionError: under `parameter_server`, when a server is lost.
        SystemExit: after SIGTERM.
    """
    workdir = Path(workdir)
    workers = Workers(model.distribute_strategy)
    # What a worker needs for itself lies beside what the chief leaves behind.
    own = workdir if workers.is_chief else workdir / "workers" / str(workers.index)
    checkpoints = own / "checkpoints"
    pace = (checkpoint_seconds, checkpoint_steps)
    recovery: Recovery | ServerRecovery
    if not getattr(model, "compiled", False):
        raise ValueError("`model` must be compiled: call `model.compile(…)` first.")
    check_policy(on_nonfinite)
    if on_nonfinite == "skip" and model.steps_per_execution > 1:
        raise ValueError(
            "on_nonfinite='skip' leaves out single batches. Compile the model with "
            "`steps_per_execution=1`. Received: steps_per_execution="
            f"{model.steps_per_execution}"
        )
    if is_parameter_server(model.distribute_strategy):
        check_trainable(model, round_steps)
        with lost_servers(), model.distribute_strategy.scope():
            prepare(model, train)
        recovery = ServerRecovery(checkpoints, *pace)
    else:
        steps_of(train)
        recovery = Recovery(checkpoints, workers, *pace)
        if round_steps is not None:
            raise ValueError(
                "`round_steps` is for the strategy 'parameter_server': all others are "
                f"synchronous. Received: round_steps={round_steps!r}"
            )
    metrics: keras.callbacks.Callback | None = None
    catalogue: CatalogueMetrics | None = None
    if validation is not None and isinstance(model, NextItemModel):
        is_made = isinstance(validation, CatalogueMetrics)
        catalogue = validation if is_made else CatalogueMetrics(validation)
        metrics = catalogue
        monitor = monitor or f"{catalogue.prefix}ndcg@{catalogue.ks[0]}"
    elif validation is not None:
        metrics = ExactMetrics(validation, schema)
    if monitor is not None:
        check_monitor(monitor, schema, catalogue=catalogue)
    if monitor is not None and validation is None:
        raise ValueError(
            f"`monitor` needs `validation`. Received: monitor={monitor!r} and no "
            "validation data."
        )
    if validation is not None:
        monitor = monitor or default_monitor(schema)
        mode = direction_of(monitor)
    tables = check_two_level_tables(model, callbacks, is_interrupted(own))
    _check_steps_per_execution(model)
    evicting = evictions(model, schema, callbacks)
    check_tables(model, schema)
    if workers.is_chief:
        begin_run(workdir, model, schema, train)
        save_run_schema(schema, workdir)
    workers.barrier()  # the chief removes what an earlier run left
    if not workers.is_chief:
        begin_run(own, model, schema, train)

    keeper: KeepBest | None = None
    watchers: list[keras.callbacks.Callback] = []
    if metrics is not None and monitor is not None:
        keeper = KeepBest(checkpoints, monitor, mode)
        watchers = [
            metrics,
            RequireMetric(monitor),
            keeper,
            keras.callbacks.EarlyStopping(monitor, patience=patience, mode=mode),
        ]
    records: list[keras.callbacks.Callback] = []
    if workers.is_chief:
        records = [
            HistoryFile(workdir / "history.csv"),
            keras.callbacks.TensorBoard(workdir / "tensorboard", write_graph=False),
        ]
    weighing = [EndEpoch()] if isinstance(model, MultiTaskModel) else []
    options: dict[str, Any] = {
        "epochs": epochs,
        "verbose": verbose if workers.is_chief else 0,
        # Evictions first, so that metrics and checkpoints are of one model; files last,
        # so that they hold what others add to the logs.
        "callbacks": [*evicting, *weighing, *watchers, *callbacks, *records],
    }
    if isinstance(recovery, ServerRecovery):
        options["round_steps"] = round_steps
        history = run_on_servers(model, train, recovery, on_nonfinite, **options)
    else:
        finite = FiniteSteps(on_nonfinite)
        history = run_epochs(model, train, recovery, finite, **options)
    best = None if keeper is None else keeper.path
    if best is None:
        _check_loss(history, schema)
    for table in tables:
        table.flush()
    with lost_servers():
        if best is not None:
            model.load_weights(best)
        if workers.is_chief:
            temporary = workdir / f".model.{os.getpid()}.keras"
            model.save(temporary)
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, workdir / "model.keras")
            sync_folder(workdir)
    workers.barrier()  # the model is there: nobody needs a checkpoint
    recovery.checkpoints.clear()
    if keeper is not None:
        keeper.clear()
    if not workers.is_chief:
        shutil.rmtree(own)
    return history


def _check_loss(history: keras.callbacks.History, schema: Schema) -> None:
    losses = history.history.get("loss", [])
    if not history.epoch or any(map(math.isfinite, losses)):
        return
    if not losses:
        raise ValueError(
            "No step was trained: all were left out, as their gradients were not "
            "finite. No model was saved: lower `learning_rate`, or look for such "
            "numbers in the data."
        )
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
