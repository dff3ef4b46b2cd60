r"""What batches of like lengths save.

  python -m benchmarks.sequential.like_lengths --cell='beauty sasrec ce' --lengths=10,20

One model is trained by `fit` on synthetic histories, whose lengths are log-normal as
those of throughput.py: an epoch of `next_item_batches` with `lengths` and one without
in turns. The ratio is that of the medians of users a second.
"""

import json
import statistics

import numpy as np
from absl import app, flags

from benchmarks.leaderboard.device_name import device_name
from benchmarks.sequential.sides.cells import CELLS, FIRST_ROW
from benchmarks.sequential.sides.side_keras import EpochTimer, make_model
from keras_recs.data import UniformSampler, next_item_batches

CELL = flags.DEFINE_string("cell", "beauty sasrec ce", "Name in sides/cells.py.")
LENGTHS = flags.DEFINE_list("lengths", ["10", "20"], "Below the cell's own.")
BATCHES = flags.DEFINE_integer("batches", 16, "Of an epoch without lengths.", 1)
ROUNDS = flags.DEFINE_integer("rounds", 5, "Epochs of each.", 1)


def main(_) -> None:
    """Times epochs in turn."""
    cell, rng = CELLS[CELL.value], np.random.default_rng(0)
    lengths = cell.median_events * rng.lognormal(0, 1, BATCHES.value * cell.batch)
    lengths = np.clip(np.rint(lengths), 2, cell.length + 1).astype("int64")
    kinds = {"one length": None, "like lengths": [int(x) for x in LENGTHS.value]}
    sampler = UniformSampler(cell.items) if cell.loss == "bce" else None
    batches = {
        name: next_item_batches(
            [rng.integers(0, cell.items, length) + FIRST_ROW for length in lengths],
            cell.length,
            cell.batch,
            sampler=sampler,
            lengths=kind,
        )
        for name, kind in kinds.items()
    }
    model, timer = make_model(cell, cell.dropout), EpochTimer()
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for number in range(1 + ROUNDS.value):
        for name in kinds:
            model.fit(batches[name], callbacks=[timer], verbose=0)
            if number:  # the first compiles
                seconds[name].append(timer.seconds)
    users = {
        name: round(len(lengths) / statistics.median(found), 1)
        for name, found in seconds.items()
    }
    ratio = users["like lengths"] / users["one length"]
    value = {
        "cell": CELL.value,
        "lengths": [*kinds["like lengths"], cell.length],
        "device": device_name(),
        "places_there": round(float(np.mean(lengths - 1) / cell.length), 3),
        "users_a_second": users,
        "ratio": round(ratio, 2),
    }
    print(json.dumps(value, indent=1))


if __name__ == "__main__":
    app.run(main)
