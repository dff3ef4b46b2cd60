"""Which part of the data each example of the histories' benchmark comes from."""

import gzip

import numpy as np
import pytest

from benchmarks.histories import data_sets

USERS = {1: [5, 6, 7, 8, 9], 2: [1, 2, 3], 3: [9, 1, 4, 2]}
NEGATIVES = {1: [1, 2, 3], 2: [5, 6, 7], 3: [3, 6, 8]}


def write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt") as file:
        file.write("".join(f"{line}\n" for line in lines))


def rows(part):
    """`(user, history, item, label)` of each example, with the data's own numbers."""
    arrays = zip(part["user"], part["history"], part["item"], part["label"][:, 0])
    return [
        (int(user), [int(row) - 1 for row in history if row], int(item) - 1, int(label))
        for user, history, item, label in arrays
    ]


@pytest.fixture
def beauty(tmp_path):
    folder = tmp_path / "s3rec-beauty"
    lines = [" ".join(map(str, [user, *items])) for user, items in USERS.items()]
    write(folder / "sequences.txt.gz", lines)
    lines = [" ".join(map(str, [user, *items])) for user, items in NEGATIVES.items()]
    write(folder / "test_negatives.txt.gz", lines)
    return data_sets.read_beauty(tmp_path)


def test_beauty_keeps_the_last_two_out_of_training(beauty):
    num_items, parts = beauty
    assert num_items == 9
    for part, place in (("valid", -2), ("test", -1)):
        positives = [row for row in rows(parts[part]) if row[3]]
        assert [row[2] for row in positives] == [u[place] for u in USERS.values()]
    for user, history, item, label in rows(parts["train"]):
        items = USERS[user]
        if label:
            assert item in items[1:-2]
            assert history == items[: items.index(item)]
        else:
            assert item not in items
    labels = parts["train"]["label"]
    assert labels.sum() * 2 == len(labels) == 2 * (2 + 0 + 1)


def test_beauty_has_the_given_negatives(beauty):
    found = [row for row in rows(beauty[1]["test"]) if not row[3]]
    for user, negatives in NEGATIVES.items():
        mine = [row for row in found if row[0] == user]
        assert [row[2] for row in mine] == negatives
        assert all(row[1] == USERS[user][:-1] for row in mine)


def test_a_long_history_keeps_its_end():
    np.testing.assert_array_equal(data_sets.last_rows([0, 1, 2, 3], 3), [3, 4, 5])
    np.testing.assert_array_equal(data_sets.last_rows([7], 3), [9, 0, 0])


def test_movielens_is_split_by_the_order_of_a_user(tmp_path):
    lines = ["user,movie,rating,position"]
    # Movies 1 … 10 in order of position, which is not that of the file; 0 is no place.
    lines += [
        f"7,{place},{5 if place % 2 else 2},{place}" for place in range(10, 0, -1)
    ]
    lines += ["7,11,5,0"]
    write(tmp_path / "ml-1m" / "ratings_ordered.csv.gz", lines)
    num_items, parts = data_sets.read_movielens(tmp_path)
    assert num_items == 10
    seen = {part: [row[2] for row in rows(parts[part])] for part in parts}
    assert seen == {"train": [2, 3, 4, 5, 6, 7, 8], "valid": [9], "test": [10]}
    for part in parts.values():
        for _, history, movie, label in rows(part):
            assert history == [m for m in range(1, movie) if m % 2]
            assert label == movie % 2
