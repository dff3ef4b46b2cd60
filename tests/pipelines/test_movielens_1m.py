"""MovieLens 1M's files become a log of three labels, which all of a run can read."""

import csv
import gzip

import pytest

from keras_recs import Schema
from tests.preloaded import run_preloaded

# Made-up rows.
USERS = ["1::F::1::10::48067", "2::M::56::16::70072-1234"]
MOVIES = ["7::Filmé, A (1995)::Comedy|Drama", "9::B (a remake) (2000)::War"]
RATINGS = [("1", "7", 5), ("2", "7", 3), ("2", "9", 1), ("1", "9", 4)]


def write(folder, ordered=False):
    folder.mkdir(parents=True)
    for name, lines in (("users", USERS), ("movies", MOVIES)):
        path = folder / f"{name}.dat"
        path.write_text("\n".join(lines) + "\n", encoding="latin-1")
    if ordered:
        with gzip.open(folder / "ratings_ordered.csv.gz", "wt") as file:
            file.write("user_id,movie_id,rating,position\n")
            file.writelines(f"{u},{m},{r},1\n" for u, m, r in RATINGS)
        return
    lines = [f"{u}::{m}::{r}::978300000" for u, m, r in RATINGS]
    (folder / "ratings.dat").write_text("\n".join(lines) + "\n")


def run(tmp_path, **options):
    arguments = ["-m", "pipelines.movielens_1m"]
    arguments += [f"--data_dir={tmp_path / 'data'}", f"--output={tmp_path / 'out'}"]
    return run_preloaded(*arguments, **options)


@pytest.mark.parametrize("ordered", [False, True])
def test_the_log(tmp_path, ordered):
    write(tmp_path / "data", ordered)
    run(tmp_path)
    schema = Schema.load(tmp_path / "out" / "schema.json")
    assert schema.label_names == ("click", "like", "rating")
    assert dict(schema.given) == {"like": "click"}
    with open(tmp_path / "out" / "log.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert set(schema.columns) == set(rows[0])
    labels = [(row["click"], row["like"], row["rating"]) for row in rows]
    assert labels == [
        ("1", "1", "5"),
        ("1", "0", "3"),
        ("0", "0", "1"),
        ("1", "0", "4"),
    ]
    assert [row["year"] for row in rows] == ["1995", "1995", "2000", "2000"]
    assert [row["genres"] for row in rows] == ["Comedy|Drama"] * 2 + ["War"] * 2
    assert [row["zip"] for row in rows] == ["480", "700", "700", "480"]


def test_a_file_that_is_not_there(tmp_path):
    write(tmp_path / "data")
    (tmp_path / "data" / "ratings.dat").unlink()
    done = run(tmp_path, check=False)
    assert done.returncode
    assert "There is no" in done.stdout + done.stderr
    assert not (tmp_path / "out" / "log.csv").exists()
