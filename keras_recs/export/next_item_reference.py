"""What an export of a model of sequences must answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_recs.evaluation import ItemLists, catalogue_top_k
from keras_recs.export.event_rows import event_rows, raw_rows_of
from keras_recs.export.next_item_functions import NOTHING
from keras_recs.export.recommending import Recommending
from keras_recs.schema import Schema


class NextItemReference:
    """Answers of a `NextItemModel`, by `catalogue_top_k` and not by the graph.

    Two items of nearly the same score may change their places. So recommended items
    are compared by the scores that the model gives to them.

    Args:
        model: `NextItemModel`.
        schema: its schema.
        preprocessor: `SchemaPreprocessor` of the schema.
        raw: dict of the raw rows.
        options: `Recommending`.

    Attributes:
        outputs: dict of `"embedding"` `(N, D)` and `"scores"` `(N, k)`.
    """

    def __init__(
        self,
        model: Any,
        schema: Schema,
        preprocessor: Any,
        raw: dict[str, Any],
        options: Recommending,
    ):
        name = model.items_input
        inputs = event_rows(raw, name, schema, preprocessor)
        queries = np.asarray(model.query_model()(inputs, training=False), "float32")
        self._queries = queries
        self._vectors, self._biases = model.item_vectors()
        seen = np.asarray(raw_rows_of(raw, name, schema, preprocessor))
        seen = seen if options.exclude_seen else seen[:, :0]
        first = model.first_row
        self._seen = ItemLists.from_lists([row[row >= first] - first for row in seen])
        _, scores = catalogue_top_k(
            queries, self._vectors, options.top_k, self._biases, self._seen
        )
        lowest = scores[np.isfinite(scores)].min(initial=0.0)
        self._nothing = np.float32(lowest - 1)  # a number of the others' size
        scores = np.where(np.isneginf(scores), self._nothing, scores)
        self.outputs = {"embedding": queries, "scores": scores}
        self._ids: dict[Any, int] = {}
        vocabulary = schema.vocabularies.get(schema[name].table_name)
        if vocabulary is not None:
            with open(vocabulary.path, "rb") as file:
                lines = file.read().removesuffix(b"\n").split(b"\n")
            self._ids = {line: number for number, line in enumerate(lines)}

    def scores_of(self, items: np.ndarray, rows_of: slice) -> np.ndarray:
        """Scores of the items that some rows were answered.

        Args:
            items: `(B, k)` raw values.
            rows_of: slice. Which rows.

        Returns:
            float32 `(B, k)`; NaN for what is no candidate, or recommended twice.
        """
        found = np.full(items.shape, np.nan, "float32")
        for user, answer in enumerate(items.tolist(), rows_of.start):
            away = set(self._seen[user].tolist())
            for place, item in enumerate(answer):
                number = self._ids.get(item, -1) if self._ids else item
                if item in (b"", -1):
                    value = self._nothing
                elif not 0 <= number < len(self._vectors) or number in away:
                    continue
                else:
                    value = self._vectors[number] @ self._queries[user]
                    value += self._biases[number]
                    away.add(number)
                found[user - rows_of.start, place] = value
        return found

    def with_nothing(self, scores: np.ndarray) -> np.ndarray:
        """Scores of an answer, as `outputs` has them where there is no item."""
        return np.where(scores == np.float32(NOTHING), self._nothing, scores)
