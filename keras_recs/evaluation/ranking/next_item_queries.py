"""What a model of sequences asks its catalogue, and what would be right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_recs.evaluation.ranking.item_lists import ItemLists
from keras_recs.models.next_item_model import NextItemModel

CHUNK_USERS = 8192


def next_item_queries(
    model: NextItemModel,
    dataset: Any,
    exclude_seen: bool = True,
    query_model: keras.Model | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray, ItemLists | None]]:
    """Queries of a data set, some thousands at a time, for functions over a catalogue.

    The target of an example is the item that follows its last event, `"next_item"` at
    the last place; an example without one is left out. Items are numbered from 0, as
    the rows of `model.item_vectors()` are.

    Args:
        model: `NextItemModel`.
        dataset: batches of `(inputs, {"next_item": …})`, as
            `keras_recs.data.sequence_dataset` and `next_item_batches` make them, for a
            model of masked places too. `"seen"` beside `"next_item"`, rows `(B, S)`
            filled up with 0, is the whole history, where the inputs are cut.
        exclude_seen: bool. Collect what each user has seen. Defaults to `True`.
        query_model: what `model.query_model()` gives, to be used again. Defaults to
            `None`: it is made.

    Yields:
        `(queries, targets, seen)`: float32 `(U, D)`; int64 `(U,)`, −1 for an item that
        the model does not know; `ItemLists`, or `None` without `exclude_seen`.

    Raises:
        TypeError: for a model of another class.
        ValueError: for batches without targets or with masked places.
    """
    if not isinstance(model, NextItemModel):
        raise TypeError(
            "`model` must be a keras_recs.models.NextItemModel, such as `sasrec` "
            f"builds. Received: {type(model).__name__}"
        )
    asks = query_model or model.query_model()
    first, name = model.first_row, model.items_input
    waiting: list[tuple[np.ndarray, ...]] = []
    for inputs, y, *_ in _batches(dataset):
        if "next_item" not in y or "places" in y:
            raise ValueError(
                "`dataset` must have the item after each event, as `next_item_batches` "
                "and `sequence_dataset` without `mask_row` make it. Received: targets "
                f"{sorted(y)}"
            )
        targets = np.asarray(y["next_item"])
        targets = targets[:, -1] if targets.ndim == 2 else targets  # (B,)
        queries = np.asarray(asks.predict_on_batch(inputs), "float32")
        seen = np.asarray(y.get("seen", inputs[name])) if exclude_seen else targets
        there = targets != 0
        waiting.append((queries[there], targets[there], seen[there]))
        if sum(len(part[1]) for part in waiting) >= CHUNK_USERS:
            yield _joined(waiting, first, exclude_seen)
            waiting = []
    if any(len(part[1]) for part in waiting):
        yield _joined(waiting, first, exclude_seen)


def _batches(dataset: Any) -> Iterator:
    if isinstance(dataset, keras.utils.PyDataset):
        return (dataset[number] for number in range(dataset.num_batches))
    return iter(dataset)


def _joined(parts, first_row, with_seen):
    queries = np.concatenate([part[0] for part in parts])
    targets = np.concatenate([part[1] for part in parts]).astype("int64")
    targets = np.maximum(targets - first_row, -1)
    if not with_seen:
        return queries, targets, None
    lists = [row[row >= first_row] - first_row for *_, seen in parts for row in seen]
    return queries, targets, ItemLists.from_lists(lists)
