"""The data of the leaderboard, read without TensorFlow."""

import csv
import dataclasses
import gzip
from pathlib import Path
from typing import Any

import numpy as np

import keras_recs

OOV_ROW = 1
FIRST_ROW = 2
SPLITS = ("train", "valid", "test")


@dataclasses.dataclass(frozen=True)
class DataSet:
    """A schema and, for each of `SPLITS`, inputs by feature and labels `(N, 1)`."""

    schema: keras_recs.Schema
    inputs: dict[str, dict[str, np.ndarray]]
    labels: dict[str, np.ndarray]


def read_data_set(name: str, data_dir: Path) -> DataSet:
    """Reads a data set from its folder.

    Args:
        name: `"frappe"` or `"ml-1m"`.
        data_dir: folder of the sets.

    Raises:
        FileNotFoundError: if it is not there.
    """
    folder = data_dir / name
    if not folder.is_dir():
        raise FileNotFoundError(
            f"'{folder}' is not there. Give --data_dir the folder that holds '{name}'."
        )
    return {"frappe": _frappe, "ml-1m": _movielens}[name](folder)


def _frappe(folder: Path) -> DataSet:
    """The ten fields; values that the training part does not have are unknown."""
    tables = {split: _columns(folder / f"{split}.csv.gz") for split in SPLITS}
    labels = {split: tables[split].pop("label") for split in SPLITS}
    columns = {
        name: {split: tables[split][name] for split in SPLITS}
        for name in tables["train"]
    }
    return _data_set(columns, {}, labels)


def _movielens(folder: Path) -> DataSet:
    """Ratings other than 3, positive above it, split 80/10/10 at random.

    The fields are the user's gender, age, occupation and postal code, the movie's year
    and its genres, as in [AutoInt](https://arxiv.org/abs/1810.11921), whose time of the
    request this copy of the data does not have.
    """
    users = {}
    with open(folder / "users.dat", encoding="latin-1") as file:
        for line in file:
            user, *attributes = line.strip().split("::")
            users[int(user)] = attributes
    movies = {}
    genre_names: dict[str, int] = {}
    with open(folder / "movies.dat", encoding="latin-1") as file:
        for line in file:
            movie, title, genres = line.strip().split("::")
            rows = [
                genre_names.setdefault(genre, len(genre_names) + FIRST_ROW)
                for genre in genres.split("|")
            ]
            movies[int(movie)] = title.strip()[-5:-1], rows
    ratings = _columns(folder / "ratings_ordered.csv.gz")
    kept = ratings["rating"] != 3
    user, movie = ratings["user_id"][kept], ratings["movie_id"][kept]
    positive = (ratings["rating"][kept] > 3).astype("float32")
    order = np.random.default_rng(2018).permutation(len(user))
    cuts = [int(len(order) * share) for share in (0.8, 0.9)]
    parts = dict(zip(SPLITS, np.split(order, cuts), strict=True))
    longest = max(len(rows) for _, rows in movies.values())
    genres = np.zeros((max(movies) + 1, longest), "int32")
    for key, (_, rows) in movies.items():
        genres[key, : len(rows)] = rows
    values = {
        name: np.array([users[key][number] for key in user])
        for number, name in enumerate(("gender", "age", "occupation", "zip"))
    }
    values["year"] = np.array([movies[key][0] for key in movie])
    columns = {
        name: {split: column[part] for split, part in parts.items()}
        for name, column in values.items()
    }
    lists = {
        "genres": (
            len(genre_names),
            {split: genres[movie[part]] for split, part in parts.items()},
        )
    }
    labels = {split: positive[part] for split, part in parts.items()}
    return _data_set(columns, lists, labels)


def _columns(path: Path) -> dict[str, np.ndarray]:
    """Integer columns of a zipped CSV file."""
    with gzip.open(path, "rt", newline="") as file:
        rows = csv.reader(file)
        names = next(rows)
        table = np.array([[int(value) for value in row] for row in rows], "int64")
    return dict(zip(names, table.T, strict=True))


def _data_set(columns: Any, lists: Any, labels: Any) -> DataSet:
    """Rows of tables: values of the training part in order, all others unknown."""
    features: list[Any] = []
    inputs: dict[str, dict[str, np.ndarray]] = {split: {} for split in SPLITS}
    for name, values in columns.items():
        known = np.unique(values["train"])
        features.append(keras_recs.CategoricalFeature(name, vocabulary_size=len(known)))
        for split in SPLITS:
            place = np.searchsorted(known, values[split]).clip(max=len(known) - 1)
            is_known = known[place] == values[split]
            rows = np.where(is_known, place + FIRST_ROW, OOV_ROW)
            inputs[split][name] = rows.astype("int32")
    for name, (size, rows) in lists.items():
        features.append(
            keras_recs.MultiValuedFeature(
                name, vocabulary_size=size, max_length=rows["train"].shape[1]
            )
        )
        for split in SPLITS:
            inputs[split][name] = rows[split]
    return DataSet(
        keras_recs.Schema(features=features, labels=[keras_recs.Label("label")]),
        inputs,
        {split: labels[split].astype("float32")[:, None] for split in SPLITS},
    )
