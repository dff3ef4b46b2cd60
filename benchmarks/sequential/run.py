"""One run: training that an interruption does not lose, and its measurement."""

import json
import os
import time
from pathlib import Path

import numpy as np

from benchmarks.sequential.data_sets import Sequences, read
from benchmarks.sequential.settings import SETTINGS, Setting
from keras_recs.evaluation import (
    ItemLists,
    candidate_ranks,
    catalogue_ranks,
    draw_negatives,
    leave_one_out,
    ranking_metrics,
)

FIRST_ROW = 2  # after padding and unknown items
KS = (5, 10, 20)
SAVE_SECONDS = 20.0


def make_model(setting: Setting, data: Sequences, seed: int):
    """A compiled model."""
    import keras

    from keras_recs import Schema, SequenceFeature, losses, models

    keras.utils.set_random_seed(seed)
    feature = SequenceFeature(
        "items",
        vocabulary_size=data.num_items,
        max_length=setting.max_length,
        padding="left",
    )
    builder = getattr(models, setting.model)
    model = builder(Schema([feature], []), seed=seed, **setting.arguments)
    by_name = {
        None: lambda: None,
        "bce": losses.CandidateBinaryCrossentropy,
        "gbce": lambda: losses.GeneralizedBinaryCrossentropy(data.num_items, 0.75),
        "sampled_softmax": losses.SampledSoftmax,
    }
    optimizer = keras.optimizers.Adam(setting.learning_rate, beta_2=setting.beta_2)
    model.compile(optimizer, by_name[setting.loss]())
    return model


def queries_of(query_model, lists: ItemLists, max_length: int) -> np.ndarray:
    """The state after each user's list."""
    places = lists.offsets[1:, None] - np.arange(max_length, 0, -1)
    is_there = places >= lists.offsets[:-1, None]
    rows = np.where(is_there, lists.items[places * is_there] + FIRST_ROW, 0)
    inputs = {"items": rows.astype("int32")}
    return np.asarray(query_model.predict(inputs, batch_size=512, verbose=0))


def joined(a: ItemLists, b: ItemLists) -> ItemLists:
    """The lists of each user one after the other."""
    return ItemLists.from_lists(
        [np.concatenate([a[user], b[user]]) for user in range(len(a))]
    )


