"""The recipes, each as variants of one small model."""

import collections
import dataclasses
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.recipes.data_sets import (
    Columns,
    frappe,
    movielens_1m,
    movielens_100k,
)
from benchmarks.recipes.train_model import BATCH_SIZE, train_model
from keras_recs import NumericFeature, Schema
from keras_recs.data import (
    DownSampleFrequent,
    DownSampleNegatives,
    array_dataset,
    historical_rates,
    id_dropout,
    row_counts,
)
from keras_recs.models import deepfm, fm, logistic_regression
from keras_recs.schema import FittedNumeric
from keras_recs.training import calibrate_down_sampling, initialize_table


def _deepfm(schema: Schema):
    return deepfm(schema, embedding_dim=8, hidden_units=(64, 32))


def _run(data: Columns, seed: int, epochs: int, **options: Any) -> dict[str, Any]:
    """Trains DeepFM on the training part as `options` say."""
    keras.utils.set_random_seed(seed)
    batches = array_dataset(
        data.parts["train"],
        data.schema,
        options.get("batch_size", BATCH_SIZE),
        seed=seed,
        down_sampling=options.get("down_sampling"),
    )
    batches = batches.apply(options.get("transform", lambda dataset: dataset))
    model = options.get("build", _deepfm)(data.schema)
    parts = {name: part for name, part in data.parts.items() if name != "train"}
    result = train_model(
        model, batches, data.schema, parts, epochs, options.get("correct")
    )
    return {**result, "steps": int(batches.cardinality())}


# === Tables of a factorization machine ===


TARGET = 0.97  # valid AUC


def pretrained(data: Columns, seed: int) -> dict[str, Any]:
    """DeepFM that starts from the tables of an FM, and from chance."""
    trained = []

    def build(schema):
        model = _deepfm(schema)
        for table in schema.tables:
            for layer in ("embedding", "weight_of_value"):
                initialize_table(
                    model, schema, table, (trained[0], schema), layer, progress=False
                )
        return model

    def build_fm(schema):
        trained.append(fm(schema, embedding_dim=8))
        return trained[0]

    run = functools.partial(_run, data, seed, 12, batch_size=1024)
    results = {"FM": run(build=build_fm)}
    results["DeepFM from chance"] = run()
    results["DeepFM from FM"] = run(build=build)
    for result in results.values():
        reached = [value >= TARGET for value in result["valid_auc"]]
        # One epoch more than there were, where it was not reached.
        result["epochs to 0.97"] = [*reached, True].index(True) + 1
    return results


# === Negatives left out ===


def negatives(data: Columns, seed: int) -> dict[str, Any]:
    """All negatives, and shares of them: as trained, corrected and weighed."""
    results = {"all": _run(data, seed, 5)}
    for rate in (0.5, 0.1):
        down = functools.partial(DownSampleNegatives, rate=rate, seed=seed)
        correct = functools.partial(calibrate_down_sampling, rates={"label": rate})
        results[f"{rate}, as trained"] = _run(data, seed, 5, down_sampling=down())
        results[f"{rate}, corrected"] = _run(
            data, seed, 5, down_sampling=down(), correct=correct
        )
        results[f"{rate}, weighed"] = _run(
            data, seed, 5, down_sampling=down(weigh=True)
        )
    return results


# === New movies ===


def cold_ids(data: Columns, seed: int) -> dict[str, Any]:
    """Movies that training never saw, with dropout of ids and without."""
    train = array_dataset(data.parts["train"], data.schema, BATCH_SIZE)
    counts = row_counts(train, data.schema)
    features = [f for f in data.schema.features if f.name != "movie_id"]
    no_id = dataclasses.replace(data.schema, features=features)
    dropout = functools.partial(id_dropout, data.schema, ["movie_id"], seed=seed)
    runs: dict[str, tuple[Columns, Any]] = {
        "no movie id": (Columns(no_id, data.parts), None),
        "no dropout": (data, None),
        "rate 0.05": (data, dropout(0.05)),
        "rate 0.2": (data, dropout(0.2)),
        "a = 20": (data, dropout(counts=counts, strength=20.0)),
    }
    results = {}
    for name, (columns, transform) in runs.items():
        options = {"transform": transform} if transform else {}
        results[name] = _run(columns, seed, 2, **options)
    return results


# === Frequent movies ===


def frequent_ids(data: Columns, seed: int) -> dict[str, Any]:
    """All examples, and fewer of frequent movies: as they are and weighed."""
    movies = data.parts["train"]["movie_id"]
    counts = collections.Counter(movies.tolist())
    parts = {name: data.parts[name] for name in ("train", "valid", "test")}
    # Half of the training examples are of movies with more examples than this.
    middle = np.median([counts[movie] for movie in movies.tolist()])
    tail = np.array(
        [counts[m] < middle / 4 for m in parts["test"]["movie_id"].tolist()]
    )
    parts["tail"] = {
        name: np.array(values, object)[tail] if name == "genres" else values[tail]
        for name, values in parts["test"].items()
    }
    data = Columns(data.schema, parts)
    results = {"all": _run(data, seed, 3)}
    for threshold in (5e-4, 1e-4):
        for weigh in (False, True):
            down = DownSampleFrequent(
                feature="movie_id",
                counts=counts,
                threshold=threshold,
                weigh=weigh,
                seed=seed,
            )
            results[f"t = {threshold:g}, {'weighed' if weigh else 'as they are'}"] = (
                _run(data, seed, 3, down_sampling=down)
            )
    return results


