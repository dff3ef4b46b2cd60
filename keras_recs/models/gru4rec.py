"""Recurrent networks for sessions."""

import keras
from keras import ops

from keras_recs.layers import FeatureInput, ItemTable, SessionGRU
from keras_recs.models.build_inputs import build_inputs
from keras_recs.models.item_sequence import item_sequence
from keras_recs.models.session_model import SessionModel


def gru4rec(
    schema,
    items=None,
    embedding_dim=None,
    hidden_units=(100,),
    num_slots=None,
    embedding_dropout=0.0,
    dropout=0.0,
    num_negatives=2048,
    reset_after=False,
    initializer="glorot_uniform",
    num_shards=1,
    seed=None,
):
    """Builds GRU4Rec: a GRU over the events of a session says what comes next.

    With `num_slots` it is trained as in the papers, on the session-parallel batches of
    `keras_recs.data.session_batches`: the state of each slot is carried from one batch
    to the next and forgotten where a session begins. Without it sequences come whole,
    as from `keras_recs.data.next_item_batches`.

    The other targets of a batch and `num_negatives` shared draws, those that the data
    give or uniform ones, are the negatives that the compiled loss sees, such as
    `BPRMax()`, `Top1Max()` or `SampledSoftmax()`. Each item has a bias. Scores are
    products: no activation of the papers' is applied to them.

    Args:
        schema: a fitted `keras_recs.Schema` with a sequence feature, padded on the
            left.
        items: string. Name of that feature, where there are several. Defaults to
            `None`.
        embedding_dim: int. Length of an event's vector, in a table of its own. Defaults
            to `None`: events are read from the table that items are scored with, whose
            vectors are as wide as the last of the `hidden_units`.
        hidden_units: ints. Widths of the GRU's layers. Defaults to `(100,)`.
        num_slots: int. Sessions that run side by side in a batch. Defaults to `None`:
            nothing is carried from batch to batch.
        embedding_dropout: float. Rate of the events' vectors. Defaults to `0.0`.
        dropout: float. Rate after each layer of the GRU. Defaults to `0.0`.
        num_negatives: int of at least 0. Draws a batch, or `None`: cross-entropy over
            the whole catalogue. Defaults to `2048`.
        reset_after: bool. The GRU of cuDNN and PyTorch, not the papers': `SessionGRU`.
            Defaults to `False`.
        initializer: Keras initializer of the tables. Defaults to `"glorot_uniform"`.
        num_shards: int. Variables that each table is split into. Defaults to `1`.
        seed: int. Seed of dropout and draws. Defaults to `None`.

    Returns:
        `SessionModel`: dict of the sequence `(B, T)` and, with `num_slots`, `"starts"`
        `(B, T)` to states `(B, T, D)`.

    Raises:
        ValueError: for a schema that is not fitted or has no such sequence, and for
            sizes that are not positive.

    References: [Hidasi et al., 2016](https://arxiv.org/abs/1511.06939),
    [Hidasi and Karatzoglou, 2018](https://arxiv.org/abs/1706.03847)
    """
    # === Inputs ===
    feature = item_sequence(schema, "GRU4Rec", items)
    sizes = schema.tables[feature.table_name]
    inputs = {feature.name: build_inputs(schema)[feature.name]}
    rows = inputs[feature.name]  # (B, T)
    starts = ops.zeros_like(rows, dtype="bool")
    if num_slots is not None:
        rows = FeatureInput(feature.name, (None,), rows.dtype).output
        starts = keras.Input((None,), dtype="bool", name="starts")
        inputs = {feature.name: rows, "starts": starts}
    mask = ops.not_equal(rows, 0)
    # === Embed ===
    table = ItemTable(
        sizes.num_rows,
        hidden_units[-1] if embedding_dim is None else embedding_dim,
        num_shards=num_shards,
        initializer=initializer,
        name="items",
    )
    drop = keras.layers.Dropout(embedding_dropout, seed=seed, name="embedding_dropout")
    x = drop(table(rows))  # (B, T, D)
    # === Sessions ===
    gru = SessionGRU(
        hidden_units,
        reset_after=reset_after,
        dropout=dropout,
        num_slots=num_slots,
        seed=None if seed is None else seed + 100,
        name="gru",
    )
    states, *_ = gru([x, starts, mask])  # (B, T, H)
    # === Head ===
    seed_of_states = None if seed is None else seed + 1
    drop = keras.layers.Dropout(dropout, seed=seed_of_states, name="dropout")
    return SessionModel(
        inputs,
        {"states": drop(states)},
        first_row=1 + sizes.num_oov,
        num_negatives=num_negatives,
        use_bias=True,
        shares_negatives=True,
        separate=embedding_dim is not None,
        seed=seed,
        name="gru4rec",
    )
