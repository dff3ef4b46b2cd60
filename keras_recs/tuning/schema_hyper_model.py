"""What Keras Tuner builds and trains in a trial."""

from __future__ import annotations

import inspect
import math
from pathlib import Path

import keras
import keras_tuner

from keras_recs.losses import losses_of
from keras_recs.models.check_tables import check_tables
from keras_recs.training.evictions import evictions
from keras_recs.training.exact_metrics import ExactMetrics
from keras_recs.training.history_file import HistoryFile
from keras_recs.training.make_optimizer import make_optimizer
from keras_recs.training.monitored import (
    RequireMetric,
    check_monitor,
    default_monitor,
    direction_of,
)
from keras_recs.tuning.draw import draw


class SchemaHyperModel(keras_tuner.HyperModel):
    """A builder with ranges for arguments; `build_hypermodel` makes it.

    Args:
        schema: fitted `keras_recs.Schema`.
        builder: function from schema and arguments to model.
        ranges: as `search_space` returns them.
        held: arguments of the builder that are not searched.
        optimizer: name, or function from learning rate to optimizer.
        loss: as in `compile`, or `None`.
        objective: name of a metric, or `None`.
        patience: int.
        seed: int or `None`.
        steps_per_execution: int.
    """

    def __init__(
        self,
        schema,
        builder,
        ranges,
        held,
        *,
        optimizer,
        loss,
        objective,
        patience,
        seed,
        steps_per_execution,
    ):
        super().__init__(name=builder.__name__)
        self.schema = schema
        self.builder = builder
        self.ranges = ranges
        self.held = held
        self.optimizer = optimizer
        self.loss = loss
        name = objective or default_monitor(schema)
        check_monitor(name, schema, "objective")
        self.objective = keras_tuner.Objective(name, direction_of(name))
        self.patience = patience
        self.seed = seed
        self.steps_per_execution = steps_per_execution
        self.begin_trial(None)

    def begin_trial(self, folder):
        """Forgets the last trial; epochs of the next are written to a folder.

        Args:
            folder: path, or `None` for no file.
        """
        self.folder = folder
        self.builds = 0
        self.executions = []

    def values(self, hp):
        """Arguments of the builder, learning rate and, if searched, batch size.

        Args:
            hp: `keras_tuner.HyperParameters` of a trial.
        """
        values = draw(hp, self.ranges)
        training = {
            name: values.pop(name)
            for name in ("learning_rate", "batch_size")
            if name in values
        }
        return values, training

    def build(self, hp):
        """Builds and compiles the model of a trial.

        Args:
            hp: `keras_tuner.HyperParameters`.
        """
        arguments, training = self.values(hp)
        if self.seed is not None:  # else executions of one trial would be equal
            keras.utils.set_random_seed(self.seed + self.builds)
        self.builds += 1
        model = self.builder(self.schema, **self.held, **arguments)
        make = self.optimizer
        rate = training["learning_rate"]
        optimizer = make(rate) if callable(make) else make_optimizer(make, rate)
        loss = losses_of(self.schema) if self.loss is None else self.loss
        model.compile(
            optimizer, loss=loss, steps_per_execution=self.steps_per_execution
        )
        # So that Hyperband finds the slots when it goes on with an earlier trial.
        optimizer.build(model.trainable_variables)
        return model

    def fit(self, hp, model, train, validation=None, callbacks=(), **options):
        """Trains a trial, stops it early and restores its best epoch.

        Args:
            hp: `keras_tuner.HyperParameters`.
            model: what `build` returned.
            train: batches, or a function from batch size to batches.
            validation: batches for the exact metrics.
            callbacks: Keras callbacks.
            **options: of `model.fit`, such as `epochs`, `initial_epoch` and `verbose`.

        Returns:
            dict of the metrics of the best epoch.

        Raises:
            ValueError: if there is no validation data, if the objective is not among
                the metrics or is never a number, if loss or predictions are not finite,
                and if a batch size is searched but `train` is no function.
        """
        fatal = keras_tuner.errors.FatalValueError
        if validation is None:
            raise fatal("A search needs `validation` batches. Received: None")
        if "batch_size" in self.ranges and not callable(train):
            raise fatal(
                "To search `batch_size`, give `train` as a function from batch size to "
                f"batches. Received: train={train!r}"
            )
        if callable(train):
            size = self.values(hp)[1].get("batch_size")
            train = train(size) if inspect.signature(train).parameters else train()
        try:
            check_tables(model, self.schema)
        except ValueError as error:
            raise fatal(str(error)) from error
        name, direction = self.objective.name, self.objective.direction
        files = []
        if self.folder is not None:
            number = len(self.executions)
            files = [HistoryFile(Path(self.folder) / f"history_{number}.csv")]
        history = model.fit(
            train,
            shuffle=False,  # the data set has its own order
            callbacks=[
                *evictions(model, self.schema, callbacks),
                ExactMetrics(validation, self.schema),
                _Objective(name),
                _Finite(self.schema),
                keras.callbacks.EarlyStopping(
                    name,
                    patience=self.patience,
                    mode=direction,
                    restore_best_weights=True,
                ),
                *files,
                *callbacks,
            ],
            **options,
        )
        return self._best(history, name, direction)

    def _best(self, history, name, direction):
        scores = history.history[name]
        numbers = [score for score in scores if not math.isnan(score)]
        if not numbers:
            raise ValueError(
                f"The objective {name} was not a number in any of {len(scores)} epochs."
            )
        best = scores.index((max if direction == "max" else min)(numbers))
        execution = {
            "score": scores[best],
            "epochs": len(scores),
            "best_epoch": history.epoch[best],
        }
        self.executions.append(execution)
        return {key: float(values[best]) for key, values in history.history.items()}


class _Objective(RequireMetric):
    """Ends the search, not the trial, if no trial can have the objective."""

    def on_epoch_end(self, epoch, logs=None):
        try:
            super().on_epoch_end(epoch, logs)
        except ValueError as error:
            message = str(error).replace("monitor", "objective")
            raise keras_tuner.errors.FatalValueError(message) from error


class _Finite(keras.callbacks.Callback):
    """Fails the trial, whatever its objective, when loss or predictions diverge."""

    def __init__(self, schema):
        super().__init__()
        # NaN or infinite where a prediction is.
        self.errors = [
            f"val_{label.name}_{'log_loss' if label.task == 'binary' else 'mse'}"
            for label in schema.labels
        ]

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self._check(logs, "loss")

    def on_epoch_end(self, epoch, logs=None):
        for name in self.errors:
            if name in logs:  # no example may have an optional label
                self._check(logs, name)

    def _check(self, logs, name):
        if not math.isfinite(logs[name]):
            raise ValueError(
                f"The trial diverged: the {name} was {logs[name]} in epoch "
                f"{self.epoch}. Search a smaller `learning_rate`, or look for such "
                "numbers in the data."
            )
