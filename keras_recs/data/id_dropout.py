"""Ids that are replaced in training, so that the row of unknown ones is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from keras_recs.schema import Schema


def id_dropout(
    schema: Schema,
    features: Sequence[str],
    rate: float | None = None,
    *,
    counts: Mapping[str, np.ndarray] | None = None,
    strength: float | None = None,
    seed: int = 0,
) -> Callable:
    """Makes a transformation that puts some ids out of vocabulary, anew in each epoch.

    Where all ids of the training split are in the vocabulary, no example trains the
    out-of-vocabulary row, and a new id gets its random start. Here an id is replaced
    with the probability `rate`, or with a/(a + n) for an id that occurs n times: rare
    ids often, frequent ones hardly. Apply it to training batches alone.

    Padding stays, and so do weights of values, crosses that contain the feature, and
    features that share its table but are not named. Where there are several
    out-of-vocabulary rows, each is as likely.

    Args:
        schema: a fitted `keras_recs.Schema`.
        features: names of features with an out-of-vocabulary row.
        rate: float in 0 … 1. Defaults to `None`: by counts.
        counts: dict of table name to counts of its rows, as `row_counts` gives it.
        strength: float above 0. The a, beside `counts`.
        seed: int. Defaults to `0`.

    Returns:
        Function for `tf.data.Dataset.apply`; the cardinality stays.

    Raises:
        ValueError: for both or neither of `rate` and `strength`, a value out of range,
            a feature that has no rows of ids, or no counts of its table.

    Example: `train = train.apply(id_dropout(schema, ["item_id"], rate=0.1))`
    """
    schema.check_fitted("id_dropout")
    if (rate is None) == (strength is None):
        raise ValueError(
            "`rate` or, with `counts`, `strength` must be given, one of them. Received:"
            f" rate={rate!r}, strength={strength!r}"
        )
    if rate is not None and not 0 <= rate <= 1:
        raise ValueError(f"`rate` must be in 0 … 1. Received: rate={rate!r}")
    if strength is not None and not 0 < strength < float("inf"):
        raise ValueError(
            f"`strength` must be above 0 and finite. Received: strength={strength!r}"
        )
    chances = {}
    for name in features:
        table = _table(schema, name)
        if strength is None:
            chances[name] = np.full(table.num_rows, rate, np.float32)
            continue
        count = np.asarray((counts or {}).get(table.name, ()))
        if count.shape != (table.num_rows,):
            raise ValueError(
                f"Feature '{name}': `counts` must hold the {table.num_rows} counts of "
                f"table '{table.name}'. Received: shape {count.shape}"
            )
        chances[name] = (strength / (strength + count)).astype(np.float32)
    return _replacement(schema, chances, seed)


def _table(schema, name):
    tables = {feature.name: feature.table_name for feature in schema.id_features}
    table = schema.tables[tables[name]] if name in tables else None
    if table is None or table.kind not in ("vocabulary", "hash", "identity"):
        raise ValueError(
            "`features` must name features whose inputs are rows of ids: categorical, "
            "multi-valued or sequence features without `max_keys`. Received: "
            f"'{name}'; the schema has {list(schema.feature_names)}"
        )
    return table


def _replacement(schema, chances, seed):
    import tensorflow as tf

    tables = {feature.name: feature.table_name for feature in schema.id_features}
    num_oov = {name: schema.tables[tables[name]].num_oov for name in chances}

    @tf.autograph.experimental.do_not_convert
    def replace(batch, seeds):
        inputs, *rest = batch
        inputs = dict(inputs)
        for number, name in enumerate(chances):
            rows = inputs[name]  # (B,) or (B, L)
            shape = tf.shape(rows)
            own = tf.random.experimental.stateless_fold_in(seeds, number)
            draws = tf.random.stateless_uniform(shape, own)
            oov = tf.random.stateless_uniform(
                shape, own + 1, 1, num_oov[name] + 1, dtype=rows.dtype
            )
            replaced = draws < tf.gather(chances[name], rows)
            inputs[name] = tf.where(replaced & (rows > 0), oov, rows)
        return (inputs, *rest)

    def apply(dataset):
        seeds = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)
        pairs = tf.data.Dataset.zip(dataset, seeds.batch(2))
        return pairs.map(replace, num_parallel_calls=tf.data.AUTOTUNE)

    return apply
