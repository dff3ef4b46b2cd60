"""One run: training that an interruption does not lose, and its measurement."""

import dataclasses
import functools
import json
import math
import os
import time
from pathlib import Path

import numpy as np

from benchmarks.sequential.data_sets import Sequences, read
from benchmarks.sequential.pretraining import Pretrained, attribute_table, partners
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
HELD_OUT = 0.05  # of training sessions, the last ones: for validation
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
    arguments = dict(setting.arguments)
    if arguments.get("stage") == "joint":
        arguments["attributes"] = attribute_table(data)
    model = builder(Schema([feature], []), seed=seed, **arguments)
    by_name = {
        None: lambda: None,
        "bce": losses.CandidateBinaryCrossentropy,
        "gbce": lambda: losses.GeneralizedBinaryCrossentropy(data.num_items, 0.75),
        "sampled_softmax": losses.SampledSoftmax,
        "bpr_max": losses.BPRMax,
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


@dataclasses.dataclass(frozen=True)
class Part:
    """What is asked of a model.

    Attributes:
        history: `ItemLists`, what is known of each user.
        targets: `ItemLists`, what came next, of some users one item.
        seen: `ItemLists`, what is no candidate.
    """

    history: ItemLists
    targets: ItemLists
    seen: ItemLists


def expected_metrics(above: np.ndarray, draws: int = 100, k: int = 10) -> dict:
    """HR@k and NDCG@k in the mean over draws with repetitions.

    Args:
        above: floats `(targets,)`, the probability that a draw is above the target.
        draws: int.
        k: int.

    Returns:
        Of each metric the mean, and by how much one draw for all targets leaves it (one
        standard deviation).
    """
    gains = {"hit_rate": np.ones(k), "ndcg": 1 / np.log2(np.arange(k) + 2)}
    chances = np.stack(
        [math.comb(draws, j) * above**j * (1 - above) ** (draws - j) for j in range(k)],
        axis=1,
    )
    found = {}
    for name, gain in gains.items():
        mean = chances @ gain
        variance = chances @ gain**2 - mean**2
        found[f"{name}@{k}"] = float(mean.mean())
        found[f"{name}@{k} of one draw"] = float(np.sqrt(variance.sum()) / len(above))
    return found


def by_user(lists: ItemLists) -> tuple[ItemLists, Part, Part]:
    """Training part, validation and test: the last events of each user."""
    train, valid, test = leave_one_out(lists)
    known = joined(train, valid)
    return train, Part(train, valid, train), Part(known, test, known)


def by_session(data: Sequences) -> tuple[ItemLists, Part, Part]:
    """Training part, validation and test: each event of whole sessions but the first.

    Seen items are candidates too: they often come again.
    """
    count = round((1 - HELD_OUT) * len(data.lists))
    train, last = data.lists.part(0, count), data.lists.part(count, len(data.lists))
    sessions = [last[i] for i in range(len(last))]
    places = [(items, t) for items in sessions for t in range(1, len(items))]
    prefixes = ItemLists.from_lists([items[:t] for items, t in places])
    labels = np.array([items[t] for items, t in places])

    def part(prefixes, labels):
        targets = ItemLists(labels, np.arange(len(labels) + 1))
        nothing = ItemLists(labels[:0], np.zeros(len(labels) + 1, int))
        return Part(prefixes, targets, nothing)

    return train, part(prefixes, labels), part(data.prefixes, data.labels)


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
        if self.data.prefixes is None:
            self.train, self.valid, self.test = by_user(self.data.lists)
        else:
            self.train, self.valid, self.test = by_session(self.data)
        self.path = folder / f"{name.replace(' ', '_')}-{seed}.npz"
        self.model = make_model(self.setting, self.data, seed)
        self.query_model = self.model.query_model()
        self.pretrained = None
        if self.setting.pretraining is not None:
            self.pretrained = Pretrained(self.setting, self.data, seed, folder)
        self.best: list[np.ndarray] = []
        self.state = {"epoch": 0, "best": -1.0, "best_epoch": 0, "seconds": 0.0}
        self.curve: list[list[float]] = []

    @functools.cached_property
    def drawn(self) -> np.ndarray:
        """Negatives of validation, as SASRec's authors draw them."""
        return draw_negatives(
            self.train, self.data.num_items, distinct=False, seed=self.seed
        )

    def batches(self, train: ItemLists | None = None):
        """The training part, or another one."""
        from keras_recs import data

        setting, sampler = self.setting, None
        train = self.train if train is None else train
        if setting.unseen_negatives:
            sampler = data.UniformSampler(self.data.num_items)
        sequences = [train[user] + FIRST_ROW for user in range(len(train))]
        if setting.masking is not None:
            return data.masked_item_batches(
                sequences,
                setting.max_length,
                setting.batch_size,
                drop_remainder=True,
                seed=self.seed,
                **setting.masking,
            )
        if setting.session is not None:
            options = dict(setting.session)
            counts = np.bincount(train.items, minlength=self.data.num_items)
            if "alpha" in options:
                sampler = data.PopularitySampler(counts, options.pop("alpha"))
            return data.session_batches(
                sequences,
                setting.batch_size,
                sampler=sampler,
                first_row=FIRST_ROW,
                seed=self.seed,
                **options,
            )
        make, options = data.next_item_batches, {"lengths": setting.lengths}
        if setting.arguments.get("stage") == "joint":
            make, options = data.contrastive_batches, {"partners": partners(self.data)}
        return make(
            sequences,
            setting.max_length,
            setting.batch_size,
            sampler=sampler,
            first_row=FIRST_ROW,
            drop_remainder=True,
            seed=self.seed,
            **options,
        )

    def go_on(self, end: float) -> bool:
        """Trains until the run is through, then true, or this `monotonic` time is."""
        self._restore()
        return self._search(end) and self._refit(end)

    def _search(self, end: float) -> bool:
        setting = self.setting
        batches = self.batches()
        if self.pretrained is not None and not self.state["epoch"]:
            if not self.pretrained.go_on(end):
                return False
            self.pretrained.hand_on(self.model)
        last_saved = time.monotonic()
        while not self._is_through():
            start, epoch = time.monotonic(), self.state["epoch"]
            loss = self._fit(batches, epoch, epoch + setting.every)
            self.state["epoch"] += setting.every
            trained = time.monotonic() - start
            found = self.validate()
            self.state["seconds"] += time.monotonic() - start
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

    def _refit(self, end: float) -> bool:
        """From the start with the validation events too, as long as was best."""
        if not self.setting.refit:
            return True
        if "refit_epoch" not in self.state:
            self.model = make_model(self.setting, self.data, self.seed)
            self.query_model = self.model.query_model()
            self.state["refit_epoch"] = 0
        batches = self.batches(self.data.lists)
        while self.state["refit_epoch"] < self.state["best_epoch"]:
            start, epoch = time.monotonic(), self.state["refit_epoch"]
            loss = self._fit(batches, epoch, epoch + 1)
            self.state["refit_epoch"] += 1
            self.state["seconds"] += time.monotonic() - start
            print(self.path.stem, "refit", epoch + 1, f"{loss:.4f}", flush=True)
            if time.monotonic() > end:
                self._save()
                return False
        self.best = self.model.get_weights()
        return True

    def _fit(self, batches, start: int, end: int) -> float:
        """The loss of the last of these epochs."""
        import keras

        # By Keras's own count a resumed run would have other orders.
        numbered = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, _: setattr(batches, "epoch", epoch)
        )
        callbacks = [numbered]
        if self.setting.anneals:
            callbacks.append(keras.callbacks.LearningRateScheduler(self._rate))
        span = {"initial_epoch": start, "epochs": end}
        history = self.model.fit(batches, callbacks=callbacks, verbose=0, **span)
        return history.history["loss"][-1]

    def _rate(self, epoch: int, _) -> float:
        """The learning rate of an epoch, where it falls."""
        share = epoch / self.setting.epochs
        return self.setting.learning_rate * 0.5 * (1 + math.cos(math.pi * share))

    def validate(self) -> dict:
        """Metrics of the validation events, by which the best epoch is chosen."""
        if self.setting.selection == "full":
            return self.catalogue(self.valid)
        users = np.flatnonzero(self.valid.targets.lengths)
        return self.among(self.valid, self.drawn[users], users, "optimistic")

    def result(self) -> dict:
        """What the best epoch's weights give on the test events."""
        self.model.set_weights(self.best)
        if self.data.prefixes is None:
            found = {"full": self.catalogue(self.test), **self.by_candidates()}
        else:
            found = {"sessions": self.catalogue(self.test)}
        return {
            "test": found,
            "epochs": self.state["epoch"],
            "best_epoch": self.state["best_epoch"],
            "steps": self.state["best_epoch"] * self.batches().num_batches,
            "train_seconds": round(self.state["seconds"], 1),
            "parameters": sum(
                int(np.prod(w.shape)) for w in self.model.trainable_weights
            ),
            "valid_ndcg@10": round(self.state["best"], 5),
            "curve": self.curve,
            **(self.pretrained.result() if self.pretrained is not None else {}),
        }

    def by_candidates(self) -> dict:
        """What the model gives on the test events among drawn or given negatives."""
        known, test = self.test.history, self.test.targets
        users = np.flatnonzero(test.lengths)
        protocols = {
            # With repetitions, and seen events of validation and test among them.
            "authors": (self.train, False, "optimistic"),
            "unseen": (joined(known, test), True, "pessimistic"),
        }
        found = {}
        for name, (positives, distinct, ties) in protocols.items():
            drawn = draw_negatives(
                positives, self.data.num_items, distinct=distinct, seed=self.seed
            )
            found[name] = self.among(self.test, drawn[users], users, ties)
        found["authors, expected"] = self.expected()
        if self.data.negatives is not None:
            given = self.data.negatives[users]
            found["given"] = self.among(self.test, given, users, "pessimistic")
        return found

    def expected(self) -> dict[str, float]:
        """What the authors' protocol gives in the mean over all draws.

        Each of the draws is above the target with the same probability, so their number
        is binomial.
        """
        test = self.test.targets
        users = np.flatnonzero(test.lengths)
        queries = queries_of(
            self.query_model, self.test.history, self.setting.max_length
        )
        vectors, biases = self.model.item_vectors()
        train = _of(self.train, users)
        ranks = catalogue_ranks(
            queries[users], vectors, test.items, biases, train, ties="optimistic"
        )
        known = np.array([len(np.unique(train[user])) for user in range(len(train))])
        return expected_metrics((ranks - 1) / (self.data.num_items - known))

    def catalogue(self, part: Part):
        """Metrics over all items but those seen."""
        users = np.flatnonzero(part.targets.lengths)
        queries = queries_of(self.query_model, part.history, self.setting.max_length)
        vectors, biases = self.model.item_vectors()
        ranks = catalogue_ranks(
            queries[users], vectors, part.targets.items, biases, _of(part.seen, users)
        )
        return ranking_metrics(ranks, KS)

    def among(self, part: Part, negatives, users, ties):
        """Metrics of events among drawn or given negatives."""
        queries = queries_of(self.query_model, part.history, self.setting.max_length)
        vectors, biases = self.model.item_vectors()
        rows = np.concatenate([part.targets.items[:, None], negatives], axis=1)
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
