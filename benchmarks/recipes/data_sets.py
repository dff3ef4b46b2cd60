"""Public data as raw columns, with a schema that needs no fit."""

import csv
import dataclasses
import gzip
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.leaderboard.data_sets import FIRST_ROW, SPLITS, read_data_set
from keras_recs import CategoricalFeature, Label, MultiValuedFeature, Schema

COLD_SHARE = 0.1
UNKNOWN = -1


@dataclasses.dataclass(frozen=True)
class Columns:
    """A schema and, for each part of the data, its raw columns by name."""

    schema: Schema
    parts: dict[str, dict[str, Any]]


def frappe(data_dir: Path) -> Columns:
    """The leaderboard's Frappe; values that the training part lacks are unknown."""
    data = read_data_set("frappe", data_dir)
    parts = {}
    for split in SPLITS:
        columns = {
            name: np.where(rows < FIRST_ROW, UNKNOWN, rows - FIRST_ROW).astype("int64")
            for name, rows in data.inputs[split].items()
        }
        parts[split] = {**columns, "label": data.labels[split][:, 0]}
    return Columns(data.schema, parts)


def movielens_1m(data_dir: Path) -> Columns:
    """Ratings of half of the users; positive above 3.

    A tenth of the movies is `cold`: no part but this one has a rating of them, and
    their id is unknown. The other ratings are train, valid and test, 80/10/10.
    """
    folder = data_dir / "ml-1m"
    if not folder.is_dir():
        raise FileNotFoundError(f"'{folder}' is not there.")
    with gzip.open(folder / "ratings_ordered.csv.gz", "rt", newline="") as file:
        next(file)
        ratings = np.array([row[:3] for row in csv.reader(file)], "int64")
    ratings = ratings[ratings[:, 0] % 2 == 0]
    users = _lines(folder / "users.dat")
    movies = _lines(folder / "movies.dat")
    user_rows = {int(user): place for place, (user, *_) in enumerate(users)}
    movie_rows = {int(movie): place for place, (movie, *_) in enumerate(movies)}
    user = np.array([user_rows[key] for key in ratings[:, 0].tolist()])
    movie = np.array([movie_rows[key] for key in ratings[:, 1].tolist()])
    genres: dict[str, int] = {}
    genre_lists = [
        [genres.setdefault(name, len(genres)) for name in line[2].split("|")]
        for line in movies
    ]
    values = {
        "gender": _codes([line[1] for line in users])[user],
        "age": _codes([line[2] for line in users])[user],
        "occupation": _codes([line[3] for line in users])[user],
        "year": _codes([line[1].strip()[-5:-1] for line in movies])[movie],
    }
    rng = np.random.default_rng(2018)
    is_cold = (rng.random(len(movies)) < COLD_SHARE)[movie]
    values["movie_id"] = np.where(is_cold, UNKNOWN, movie)
    values["user_id"] = user
    draw = rng.random(len(ratings))
    masks = {
        "cold": is_cold,
        "train": ~is_cold & (draw < 0.8),
        "valid": ~is_cold & (draw >= 0.8) & (draw < 0.9),
        "test": ~is_cold & (draw >= 0.9),
    }
    features: list[Any] = [
        CategoricalFeature(name, vocabulary_size=int(column.max()) + 1)
        for name, column in values.items()
    ]
    features.append(
        MultiValuedFeature("genres", vocabulary_size=len(genres), max_length=6)
    )
    label = (ratings[:, 2] > 3).astype("float32")
    parts = {}
    for name, mask in masks.items():
        parts[name] = {key: column[mask] for key, column in values.items()}
        parts[name]["genres"] = [genre_lists[key] for key in movie[mask].tolist()]
        parts[name]["label"] = label[mask]
    return Columns(Schema(features=features, labels=[Label("label")]), parts)


def movielens_100k(data_dir: Path) -> Columns:
    """All ratings in order of time, the last fifth valid and test; positive above 3."""
    folder = data_dir / "ml-100k"
    if not folder.is_dir():
        raise FileNotFoundError(f"'{folder}' is not there.")
    with open(folder / "ml-100k.inter", encoding="utf-8") as file:
        next(file)
        ratings = np.array([line.split("\t") for line in file], "float64")
    ratings = ratings[np.argsort(ratings[:, 3], kind="stable")]
    with open(folder / "ml-100k.user", encoding="utf-8") as file:
        next(file)
        users = {int(line.split("\t")[0]): line.rstrip().split("\t") for line in file}
    user, item = ratings[:, 0].astype("int64"), ratings[:, 1].astype("int64")
    last = [int(len(ratings) * share) for share in (0.8, 0.9)]
    columns: dict[str, Any] = {}
    for name, values in (
        ("user_id", user),
        ("item_id", item),
        ("gender", _codes([users[key][2] for key in user.tolist()])),
        ("occupation", _codes([users[key][3] for key in user.tolist()])),
    ):
        known = np.unique(values[: last[0]])
        place = np.searchsorted(known, values).clip(max=len(known) - 1)
        columns[name] = np.where(known[place] == values, place, UNKNOWN)
    features = [
        CategoricalFeature(name, vocabulary_size=int(column.max()) + 1)
        for name, column in columns.items()
    ]
    columns["label"] = (ratings[:, 2] > 3).astype("float32")
    columns["raw_user"], columns["raw_item"] = user, item
    columns["time"] = ratings[:, 3]
    bounds = zip([0, *last], [*last, len(ratings)], strict=True)
    parts = {
        split: {name: values[start:stop] for name, values in columns.items()}
        for split, (start, stop) in zip(SPLITS, bounds, strict=True)
    }
    return Columns(Schema(features=features, labels=[Label("label")]), parts)


def _lines(path: Path) -> list[list[str]]:
    with open(path, encoding="latin-1") as file:
        return [line.rstrip("\n").split("::") for line in file]


def _codes(values: list[str]) -> np.ndarray:
    return np.unique(values, return_inverse=True)[1]
