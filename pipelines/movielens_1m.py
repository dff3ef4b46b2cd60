r"""MovieLens 1M as a log of three labels: click (rating ≥ 3), like (5) and the rating.

  python -m pipelines.movielens_1m --data_dir=ml-1m --output=movielens
  python -m pipelines.prepare --input=movielens/log.csv \
      --schema=movielens/schema.json --output=movielens/prepared \
      --split=random --fractions=0.8,0.1,0.1
  python -m pipelines.train --config=pipelines/configs/ml_1m_mmoe.py \
      --workdir=runs/ml_1m_mmoe

The folder holds `ratings.dat`, `users.dat` and `movies.dat` as GroupLens ships them
(https://files.grouplens.org/datasets/movielens/ml-1m.zip). The place of
`ratings.dat` may take `ratings_ordered.csv.gz`, a CSV file with the columns `user_id`,
`movie_id` and `rating`.
"""

from __future__ import annotations

import csv
import gzip
import os
from collections.abc import Iterator
from pathlib import Path

from absl import app, flags

from keras_recs.schema import (
    CategoricalFeature,
    Label,
    MultiValuedFeature,
    NumericFeature,
    Schema,
)

DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of MovieLens 1M.")
OUTPUT = flags.DEFINE_string("output", None, "Folder for log.csv and schema.json.")
_COLUMNS = (
    "click",
    "like",
    "rating",
    "user_id",
    "movie_id",
    "gender",
    "age",
    "occupation",
    "zip",
    "year",
    "genres",
)


def ml_1m_ratings(data_dir: str | os.PathLike, path: str | os.PathLike) -> Schema:
    """Writes MovieLens 1M as a CSV log, a row a rating.

    Args:
        data_dir: folder with `ratings.dat` (or `ratings_ordered.csv.gz`), `users.dat`
            and `movies.dat`.
        path: the file that is written.

    Returns:
        Unfitted `keras_recs.Schema` with the labels `click`, `like` (given the click)
        and `rating`, a regression.

    Raises:
        ValueError: if one of the files is not in the folder.
    """
    folder = Path(data_dir)
    users = {row[0]: row[1:] for row in _rows(folder / "users.dat")}
    movies = {row[0]: row[1:] for row in _rows(folder / "movies.dat")}
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for user, movie, rating in _ratings(folder):
            gender, age, occupation, zip_code = users[user]
            title, genres = movies[movie]
            labels = [int(rating >= 3), int(rating == 5), rating]
            about_user = [gender, age, occupation, zip_code[:3]]
            year = title.strip()[-5:-1]  # "Toy Story (1995)"
            writer.writerow([*labels, user, movie, *about_user, year, genres])
    os.replace(temporary, path)
    return Schema(
        features=(
            CategoricalFeature("user_id"),
            CategoricalFeature("movie_id"),
            CategoricalFeature("gender"),
            CategoricalFeature("age"),
            CategoricalFeature("occupation"),
            CategoricalFeature("zip"),
            NumericFeature("year", num_buckets=12),
            MultiValuedFeature("genres"),
        ),
        labels=(
            Label("click"),
            Label("like", given="click"),
            Label("rating", task="regression"),
        ),
        group_key="user_id",
    )


def _ratings(folder: Path) -> Iterator[tuple[str, str, int]]:
    ordered = folder / "ratings_ordered.csv.gz"
    if not (folder / "ratings.dat").is_file() and ordered.is_file():
        with gzip.open(ordered, "rt", newline="", encoding="ascii") as file:
            for row in csv.DictReader(file):
                yield row["user_id"], row["movie_id"], int(row["rating"])
        return
    for user, movie, rating, _ in _rows(folder / "ratings.dat"):
        yield user, movie, int(rating)


def _rows(path: Path) -> Iterator[list[str]]:
    if not path.is_file():
        raise ValueError(
            "`data_dir` must hold ratings.dat, users.dat and movies.dat of MovieLens "
            f"1M. There is no {path}"
        )
    with open(path, encoding="latin-1") as file:
        for line in file:
            yield line.rstrip("\n").split("::")


def main(_) -> None:
    """Runs the program."""
    if not DATA_DIR.value or not OUTPUT.value:
        raise app.UsageError("--data_dir=<folder> and --output=<folder> are needed.")
    folder = Path(OUTPUT.value)
    try:
        schema = ml_1m_ratings(DATA_DIR.value, folder / "log.csv")
    except ValueError as error:
        raise app.UsageError(str(error)) from None
    schema.save(folder / "schema.json")
    print(f"log: {folder / 'log.csv'}\nschema: {folder / 'schema.json'}")


if __name__ == "__main__":
    app.run(main)
