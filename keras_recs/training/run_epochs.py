"""The loop of training, which can begin anywhere in an epoch."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Any

import keras

from keras_recs.training.finite_steps import FiniteSteps
from keras_recs.training.recovery import Position, Recovery
from keras_recs.training.steps_of import steps_of
from keras_recs.training.stop_requests import stop_requests


def run_epochs(
    model: keras.Model,
    train: Any,
    recovery: Recovery,
    finite: FiniteSteps,
    *,
    epochs: int,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
) -> keras.callbacks.History:
    """What `model.fit` does, from where an earlier process was.

    It calls the model's own `train_step` under its strategy, and callbacks as
    `model.fit` does: of an epoch that goes on, the batches that are left, under their
    numbers. SIGTERM saves and ends the process; of one worker, that of all.

    Args:
        model: compiled `keras.Model`, made in the strategy's scope.
        train: `tf.data.Dataset` of known cardinality.
        recovery: saves, and knows where to begin.
        finite: finds steps that are not finite.
        epochs: int.
        callbacks: Keras callbacks.
        verbose: as in `model.fit`. Defaults to `"auto"`.

    Returns:
        `keras.callbacks.History` of all epochs, those of earlier processes too.

    Raises:
        ValueError: for a data set without a known end; `NonFiniteStep` for gradients
            that are not finite.
        SystemExit: after SIGTERM; the same call goes on.
    """
    workers = recovery.workers
    num_steps = int(max(workers.gather(steps_of(train))))
    if not num_steps:
        raise ValueError(
            "`train` has no batch. With `drop_remainder=True` there must be at least "
            "`batch_size` examples."
        )
    strategy = model.distribute_strategy
    with strategy.scope():
        build(model, train)
    calls = keras.callbacks.CallbackList(
        list(callbacks),
        add_history=True,
        add_progbar=verbose != 0,
        verbose=verbose,
        epochs=epochs,
        steps=num_steps,
        model=model,
    )
    model.stop_training = False
    calls.on_train_begin()
    position = recovery.begin(model, remembering(calls), train)
    finite.skipped = position.skipped
    rest = train.skip(position.step) if position.step else train
    logs: dict[str, Any] = {}
    with (
        stop_requests() as request,
        finite.watching(model),
        recovery.finished_at_last(),
    ):
        while position.epoch < epochs and not model.stop_training:
            epoch = position.epoch
            model.reset_metrics()
            calls.on_epoch_begin(epoch)
            recovery.begin_epoch()
            batches = iter(workers.distribute(rest, recovery.batch_size))
            at_once = model.steps_per_execution
            for step in range(position.step, num_steps, at_once):
                calls.on_train_batch_begin(step)
                logs = finite.step(model, batches, f"Epoch {epoch}, step {step}")
                end = min(step + at_once, num_steps)
                calls.on_train_batch_end(end - 1, logs)
                due = recovery.is_due(end - step)
                if end == num_steps:
                    break
                # One that stopped alone would leave the others waiting for it.
                stop, leave, save = workers.any_of(
                    model.stop_training, request.received, due, num_steps=end - step
                )
                if stop:
                    model.stop_training = True
                    break
                position = Position(epoch, end, finite.skipped)
                if leave:
                    _leave(recovery, position)
                # All count the same steps, and need not ask each other.
                if save or (due and recovery.counts_steps):
                    recovery.save(position)
            logs = dict(model._get_metrics_result_or_logs(logs))
            if finite.skipped:
                logs["skipped_steps"] = finite.skipped
            calls.on_epoch_end(epoch, logs)
            model.stop_training = any(workers.gather(model.stop_training))
            position, rest = Position(epoch + 1, 0, finite.skipped), train
            if position.epoch < epochs and not model.stop_training:
                if any(workers.gather(request.received)):
                    _leave(recovery, position)
                recovery.after_epoch(position)
    model.optimizer.finalize_variable_values(model.trainable_variables)
    calls.on_train_end(logs)
    return model.history


def build(model: keras.Model, train: Any) -> None:
    """Makes all variables that a checkpoint restores, of losses and metrics too."""
    import tensorflow as tf

    batch = tf.nest.map_structure(
        lambda spec: keras.KerasTensor(tuple(spec.shape), spec.dtype.name),
        train.element_spec,
    )
    model._symbolic_build(data_batch=batch)
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def remembering(calls: keras.callbacks.CallbackList) -> list:
    """All callbacks but the progress bar, which depends on where one looks."""
    return [
        callback
        for callback in calls.callbacks
        if not isinstance(callback, keras.callbacks.ProgbarLogger)
    ]


def _leave(recovery: Recovery, position: Position) -> None:
    recovery.save(position)
    raise SystemExit(128 + signal.SIGTERM)
