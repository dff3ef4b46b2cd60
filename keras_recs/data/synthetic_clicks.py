"""A click log with planted interactions, for tests, benchmarks and a first run."""

from __future__ import annotations

import csv
import os
from collections import deque
from pathlib import Path

import numpy as np

from keras_recs.schema import (
    CategoricalFeature,
    CrossedFeature,
    Label,
    MultiValuedFeature,
    NumericFeature,
    Schema,
    SequenceFeature,
)

_NUM_USERS = 300
_NUM_ITEMS = 200
_NUM_CATEGORIES = 10
_NUM_SEGMENTS = 4
_HISTORY = 8
_DEVICES = ("phone", "tablet", "desktop", "tv")
_TAGS = tuple(f"tag{i}" for i in range(12))


def synthetic_clicks(
    path: str | os.PathLike, num_rows: int = 100_000, seed: int = 0
) -> Schema:
    """Writes a CSV click log, in order of time, and returns its unfitted schema.

    Whether a user clicks depends on the item's quality, on how the user's hidden
    segment likes the item's category, on device and hour together, and on the price
    by age: mostly on pairs, which a linear model cannot see. The column
    `true_probability`, which the schema does not read, holds the probability from
    which each click was drawn: as a score it reaches the best possible AUC.

    Args:
        path: the file that is written.
        num_rows: int. Impressions. Defaults to `100_000`.
        seed: int. Defaults to `0`.

    Returns:
        `keras_recs.Schema` with label `click`, group key `user_id`, timestamp `time`.
    """
    if num_rows < 1:
        raise ValueError(
            f"`num_rows` must be a positive integer. Received: num_rows={num_rows}"
        )
    rng = np.random.default_rng(seed)
    segment = rng.integers(_NUM_SEGMENTS, size=_NUM_USERS)
    age = rng.integers(18, 70, _NUM_USERS)
    category = rng.integers(_NUM_CATEGORIES, size=_NUM_ITEMS)
    quality = rng.normal(0, 0.5, _NUM_ITEMS)
    price = np.round(rng.lognormal(3, 1, _NUM_ITEMS), 2)
    tags = [
        rng.choice(len(_TAGS), rng.integers(1, 4), replace=False)
        for _ in range(_NUM_ITEMS)
    ]
    tag_effect = rng.normal(0, 0.3, len(_TAGS))
    liking = rng.normal(0, 1.5, (_NUM_SEGMENTS, _NUM_CATEGORIES))
    daytime = rng.normal(0, 0.6, (len(_DEVICES), 24))

    user = _popular(rng, _NUM_USERS, num_rows)
    item = _popular(rng, _NUM_ITEMS, num_rows)
    device = rng.integers(len(_DEVICES), size=num_rows)
    hour = rng.integers(24, size=num_rows)
    log_price = np.log(price[item]) - 3
    logit = (
        -1.2
        + quality[item]
        + liking[segment[user], category[item]]
        + daytime[device, hour]
        - 0.02 * (44 - age[user]) * log_price
        + np.array([tag_effect[t].mean() for t in tags])[item]
    )
    probability = 1 / (1 + np.exp(-logit))
    click = rng.random(num_rows) < probability
    age_known = rng.random(num_rows) < 0.9

    histories: list[deque[str]] = [deque(maxlen=_HISTORY) for _ in range(_NUM_USERS)]
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    tag_texts = ["|".join(_TAGS[t] for t in sorted(own)) for own in tags]
    with open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*_COLUMNS, "true_probability"])
        for i in range(num_rows):
            u, k = int(user[i]), int(item[i])
            writer.writerow(
                (
                    int(click[i]),
                    1_700_000_000 + 60 * i,
                    f"u{u}",
                    f"i{k}",
                    f"c{category[k]}",
                    _DEVICES[device[i]],
                    int(hour[i]),
                    int(age[u]) if age_known[i] else "",
                    price[k],
                    tag_texts[k],
                    "|".join(histories[u]),
                    f"{probability[i]:.6f}",
                )
            )
            if click[i]:
                histories[u].append(f"i{k}")
    os.replace(temporary, path)
    return _schema()


_COLUMNS = (
    "click",
    "time",
    "user_id",
    "item_id",
    "category",
    "device",
    "hour",
    "age",
    "price",
    "tags",
    "history",
)


def _popular(rng: np.random.Generator, size: int, num_rows: int) -> np.ndarray:
    """Draws where a few are frequent and most are rare."""
    share = 1 / (10 + np.arange(size))
    return rng.permutation(size)[rng.choice(size, num_rows, p=share / share.sum())]


def _schema() -> Schema:
    return Schema(
        features=(
            CategoricalFeature("user_id", min_count=2),
            CategoricalFeature("item_id"),
            CategoricalFeature("category", hash_bins=64),
            CategoricalFeature("device"),
            CategoricalFeature("hour", vocabulary_size=24),
            NumericFeature("age", transform="zscore", default="mean"),
            NumericFeature("price", transform=("log1p", "zscore")),
            MultiValuedFeature("tags"),
            SequenceFeature("history", table="item_id", max_length=_HISTORY),
            CrossedFeature("device_x_hour", keys=("device", "hour"), hash_bins=500),
        ),
        labels=(Label("click"),),
        group_key="user_id",
        timestamp="time",
    )
