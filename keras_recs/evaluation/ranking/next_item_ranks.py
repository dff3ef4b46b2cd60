"""Where a model of sequences puts what came next."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_recs.evaluation.ranking.catalogue_ranks import catalogue_ranks
from keras_recs.evaluation.ranking.next_item_queries import next_item_queries
from keras_recs.models.next_item_model import NextItemModel


def next_item_ranks(
    model: NextItemModel,
    dataset: Any,
    exclude_seen: bool = True,
    query_model: keras.Model | None = None,
    memory_bytes: int = 1 << 28,
) -> np.ndarray:
    """Ranks the item that came next among the whole catalogue, for each example.

    What the model does not know, such as an item that the training data do not have,
    it cannot recommend: its rank is that after the last item.

    Args:
        model: `NextItemModel`.
        dataset: as `next_item_queries` takes it.
        exclude_seen: bool. Whether items of the user's history are no candidates; the
            target always is one. Defaults to `True`.
        query_model: as in `next_item_queries`. Defaults to `None`.
        memory_bytes: int. As in `catalogue_ranks`. Defaults to `268435456`.

    Returns:
        int64 `(U,)` ranks from 1, for `ranking_metrics`; of U examples with a target.

    Raises:
        TypeError: for a model of another class.
        ValueError: for batches without targets or with masked places.
    """
    ranks = []
    for queries, targets, seen in next_item_queries(
        model, dataset, exclude_seen, query_model
    ):
        vectors, biases = model.item_vectors()
        is_known = targets >= 0
        found = catalogue_ranks(
            queries,
            vectors,
            np.maximum(targets, 0),
            biases,
            seen,
            memory_bytes=memory_bytes,
        )
        ranks.append(np.where(is_known, found, len(vectors) + 1))
    return np.concatenate(ranks) if ranks else np.empty(0, "int64")