class Run:
    """A setting and a seed.

    Args:
        name: key of `SETTINGS`.
        seed: int.
        data_dir: folder of the data sets.
        folder: where interrupted runs are kept.
    """

    def __init__(self, name: str, seed: int, data_dir: Path, folder: Path):
        self.setting, self.seed = SETTINGS[name], seed
        self.data = read(self.setting.data_set, data_dir)
        self.train, self.valid, self.test = leave_one_out(self.data.lists)
        self.path = folder / f"{name.replace(' ', '_')}-{seed}.npz"
        self.model = make_model(self.setting, self.data, seed)
        self.query_model = self.model.query_model()
        self.best: list[np.ndarray] = []
        self.state = {"epoch": 0, "best": -1.0, "best_epoch": 0, "seconds": 0.0}
        self.curve: list[list[float]] = []

    def batches(self):
        """The training part."""
        from keras_recs import data

        setting, sampler = self.setting, None
        if setting.unseen_negatives:
            sampler = data.UniformSampler(self.data.num_items)
        sequences = [self.train[user] + FIRST_ROW for user in range(len(self.train))]
        if setting.masking is not None:
            return data.masked_item_batches(
                sequences,
                setting.max_length,
                setting.batch_size,
                drop_remainder=True,
                seed=self.seed,
                **setting.masking,
            )
        return data.next_item_batches(
            sequences,
            setting.max_length,
            setting.batch_size,
            sampler=sampler,
            first_row=FIRST_ROW,
            drop_remainder=True,
            seed=self.seed,
        )

    def go_on(self, end: float) -> bool:
        """Trains until the run is through, then true, or this `monotonic` time is."""
        setting = self.setting
        batches = self.batches()
        self._restore()
        batches.epoch = self.state["epoch"]
        last_saved = time.monotonic()
        while not self._is_through():
            start, epoch = time.monotonic(), self.state["epoch"]
            history = self.model.fit(
                batches, initial_epoch=epoch, epochs=epoch + setting.every, verbose=0
            )
            self.state["epoch"] += setting.every
            trained = time.monotonic() - start
            found = self.validate()
            self.state["seconds"] += time.monotonic() - start
            loss = history.history["loss"][-1]
            row = [self.state["epoch"], loss, found["ndcg@10"], found["hit_rate@10"]]
            self.curve.append([round(float(value), 5) for value in row])
            print(self.path.stem, *self.curve[-1], f"{trained:.1f} s", flush=True)
            if found["ndcg@10"] > self.state["best"]:
                self.state |= {"best": found["ndcg@10"], "best_epoch": row[0]}
                self.best = self.model.get_weights()
            if time.monotonic() - last_saved > SAVE_SECONDS:
                self._save()
                last_saved = time.monotonic()
            if time.monotonic() > end:
                self._save()
                return self._is_through()
        return True

    def validate(self) -> dict:
        """Metrics of the validation events, by which the best epoch is chosen."""
        if self.setting.selection == "full":
            return self.catalogue(self.valid, self.train, self.train)
        drawn = draw_negatives(
            self.train, self.data.num_items, distinct=False, seed=self.seed
        )
        users = np.flatnonzero(self.valid.lengths)
        return self.among(self.valid, drawn[users], self.train, users, "optimistic")

    def result(self) -> dict:
        """What the best epoch's weights give on the test events."""
        self.model.set_weights(self.best)
        seen = joined(self.train, self.valid)
        found = {"full": self.catalogue(self.test, seen, seen)}
        users = np.flatnonzero(self.test.lengths)
        protocols = {
            # With repetitions, and seen events of validation and test among them.
            "authors": (self.train, False, "optimistic"),
            "unseen": (joined(seen, self.test), True, "pessimistic"),
        }
        for name, (positives, distinct, ties) in protocols.items():
            drawn = draw_negatives(
                positives, self.data.num_items, distinct=distinct, seed=self.seed
            )
            found[name] = self.among(self.test, drawn[users], seen, users, ties)
        if self.data.negatives is not None:
            given = self.data.negatives[users]
            found["given"] = self.among(self.test, given, seen, users, "pessimistic")
        return {
            "test": found,
            "epochs": self.state["epoch"],
            "best_epoch": self.state["best_epoch"],
            "steps": self.state["best_epoch"] * self.batches().num_batches,
            "train_seconds": round(self.state["seconds"], 1),
            "parameters": self.model.count_params(),
            "valid_ndcg@10": round(self.state["best"], 5),
            "curve": self.curve,
        }

    def catalogue(self, targets: ItemLists, history: ItemLists, seen: ItemLists):
        """Metrics over all items but those seen."""
        users = np.flatnonzero(targets.lengths)
        queries = queries_of(self.query_model, history, self.setting.max_length)
        vectors, biases = self.model.item_vectors()
        ranks = catalogue_ranks(
            queries[users], vectors, targets.items, biases, _of(seen, users)
        )
        return ranking_metrics(ranks, KS)

    def among(self, targets, negatives, history, users, ties):
        """Metrics of events among drawn or given negatives."""
        queries = queries_of(self.query_model, history, self.setting.max_length)
        vectors, biases = self.model.item_vectors()
        rows = np.concatenate([targets.items[:, None], negatives], axis=1)
        scores = np.einsum("ud,und->un", queries[users], vectors[rows]) + biases[rows]
        return ranking_metrics(candidate_ranks(scores, ties), KS)

    def _is_through(self) -> bool:
        setting, state = self.setting, self.state
        since = (state["epoch"] - state["best_epoch"]) // setting.every
        return state["epoch"] >= setting.epochs or since >= setting.patience

    def _variables(self):
        return [*self.model.variables, *self.model.optimizer.variables]

    def _save(self) -> None:
        arrays = {f"v{i}": np.asarray(v) for i, v in enumerate(self._variables())}
        arrays |= {f"b{i}": array for i, array in enumerate(self.best)}
        arrays["about"] = np.array(json.dumps([self.state, self.curve]))
        temporary = self.path.with_suffix(".part.npz")
        np.savez(temporary, **arrays)
        os.replace(temporary, self.path)

    def _restore(self) -> None:
        if not self.path.exists():
            return
        self.model.optimizer.build(self.model.trainable_variables)
        with np.load(self.path) as arrays:
            for i, variable in enumerate(self._variables()):
                variable.assign(arrays[f"v{i}"])
            count = sum(name.startswith("b") for name in arrays.files)
            self.best = [arrays[f"b{i}"] for i in range(count)]
            self.state, self.curve = json.loads(str(arrays["about"]))


def _of(lists: ItemLists, users: np.ndarray) -> ItemLists:
    return ItemLists.from_lists([lists[user] for user in users])
