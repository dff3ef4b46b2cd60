"""The data of the histories' benchmark: candidates, histories and labels."""

import collections
import gzip
from pathlib import Path

import numpy as np

SIZES = {"beauty": 20, "ml-1m": 50}


def last_rows(items: list[int], length: int) -> np.ndarray:
    """The last items of a history as rows, padded on the right."""
    rows = np.zeros(length, "int32")
    last = items[-length:]
    rows[: len(last)] = np.array(last, "int32") + 2
    return rows


class Examples:
    """Rows of examples while they are collected."""

    def __init__(self, length: int):
        self.length = length
        self.rows: dict[str, list] = collections.defaultdict(list)

    def add(self, user: int, history: list[int], item: int, label: int) -> None:
        """Adds one example."""
        self.rows["user"].append(user)
        self.rows["history"].append(last_rows(history, self.length))
        self.rows["item"].append(item + 2)
        self.rows["label"].append(label)

    def arrays(self) -> dict[str, np.ndarray]:
        """Columns, in one order."""
        return {
            "user": np.array(self.rows["user"]),
            "item": np.array(self.rows["item"], "int32"),
            "history": np.stack(self.rows["history"]),
            "label": np.array(self.rows["label"], "float32")[:, None],
        }


def read_beauty(folder: Path) -> tuple[int, dict[str, dict[str, np.ndarray]]]:
    """Number of items, and the columns of each part."""
    users = {}
    with gzip.open(folder / "s3rec-beauty" / "sequences.txt.gz", "rt") as file:
        for line in file:
            user, *items = (int(word) for word in line.split())
            users[user] = [item - 1 for item in items]
    num_items = max(max(items) for items in users.values()) + 1
    parts = {name: Examples(SIZES["beauty"]) for name in ("train", "valid", "test")}
    rng = np.random.default_rng(0)

    def negative(seen):
        while True:
            item = int(rng.integers(num_items))
            if item not in seen:
                return item

    for user, items in users.items():
        seen = set(items)
        for place in range(1, len(items) - 1):
            part = "valid" if place == len(items) - 2 else "train"
            parts[part].add(user, items[:place], items[place], 1)
            parts[part].add(user, items[:place], negative(seen), 0)
    path = folder / "s3rec-beauty" / "test_negatives.txt.gz"
    with gzip.open(path, "rt") as file:
        for line in file:
            user, *negatives = (int(word) for word in line.split())
            items = users[user]
            parts["test"].add(user, items[:-1], items[-1], 1)
            for item in negatives:
                parts["test"].add(user, items[:-1], item - 1, 0)
    return num_items, {name: part.arrays() for name, part in parts.items()}


def read_movielens(folder: Path) -> tuple[int, dict[str, dict[str, np.ndarray]]]:
    """Number of movies, and the columns of each part."""
    ratings = collections.defaultdict(list)
    path = folder / "ml-1m" / "ratings_ordered.csv.gz"
    with gzip.open(path, "rt") as file:
        next(file)
        for line in file:
            user, movie, rating, position = (int(word) for word in line.split(","))
            if position:
                ratings[user].append((position, movie - 1, rating))
    num_items = max(movie for rows in ratings.values() for _, movie, _ in rows) + 1
    parts = {name: Examples(SIZES["ml-1m"]) for name in ("train", "valid", "test")}
    for user, rows in ratings.items():
        liked: list[int] = []
        for place, (_, movie, rating) in enumerate(sorted(rows)):
            share = place / len(rows)
            part = "train" if share < 0.8 else "valid" if share < 0.9 else "test"
            if liked:
                parts[part].add(user, liked, movie, int(rating > 3))
            if rating > 3:
                liked.append(movie)
    return num_items, {name: part.arrays() for name, part in parts.items()}
