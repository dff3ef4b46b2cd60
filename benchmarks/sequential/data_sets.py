"""Sequences of items by user, from files of the published comparisons."""

import dataclasses
import gzip
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from keras_recs.evaluation import ItemLists


@dataclasses.dataclass(frozen=True)
class Sequences:
    """A data set.

    Attributes:
        lists: `ItemLists`: items from 0, oldest first.
        num_items: int.
        negatives: int array `(U, 99)` of given negatives of the test, or `None`.
        prefixes: `ItemLists` of test sessions' events until some moment, or `None`.
            With them all `lists` are sessions of the training part.
        labels: int array: what came after each prefix, or `None`.
        attributes: int array `(num_items, n)` of each item's attributes from 1, and 0
            where it has less, or `None`.
    """

    lists: ItemLists
    num_items: int
    negatives: np.ndarray | None = None
    attributes: np.ndarray | None = None
    prefixes: ItemLists | None = None
    labels: np.ndarray | None = None


def read(name: str, data_dir: Path) -> Sequences:
    """Reads a data set.

    Args:
        name: `"ml-1m"` or `"beauty"`, a line an action; `"s3rec-beauty"`, a line a
            user; `"diginetica"`, a line a session, in the order of time.
        data_dir: folder of all data sets.
    """
    if name == "s3rec-beauty":
        folder = data_dir / name
        rows = _rows(folder / "sequences.txt.gz")
        given = {row[0]: row[1:] for row in _rows(folder / "test_negatives.txt.gz")}
        negatives = np.array([given[row[0]] for row in rows]) - 1
        lists = ItemLists.from_lists([np.array(row[1:]) - 1 for row in rows])
        num_items = int(lists.items.max()) + 1
        attributes = _attributes(folder / "item2attributes.json.gz", num_items)
        return Sequences(lists, num_items, negatives, attributes)
    if name == "diginetica":
        folder = data_dir / name
        sessions = _rows(folder / "train_sessions.txt.gz")
        lists = ItemLists.from_lists([np.array(row) - 1 for row in sessions])
        tests = _rows(folder / "test.tsv.gz")  # the label comes last
        prefixes = ItemLists.from_lists([np.array(row[:-1]) - 1 for row in tests])
        labels = np.array([row[-1] for row in tests]) - 1
        count = int(max(lists.items.max(), prefixes.items.max(), labels.max())) + 1
        return Sequences(lists, count, prefixes=prefixes, labels=labels)
    by_user = defaultdict(list)
    for user, item in _rows(data_dir / "sequences" / f"{name}.txt.gz"):
        by_user[user].append(item - 1)
    lists = ItemLists.from_lists(by_user.values())
    return Sequences(lists, int(lists.items.max()) + 1)


def _attributes(path: Path, num_items: int) -> np.ndarray:
    with gzip.open(path, "rt", encoding="ascii") as file:
        found = {int(item) - 1: own for item, own in json.load(file).items()}
    table = np.zeros((num_items, max(len(own) for own in found.values())), "int32")
    for item, own in found.items():
        table[item, : len(own)] = own
    return table


def _rows(path: Path) -> list[list[int]]:
    with gzip.open(path, "rt", encoding="ascii") as file:
        return [[int(value) for value in line.split()] for line in file]
