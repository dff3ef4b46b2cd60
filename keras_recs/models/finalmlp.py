"""FinalMLP."""

import dataclasses

import keras

from keras_recs.layers import (
    MLP,
    BilinearFusion,
    FeatureEmbedding,
    FeatureGate,
    PredictionHeads,
)
from keras_recs.models.build_inputs import (
    build_inputs,
    check_id_features,
    embedding_arguments,
    stack_numbers,
)
from keras_recs.models.embed_fields import embed_fields
from keras_recs.models.embedding_options import EmbeddingOptions
from keras_recs.models.table_rows import table_rows


def finalmlp(
    schema,
    embedding_dim=16,
    hidden_units=(256, 128),
    second_hidden_units=(256, 128),
    num_heads=2,
    gate_units=(64,),
    gate_features=((), ()),
    dropout=0.0,
    batch_norm=False,
    embeddings_regularizer=None,
    embedding_options=None,
    seed=None,
):
    """Builds FinalMLP: two MLPs over gated embeddings, and their bilinear fusion.

    Args:
        schema: a fitted `keras_recs.Schema`.
        embedding_dim: int. Length of an embedding. Defaults to `16`.
        hidden_units: ints. Widths of the first stream. Defaults to `(256, 128)`.
        second_hidden_units: ints. Widths of the second stream. Defaults to
            `(256, 128)`.
        num_heads: int. Parts of the streams within which the fusion multiplies; it
            divides both last widths. Defaults to `2`.
        gate_units: ints. Widths of the MLP of each stream's gates. `()`: no gates.
            Defaults to `(64,)`.
        gate_features: pair of sequences of feature names, such as those of the user and
            those of the item. The gates of a stream read embeddings of their own of
            the features named for it, and a learned vector where there is no name.
            Defaults to `((), ())`.
        dropout: float. Rate in the streams. Defaults to `0.0`.
        batch_norm: bool. Normalize in the streams. Defaults to `False`.
        embeddings_regularizer: strength of a `BatchL2`, or Keras regularizer, of all
            tables. Defaults to `None`.
        embedding_options: `EmbeddingOptions` or a dict of its arguments: how the tables
            are stored. Defaults to `None`.
        seed: int. Seed of the dropout. Defaults to `None`.

    Returns:
        Functional `keras.Model`: dict of features to dict of labels `(B, 1)`.

    Raises:
        ValueError: for a schema that is not fitted, has no label or no categorical
            feature, and for `gate_features` that are not two sequences of names of its
            categorical features.

    Reference: [Mao et al., 2023](https://arxiv.org/abs/2304.00902)
    """
    # === Inputs ===
    inputs = build_inputs(schema)
    gate_features = _checked_gate_features(schema, gate_features)
    rows = table_rows(schema, inputs)
    check_id_features(schema, "FinalMLP")
    numbers = stack_numbers(schema, inputs)  # (B, N)
    # === Embed ===
    fields = embed_fields(
        schema,
        rows,
        numbers,
        embedding_dim,
        embeddings_regularizer,
        embedding_options,
    )  # (B, F + N, D)
    x = keras.layers.Flatten(name="features")(fields)  # (B, (F + N)·D)
    # === Tower ===
    streams = []
    for i, units in enumerate((hidden_units, second_hidden_units)):
        name = ("first", "second")[i]
        gated = x
        if gate_units:
            condition = None
            if gate_features[i]:
                own = FeatureEmbedding(
                    **_gate_arguments(
                        schema, embedding_dim, gate_features[i], embedding_options, name
                    ),
                    embeddings_regularizer=embeddings_regularizer,
                    name=f"{name}_gate_embedding",
                )(rows)  # (B, G, D)
                condition = keras.layers.Flatten(name=f"{name}_condition")(own)
            gate = FeatureGate(gate_units, embedding_dim, name=f"{name}_gate")
            gated = gate(x, condition=condition)  # (B, (F + N)·D)
        stream = MLP(
            units,
            dropout=dropout,
            batch_norm=batch_norm,
            seed=None if seed is None else seed + 100 * i,
            name=f"{name}_stream",
        )(gated)  # (B, H)
        streams.append(stream)
    # === Interact ===
    logits = BilinearFusion(
        max(1, len(schema.labels)), num_heads, dtype="float32", name="fusion"
    )(streams)  # (B, K)
    # === Head ===
    outputs = PredictionHeads(schema.tasks, name="heads")([], logits=[logits])
    return keras.Model(inputs, outputs, name="finalmlp")


def _checked_gate_features(schema, gate_features):
    """The features of both gates, in the schema's order."""
    names = [feature.name for feature in schema.id_features]
    if len(gate_features) != 2 or any(isinstance(part, str) for part in gate_features):
        raise ValueError(
            "`gate_features` must be a pair of sequences of feature names. Received: "
            f"gate_features={gate_features!r}"
        )
    unknown = sorted({name for part in gate_features for name in part} - set(names))
    if unknown:
        raise ValueError(
            "`gate_features` names features that are not categorical features of the "
            f"schema. Received: {unknown}; there are {names}"
        )
    return [
        [feature for feature in schema.id_features if feature.name in part]
        for part in gate_features
    ]


def _gate_arguments(schema, embedding_dim, features, options, name):
    """Arguments of a gate's tables, which are none of the model's others."""
    options = EmbeddingOptions.of(options)
    if options.folder is not None:
        options = dataclasses.replace(options, folder=f"{options.folder}.{name}_gate")
    own = options.embedding_dims
    longest = max(own.get(f.table_name, embedding_dim) for f in features)
    return embedding_arguments(schema, longest, features, options)
