"""Entire space multi-task model."""

import keras

from keras_recs.layers import PredictionHeads, TaskTowers
from keras_recs.models.shared_features import shared_features


def esmm(
    schema,
    embedding_dim=16,
    hidden_units=(256, 128),
    dropout=0.0,
    bottom=None,
    bottom_arguments=None,
    embeddings_regularizer=None,
    embedding_options=None,
    seed=None,
):
    """Builds ESMM: the steps of a funnel, trained on all impressions.

    The probability of a label that has a `given` (a conversion, given the click) is
    that of the other times its own tower's. Only the product meets a label, on all
    impressions; so the tower learns of impressions without a click too. Funnels may be
    longer (impression, click, cart, purchase), and labels outside of one have a tower
    like any other.

    Args:
        schema: a fitted `keras_recs.Schema` with a label that has a `given`, such as
            `Label("conversion", given="click")`.
        embedding_dim: int. Length of an embedding. Defaults to `16`.
        hidden_units: ints. Widths of the tower of each label. Defaults to
            `(256, 128)`.
        dropout: float. Rate in the towers. Defaults to `0.0`.
        bottom: name or builder of a ranking model, such as `"dcn_v2"`, whose features
            all towers read. Defaults to `None`: the embeddings and the numbers.
        bottom_arguments: dict of the ranking model's own arguments. Defaults to `None`.
        embeddings_regularizer: strength of a `BatchL2`, or Keras regularizer, of all
            tables. Defaults to `None`.
        embedding_options: `EmbeddingOptions` or a dict of its arguments: how the tables
            are stored. Defaults to `None`.
        seed: int. Seed of the dropout. Defaults to `None`.

    Returns:
        Functional `keras.Model`: dict of features to dict of labels `(B, 1)`, and for
        each label with a `given` what its tower says, `"conversion_given_click"`, which
        no label trains.

    Raises:
        ValueError: for a schema that is not fitted, has no label with a `given`, and
            for a bottom that is none.

    Reference: [Ma et al., 2018](https://arxiv.org/abs/1804.07931):
    pCTCVR = pCTR · pCVR
    """
    # === Inputs and Embed ===
    inputs, x, logits = shared_features(
        schema,
        "ESMM",
        embedding_dim,
        bottom,
        bottom_arguments,
        embeddings_regularizer,
        embedding_options,
    )  # (B, N)
    if schema.labels and not schema.given:
        raise ValueError(
            "ESMM needs a label that cannot be without another one: "
            'Label("conversion", given="click"). Received: labels '
            f"{list(schema.label_names)}, none with `given`"
        )
    # === Tower ===
    towers = TaskTowers(
        max(1, len(schema.labels)),
        hidden_units,
        dropout=dropout,
        seed=seed,
        name="towers",
    )(x)  # (B, K)
    # === Head ===
    heads = PredictionHeads(schema.tasks, schema.given, name="heads")
    return keras.Model(inputs, heads([], logits=[towers, *logits]), name="esmm")
