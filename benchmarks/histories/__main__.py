r"""Attention over a history against its mean: DIN and DIEN beside a pooled model.

  python -m benchmarks.histories --data_dir=… [--data_sets=beauty,ml-1m --seeds=3]
  KERAS_BACKEND=jax python -m benchmarks.histories --data_dir=… --shard=0/3

`beauty` (S3-Rec's): who buys what next. Training examples are all purchases but the
last two of a user, each after the up to 20 before it, and one item drawn uniformly
beside each; the test is the last purchase among the 99 negatives that come with the
data. `ml-1m`: a rating above 3, after the up to 50 movies that the user rated so
before; the last tenth of each user's ratings is the test and the tenth before it the
validation part.

All models have embeddings of 32 and a tower of 400 and 200, with ReLU in `pooled` and
Dice, as in their papers, in the others; `pooled` is DLRM's `"cat"` form, which reads
the candidate beside the mean of the history. `dien` has the last state of the interest
alone, as in the paper, `dien_with_mean` the mean beside it, as in its authors' code.
The L2 of the tables, without which every model learns its users' items by heart within
a few epochs, DIN's softmax, the weight of the auxiliary loss and the learning rate were
chosen on the validation part (settings.py beside this file). Each run is a line in
benchmarks/results/histories.jsonl, and runs that are there are not made again. It needs
no TensorFlow.
"""

import dataclasses
import datetime
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags

from benchmarks.histories.data_sets import read_beauty, read_movielens
from benchmarks.histories.report import markdown_table, read_lines
from benchmarks.histories.settings import SETTINGS

DATA_DIR = flags.DEFINE_string(
    "data_dir", os.environ.get("KERAS_RECS_DATA"), "Folder of the data sets."
)
DATA_SETS = flags.DEFINE_list("data_sets", ["beauty", "ml-1m"], "Which data.")
MODELS = flags.DEFINE_list(
    "models", ["pooled", "din", "dien", "dien_with_mean"], "Which models."
)
SEEDS = flags.DEFINE_integer("seeds", 3, "Runs a model.", 1)
SHARD = flags.DEFINE_string("shard", "0/1", "Which part of the runs: number/of.")
OUTPUT = flags.DEFINE_string("output", "benchmarks/results", "Folder of the lines.")
EMBEDDING_DIM, BATCH_SIZE, MAX_EPOCHS, LEARNING_RATE = 32, 1024, 40, 1e-3
WITH_MEAN = "_with_mean"
TOWER = {"dropout": 0.3, "batch_norm": True}


def make_model(name: str, setting: Any, num_items: int, length: int, seed: int):
    """A model over a candidate and a history of the same items."""
    import keras

    import keras_recs

    l2, own = setting
    arguments = {
        **TOWER,
        **{key: value for key, value in own.items() if key != "learning_rate"},
        "embeddings_regularizer": keras.regularizers.L2(l2 / 2) if l2 else None,
        "seed": seed,
    }
    features = [
        keras_recs.CategoricalFeature("item", vocabulary_size=num_items),
        keras_recs.SequenceFeature("history", table="item", max_length=length),
    ]
    if name.endswith(WITH_MEAN):
        name = name.removesuffix(WITH_MEAN)
        features.append(dataclasses.replace(features[1], name="mean"))
        arguments["targets"] = {"mean": None}
    schema = keras_recs.Schema(features, [keras_recs.Label("label")])
    if name == "pooled":
        return keras_recs.models.dlrm(
            schema, EMBEDDING_DIM, top_units=(400, 200), interaction="cat", **arguments
        )
    builder = getattr(keras_recs.models, name)
    return builder(schema, EMBEDDING_DIM, hidden_units=(400, 200), **arguments)


def run(
    name: str, setting: Any, seed: int, num_items: int, parts: Any
) -> dict[str, Any]:
    """Trains a model up to the epoch that is best on the validation part."""
    import keras

    import keras_recs
    from benchmarks.leaderboard.data_sets import DataSet
    from benchmarks.leaderboard.train_model import BestEpoch

    keras.utils.set_random_seed(seed)
    length = parts["train"]["history"].shape[1]
    model = make_model(name, setting, num_items, length, seed)
    data: Any = DataSet(
        None,
        {k: _inputs_of(v, name) for k, v in parts.items()},
        {k: v["label"] for k, v in parts.items()},
    )
    rate = setting[1].get("learning_rate", LEARNING_RATE)
    model.compile(keras.optimizers.Adam(rate), loss="binary_crossentropy")
    watcher = BestEpoch(data)
    start = time.perf_counter()
    model.fit(
        data.inputs["train"],
        data.labels["train"],
        batch_size=BATCH_SIZE,
        epochs=MAX_EPOCHS,
        callbacks=[watcher],
        verbose=0,
    )
    seconds = time.perf_counter() - start
    model.set_weights(watcher.weights)
    scores = model.predict(data.inputs["test"], batch_size=8192, verbose=0)
    y, p = data.labels["test"][:, 0], np.asarray(scores["label"])[:, 0]
    return {
        "auc": round(keras_recs.metrics.auc(y, p), 6),
        "gauc": round(keras_recs.metrics.gauc(y, p, parts["test"]["user"]), 6),
        "logloss": round(keras_recs.metrics.log_loss(y, p), 6),
        "valid_auc": watcher.history,
        "epochs": len(watcher.history),
        "seconds": round(seconds, 1),
        "parameters": model.count_params(),
    }


def _inputs_of(part: Any, name: str) -> dict[str, Any]:
    inputs = {"item": part["item"], "history": part["history"]}
    if name.endswith(WITH_MEAN):
        inputs["mean"] = part["history"]
    return inputs


def run_key(line: dict) -> tuple:
    """What tells a run from others."""
    setting = json.dumps(line.get("setting"))
    return line["data"], line["model"], line["seed"], setting


def main(_) -> None:
    """Makes the runs that are missing and prints a table."""
    from benchmarks.leaderboard.device_name import device_name

    if not DATA_DIR.value:
        raise app.UsageError("--data_dir (or KERAS_RECS_DATA) is needed.")
    folder = Path(OUTPUT.value)
    folder.mkdir(parents=True, exist_ok=True)
    number, of = (int(part) for part in SHARD.value.split("/"))
    path = folder / f"histories.{number if of > 1 else 'jsonl'}"
    made = {run_key(line) for line in read_lines(folder)}
    readers = {"beauty": read_beauty, "ml-1m": read_movielens}
    for data_set in DATA_SETS.value:
        runs = [(n, s) for s in range(SEEDS.value) for n in MODELS.value]
        own = json.loads(json.dumps(SETTINGS[data_set]))
        runs = [
            (name, seed)
            for name, seed in runs[number::of]
            if (data_set, name, seed, json.dumps(own[name])) not in made
        ]
        if not runs:
            continue
        num_items, parts = readers[data_set](Path(DATA_DIR.value))
        for name, seed in runs:
            import keras

            line = {
                "data": data_set,
                "model": name,
                "seed": seed,
                "setting": own[name],
                **run(name, own[name], seed, num_items, parts),
                "device": device_name(),
                "backend": keras.backend.backend(),
                "date": datetime.date.today().isoformat(),
            }
            with open(path, "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            print(json.dumps(line), flush=True)
            keras.backend.clear_session()
    print("\n".join(markdown_table(read_lines(folder))))


if __name__ == "__main__":
    app.run(main)