# === Rates so far ===


def with_rates(data: Columns, keys: tuple[str, ...], leak: bool = False) -> Columns:
    """Adds the click rates of `raw_<key>` so far.

    With `leak` a training row gets the final rate of its id, which its own label went
    into: which breaks the order of time.
    """
    splits = list(data.parts)
    joined = {
        name: np.concatenate([data.parts[split][name] for split in splits])
        for name in data.parts["train"]
    }
    num_train = len(data.parts["train"]["label"])
    numerics, features = {}, list(data.schema.features)
    for key in keys:
        options = {"prior": 0.5, "strength": 10.0}
        ids = joined[f"raw_{key}"]
        rates, _ = historical_rates(ids, joined["label"], joined["time"], **options)
        if leak:
            _, table = historical_rates(
                ids[:num_train], joined["label"][:num_train], **options
            )
            rates[:num_train] = table.rates(ids[:num_train])
        name = f"{key}_rate"
        joined[name] = rates
        own = rates[:num_train].astype("float64")
        numerics[name] = FittedNumeric(
            own.mean(), own.mean(), own.std(), own.min(), own.max()
        )
        features.append(NumericFeature(name, transform="zscore"))
    stops = np.cumsum([len(data.parts[split]["label"]) for split in splits])[:-1]
    pieces = {name: np.split(values, stops) for name, values in joined.items()}
    parts = {
        split: {name: values[i] for name, values in pieces.items()}
        for i, split in enumerate(splits)
    }
    schema = dataclasses.replace(data.schema, features=features, numerics=numerics)
    return Columns(schema, parts)


def rates_so_far(data: Columns, seed: int) -> dict[str, Any]:
    """Two models without rates, with those of the item, and of item and user."""
    variants = {
        "none": data,
        "item": with_rates(data, ("item",)),
        "item and user": with_rates(data, ("item", "user")),
        "item and user, with leak": with_rates(data, ("item", "user"), leak=True),
    }
    results = {}
    for build in (logistic_regression, _deepfm):
        for name, columns in variants.items():
            label = "LR" if build is logistic_regression else "DeepFM"
            results[f"{label}, {name}"] = _run(columns, seed, 15, build=build)
    return results


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A recipe's data, its runs, and what its table shows."""

    read: Callable[[Path], Columns]
    runs: Callable[[Columns, int], dict[str, Any]]
    title: str
    columns: tuple[tuple[str, ...], ...]


AUC, CALIBRATION = ("test", "auc"), ("test", "calibration")
LOGLOSS, SECONDS = ("test", "logloss"), ("seconds_per_epoch",)
RECIPES = {
    "pretrained": Recipe(
        frappe,
        pretrained,
        "Frappe: DeepFM from the tables of an FM",
        (("first valid AUC",), ("epochs to 0.97",), ("epoch",), AUC, LOGLOSS),
    ),
    "negatives": Recipe(
        frappe,
        negatives,
        "Frappe: shares of the negatives",
        (("steps",), AUC, LOGLOSS, CALIBRATION, SECONDS),
    ),
    "cold_ids": Recipe(
        movielens_1m,
        cold_ids,
        "MovieLens 1M: movies that training never saw",
        (("cold", "auc"), ("cold", "logloss"), ("cold", "calibration"), AUC, LOGLOSS),
    ),
    "frequent_ids": Recipe(
        movielens_1m,
        frequent_ids,
        "MovieLens 1M: fewer examples of frequent movies",
        (("steps",), AUC, ("tail", "auc"), LOGLOSS, CALIBRATION, SECONDS),
    ),
    "rates": Recipe(
        movielens_100k,
        rates_so_far,
        "MovieLens 100K in order of time: rates so far",
        (AUC, LOGLOSS, CALIBRATION),
    ),
}


def run_recipe(name: str, data_dir: Path, seeds: int) -> list[dict[str, Any]]:
    """All variants of a recipe, for each seed."""
    recipe = RECIPES[name]
    data = recipe.read(data_dir)
    lines = []
    for seed in range(seeds):
        start = time.perf_counter()
        for variant, result in recipe.runs(data, seed).items():
            result["first valid AUC"] = result["valid_auc"][0]
            lines.append({"variant": variant, "seed": seed, **result})
        print(f"{name}, seed {seed}: {time.perf_counter() - start:.0f} s", flush=True)
    return lines
