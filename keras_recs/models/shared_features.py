"""What the tasks of a multi-task model have in common."""

import inspect

import keras

from keras_recs.layers import BilinearFusion, FeatureEmbedding
from keras_recs.models.build_inputs import (
    build_inputs,
    embedding_arguments,
    stack_numbers,
)
from keras_recs.models.table_rows import table_rows


def shared_features(
    schema, model, embedding_dim, bottom, bottom_arguments, regularizer, options
):
    """The features that all tasks read.

    Without a bottom they are the embeddings side by side, and the numbers. Of a ranking
    model they are what its last dense units read: its interactions and its tower; of
    FinalMLP its two streams.

    Args:
        schema: a fitted `keras_recs.Schema`.
        model: string. Name of the model, for messages.
        embedding_dim: int.
        bottom: builder of a ranking model, or its name, or `None`.
        bottom_arguments: dict of the builder's own arguments, or `None`.
        regularizer: as a builder's `embeddings_regularizer`.
        options: as a builder's `embedding_options`.

    Returns:
        dict of inputs, `(B, N)`, and a list of logits `(B, 1)` or `(B, K)` that the
        bottom computes by itself, such as a linear term.

    Raises:
        ValueError: for a bottom that is none, or one without features to share.
    """
    if bottom is None:
        if bottom_arguments:
            raise ValueError(
                "`bottom_arguments` are those of a `bottom`, such as bottom='dcn_v2'. "
                f"Received: bottom=None and bottom_arguments={bottom_arguments!r}"
            )
        inputs = build_inputs(schema)
        rows = table_rows(schema, inputs)
        numbers = stack_numbers(schema, inputs)  # (B, N)
        if not schema.id_features:
            return inputs, numbers, []
        fields = FeatureEmbedding(
            **embedding_arguments(schema, embedding_dim, options=options),
            embeddings_regularizer=regularizer,
            name="embedding",
        )(rows)  # (B, F, D)
        x = keras.layers.Flatten(name="embedded")(fields)  # (B, F·D)
        if numbers is not None:
            x = keras.layers.Concatenate(name="features")([x, numbers])  # (B, F·D + N)
        return inputs, x, []
    builder = _builder_of(bottom)
    arguments = {
        "embedding_dim": embedding_dim,
        "embeddings_regularizer": regularizer,
        "embedding_options": options,
    }
    known = list(inspect.signature(builder).parameters)[1:]
    unknown = sorted(set(bottom_arguments or {}) - set(known))
    if unknown:
        raise ValueError(
            f"`bottom_arguments` has what {builder.__name__} does not take: {unknown}; "
            f"it takes {known}"
        )
    arguments = {name: value for name, value in arguments.items() if name in known}
    whole = builder(schema, **{**arguments, **(bottom_arguments or {})})
    (node,) = whole.get_layer("heads")._inbound_nodes
    (towers,) = node.arguments.args
    logits = list(node.arguments.kwargs.get("logits") or [])
    fusions = [layer for layer in whole.layers if isinstance(layer, BilinearFusion)]
    if fusions and not towers:
        # Its streams are what would be fused into logits.
        towers, logits = fusions[0].input, []
    if not towers:
        raise ValueError(
            f"`bottom` must have features that {model} can share. Those of "
            f"'{builder.__name__}' are logits alone. Received: bottom={bottom!r} for "
            f"the labels {list(schema.label_names)}"
        )
    x = towers[0]
    if len(towers) > 1:
        x = keras.layers.Concatenate(name="bottom")(towers)  # (B, N)
    return whole.input, x, logits


def _builder_of(bottom):
    from keras_recs import models

    builders = {builder.__name__: builder for builder in models.BUILDERS}
    if bottom in builders:
        return builders[bottom]
    if bottom in builders.values():
        return bottom
    raise ValueError(
        f"`bottom` must be a ranking model, one of {sorted(builders)}. Received: "
        f"bottom={bottom!r}"
    )
