"""The models of this library, trained by `fit`."""

import sys
import time

import keras
import numpy as np

from benchmarks.leaderboard.device_name import device_name
from benchmarks.sequential.sides.cells import (
    BETA_2,
    CELLS,
    CHECK_RATE,
    CHECKED_STEPS,
    EPSILON,
    LEARNING_RATE,
    Cell,
    make_batches,
    serve,
)
from keras_recs import Schema, SequenceFeature, models, optimizers


class Batches(keras.utils.PyDataset):
    """So many steps of a cell's batches."""

    def __init__(self, cell: Cell, steps: int):
        super().__init__()
        self._steps = steps
        self._batches = [
            (
                {
                    name: batch.pop(name)
                    for name in ("items", "starts")
                    if name in batch
                },
                batch,
            )
            for batch in make_batches(cell)
        ]

    @property
    def num_batches(self):
        """Of an epoch."""
        return self._steps

    def __getitem__(self, number):
        """A batch."""
        return self._batches[number % len(self._batches)]


class EpochTimer(keras.callbacks.Callback):
    """Seconds of the last epoch, to its last step's loss."""

    def on_epoch_begin(self, epoch, logs=None):
        """Starts."""
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Stops."""
        self.seconds = time.perf_counter() - self._start


def make_model(cell: Cell, dropout: float):
    """A compiled model."""
    keras.utils.set_random_seed(0)
    feature = SequenceFeature(
        "items",
        vocabulary_size=cell.items,
        max_length=cell.length,
        padding="left",
    )
    arguments = {"dropout": dropout, "seed": 0}
    if cell.model == "gru4rec":
        arguments |= {
            "hidden_units": (cell.dim,),
            "num_slots": cell.batch,
            "embedding_dropout": dropout,
            "num_negatives": None,
            "reset_after": True,
        }
    else:
        arguments |= {
            "embedding_dim": cell.dim,
            "num_layers": cell.layers,
            "num_heads": cell.heads,
        }
    if cell.model == "sasrec":
        arguments["num_negatives"] = 1 if cell.loss == "bce" else None
    model = getattr(models, cell.model)(Schema([feature], []), **arguments)
    model.compile(optimizers.FusedAdam(LEARNING_RATE, beta_2=BETA_2, epsilon=EPSILON))
    return model


class Side:
    """What the other process asks for."""

    def __init__(self):
        self.model = self.cell = None

    def about(self):
        """Versions and device."""
        return {
            "backend": f"{keras.backend.backend()} {_backend_version()}",
            "keras": keras.__version__,
            "device": device_name(),
        }

    def check(self, name, path):
        """Losses of some steps without dropout; the weights before them are saved."""
        _set_precision("highest")
        cell = CELLS[name]
        model = make_model(cell, dropout=0.0)
        # Adam's first steps blow differences of small gradients up.
        model.compile(keras.optimizers.SGD(CHECK_RATE))
        np.savez(path, **{w.path: np.asarray(w) for w in model.trainable_variables})
        x = Batches(cell, CHECKED_STEPS)
        losses = []
        for i in range(CHECKED_STEPS):
            model.reset_metrics()  # or the loss would be the mean of all steps
            losses.append(float(model.train_on_batch(*x[i])))
        _set_precision("tensorfloat32")
        return losses

    def start(self, name):
        """Makes the model and takes its first steps."""
        keras.backend.clear_session()
        self.cell = CELLS[name]
        self.model = make_model(self.cell, self.cell.dropout)
        return self.round(3)

    def round(self, steps):
        """Milliseconds a step."""
        timer = EpochTimer()
        batches = Batches(self.cell, steps)
        self.model.fit(batches, callbacks=[timer], verbose=0)
        return 1e3 * timer.seconds / steps


def _set_precision(precision):
    if keras.backend.backend() == "jax":
        import jax

        jax.config.update("jax_default_matmul_precision", precision)


def _backend_version():
    return sys.modules[keras.backend.backend()].__version__


if __name__ == "__main__":
    if sys.argv[1] == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    side = Side()
    serve({name: getattr(side, name) for name in ("about", "check", "start", "round")})
