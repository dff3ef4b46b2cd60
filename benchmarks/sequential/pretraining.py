"""The training before a run, which runs of the same data and seed share."""

import json
import os
import time
from pathlib import Path

import numpy as np

from benchmarks.sequential.data_sets import Sequences
from benchmarks.sequential.settings import Setting
from keras_recs.evaluation import leave_one_out

FIRST_ROW = 2  # after padding and unknown items
SAVE_SECONDS = 20.0


def attribute_table(data: Sequences) -> np.ndarray:
    """The attributes of each row of the items' table."""
    return np.pad(data.attributes, ((FIRST_ROW, 0), (0, 0)))


def partners(data: Sequences) -> np.ndarray:
    """Rows of items by row that share most attributes."""
    from keras_recs.data import similar_items

    table = attribute_table(data)
    groups = [
        np.flatnonzero((table == number).any(1)) for number in range(1, table.max() + 1)
    ]
    return similar_items(groups, len(table))


class Pretrained:
    """Pre-training of S3-Rec on the training parts.

    Args:
        setting: `Setting` with `pretraining`.
        data: `Sequences` with attributes.
        seed: int.
        folder: where an interrupted or finished one is kept.
    """

    def __init__(self, setting: Setting, data: Sequences, seed: int, folder: Path):
        self.setting, self.plan = setting, setting.pretraining
        self.data, self.seed = data, seed
        self.path = folder / f"{setting.data_set}_pretraining-{seed}.npz"
        self.state = {"epoch": 0, "seconds": 0.0, "losses": []}
        self.arrays: list[np.ndarray] = []
        if self.path.exists():
            with np.load(self.path) as stored:
                self.state = json.loads(str(stored["about"]))
                self.arrays = [stored[f"v{i}"] for i in range(len(stored.files) - 1)]

    def make(self):
        """The compiled model, as far as it is trained."""
        import keras

        from keras_recs import Schema, SequenceFeature, models

        keras.utils.set_random_seed(self.seed)
        feature = SequenceFeature(
            "items",
            vocabulary_size=self.data.num_items,
            max_length=self.setting.max_length,
            padding="left",
        )
        arguments = {
            **self.setting.arguments,
            "stage": "pretrain",
            "attributes": attribute_table(self.data),
            "objective": self.plan.objective,
        }
        model = models.s3rec(Schema([feature], []), seed=self.seed, **arguments)
        model.compile(keras.optimizers.Adam(self.plan.learning_rate))
        model.optimizer.build(model.trainable_variables)
        for variable, array in zip(_variables(model), self.arrays):
            variable.assign(array)
        return model

    def batches(self):
        """Of the training parts."""
        from keras_recs import data

        train, _, _ = leave_one_out(self.data.lists)
        return data.s3rec_batches(
            [train[user] + FIRST_ROW for user in range(len(train))],
            self.setting.max_length,
            self.plan.batch_size,
            data.UniformSampler(self.data.num_items),
            first_row=FIRST_ROW,
            drop_remainder=True,
            seed=self.seed,
        )

    def go_on(self, end: float) -> bool:
        """Trains until it is through, then true, or this `monotonic` time is."""
        if self._is_through():
            return True
        model, batches = self.make(), self.batches()
        last_saved = time.monotonic()
        while not self._is_through():
            start, epoch = time.monotonic(), self.state["epoch"]
            batches.epoch = epoch  # `fit` counts on at its start too
            # The order is the epoch's own; `shuffle` would go by a global state.
            span = {"initial_epoch": epoch, "epochs": epoch + 1}
            history = model.fit(batches, **span, shuffle=False, verbose=0)
            loss = history.history["loss"][-1] / self.plan.batch_size
            seconds = time.monotonic() - start
            self.state["epoch"] += 1
            self.state["seconds"] += seconds
            self.state["losses"].append(round(float(loss), 4))
            print(self.path.stem, epoch + 1, f"{loss:.3f} {seconds:.1f} s", flush=True)
            is_over = time.monotonic() > end
            waited = time.monotonic() - last_saved
            if is_over or waited > SAVE_SECONDS or self._is_through():
                self._save(model)
                last_saved = time.monotonic()
            if is_over:
                break
        return self._is_through()

    def hand_on(self, model) -> None:
        """Gives a model the weights."""
        from keras_recs.training import copy_weights

        copy_weights(model, self.make())

    def result(self) -> dict:
        """What a finished run tells about it."""
        return {
            "pretrain_epochs": self.state["epoch"],
            "pretrain_steps": self.state["epoch"] * self.batches().num_batches,
            "pretrain_seconds": round(self.state["seconds"], 1),
            "pretrain_losses": self.state["losses"],
        }

    def _is_through(self) -> bool:
        return self.state["epoch"] >= self.plan.epochs

    def _save(self, model) -> None:
        self.arrays = [np.asarray(variable) for variable in _variables(model)]
        stored = {f"v{i}": array for i, array in enumerate(self.arrays)}
        stored["about"] = np.array(json.dumps(self.state))
        temporary = self.path.with_suffix(f".{os.getpid()}.npz")
        np.savez(temporary, **stored)
        os.replace(temporary, self.path)


def _variables(model):
    return [*model.variables, *model.optimizer.variables]
