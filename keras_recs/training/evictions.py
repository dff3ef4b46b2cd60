"""Which tables forget keys at the end of an epoch."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from keras_recs.schema import Schema
from keras_recs.training.evict_stale_keys import EvictStaleKeys


def evictions(
    model: keras.Model, schema: Schema, given: Sequence[keras.callbacks.Callback]
) -> list[EvictStaleKeys]:
    """A callback for each table whose keys expire, over all layers that hold it."""
    from keras_recs.layers.embedding.feature_embedding import FeatureEmbedding
    from keras_recs.models.find_vocabulary import find_vocabulary

    found: list[EvictStaleKeys] = []
    if any(isinstance(callback, EvictStaleKeys) for callback in given):
        return found
    for name, owner in schema.table_owners.items():
        if getattr(owner, "expire_after", None) is not None:
            holders = [
                (layer, name)
                for layer in model._flatten_layers()
                if isinstance(layer, FeatureEmbedding)
                and name in layer.features.values()
            ]
            found.append(EvictStaleKeys(find_vocabulary(model, schema, name), holders))
    return found
