"""What the signatures of a model of sequences compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from keras_recs.export.event_rows import event_rows, raw_rows_of
from keras_recs.export.recommending import Recommending
from keras_recs.schema import Schema

if TYPE_CHECKING:
    from keras_recs.models import NextItemModel

NOTHING = float(np.finfo("float32").min)  # the score where there is no item
_SCORES = 1 << 22  # held at once: 16 MiB


def next_item_functions(
    model: NextItemModel, schema: Schema, preprocessor: Any, options: Recommending
) -> tuple[dict[str, Callable], Any]:
    """Makes the functions of raw features.

    The catalogue is scored in chunks, of which the larger a batch is the fewer items
    are in one: the memory is bounded however many there are.

    Args:
        model: `NextItemModel` that computes in float32.
        schema: its schema.
        preprocessor: `SchemaPreprocessor` of the schema.
        options: `Recommending`.

    Returns:
        dict of `"recommend"`, to `"items"` (raw values) and `"scores"`, `(B, k)`, and
        `"embed"`, to `"embedding"` `(B, D)`; and what an export must bring along.
    """
    name, query_model = model.items_input, model.query_model()
    vocabulary = schema.vocabularies.get(schema[name].table_name)
    names = None
    if vocabulary is not None:
        lines = tf.lookup.TextFileInitializer(
            vocabulary.path,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
        )
        names = tf.lookup.StaticHashTable(lines, "")

    def query(raw):
        return query_model(event_rows(raw, name, schema, preprocessor))

    def embed(raw):
        return {"embedding": query(raw)}

    def recommend(raw):
        seen = None
        if options.exclude_seen:  # also what the model does not read
            seen = raw_rows_of(raw, name, schema, preprocessor)
        scores, rows = _best(model, query(raw), seen, options.top_k)
        ids = tf.cast(rows, tf.int64) - model.first_row  # below 0: nothing
        items = tf.maximum(ids, -1) if names is None else names.lookup(ids)
        return {"items": items, "scores": scores}

    return {"recommend": recommend, "embed": embed}, names


def _best(model, queries, seen, k):
    """Scores and table rows of the best items, `(B, k)`; row 0 where there is none."""
    last, batch = model.item_table.num_rows, tf.shape(queries)[0]
    size = tf.clip_by_value(_SCORES // tf.maximum(batch, 1), 1, last)

    def add_chunk(start, best, best_rows):
        rows = tf.range(start, tf.minimum(start + size, last))
        scores = model.score(queries, rows)  # (B, C)
        if seen is not None:
            scores = _without(scores, tf.cast(seen, tf.int32) - start)
        # What is best so far comes first: of equal scores the lower row stays.
        best, places = tf.math.top_k(tf.concat([best, scores], axis=1), k)
        old = tf.gather(best_rows, tf.minimum(places, k - 1), batch_dims=1)
        return start + size, best, tf.where(places < k, old, start + places - k)

    shape = tf.stack([batch, k])
    _, scores, rows = tf.while_loop(
        lambda start, *_: start < last,
        add_chunk,
        (
            tf.constant(model.first_row),
            tf.fill(shape, NOTHING),
            tf.zeros(shape, "int32"),
        ),
        (tf.TensorShape(()), tf.TensorShape((None, k)), tf.TensorShape((None, k))),
        parallel_iterations=1,
    )
    return scores, rows


def _without(scores, places):
    """Scores of a chunk with nothing at some places, of which some are elsewhere."""
    width = tf.shape(scores)[1]
    is_here = tf.logical_and(places >= 0, places < width)
    places = tf.where(is_here, places, width)  # a column that is cut off again
    users = tf.broadcast_to(tf.range(tf.shape(places)[0])[:, None], tf.shape(places))
    indices = tf.reshape(tf.stack([users, places], axis=2), (-1, 2))
    wider = tf.pad(scores, [[0, 0], [0, 1]])
    nothing = tf.fill(tf.shape(indices)[:1], NOTHING)
    return tf.tensor_scatter_nd_update(wider, indices, nothing)[:, :-1]
