"""More rows for a table whose keys are learnt in training."""

import dataclasses

import keras
import numpy as np

from keras_recs.training.multi_task.multi_task_model import MultiTaskModel

CHUNK_ROWS = 100_000


def grow_table(model, schema, table, max_keys):
    """Builds the same model with room for more keys in a table.

    Each key keeps its row, and each row its values; the new rows, with fresh initial
    values, follow them. All other weights are those of the old model, which stays as it
    is, and so are the variables of a `MultiTaskModel`'s weighting. The new model is not
    compiled: compile it, and its optimizer starts afresh, slots and step count
    included. Save it with the new schema.

    Args:
        model: functional `keras.Model` of a builder of `keras_recs.models`, weighed by
            `weigh_tasks` or not.
        schema: the fitted `keras_recs.Schema` that the model was built from.
        table: string. Name of a table whose features have `max_keys`.
        max_keys: int, not below that of the table.

    Returns:
        Pair of the new model and its schema.

    Raises:
        ValueError: for another table, fewer keys, a model with tables in files, and a
            layer that compresses a table beside this one or counts its rows.

    Example: `model, schema = grow_table(model, schema, "user_id", 2_000_000)`
    """
    from keras_recs.models.build_inputs import build_inputs
    from keras_recs.models.find_vocabulary import find_vocabulary

    vocabulary = find_vocabulary(model, schema, table)
    grown = vocabulary.grown(max_keys)  # raises where it would shrink

    def clone(layer):
        if layer is vocabulary:
            return grown
        config = layer.get_config()
        parts = config.get("tables", ())
        own = [part for part in parts if part["name"] == table]
        for part in parts:
            _check_memory(layer, part, bool(own))
        for part in own:
            part["num_rows"] += max_keys - vocabulary.max_keys
        return type(layer).from_config(config)

    new = keras.models.clone_model(model, build_inputs(schema), clone)
    for old_layer, new_layer in zip(model.layers, new.layers, strict=True):
        if new_layer is not grown:
            _copy(old_layer, new_layer, table)
    if isinstance(model, MultiTaskModel):  # of which Keras clones the layers alone
        new = _weighed(new, model)
    features = [
        dataclasses.replace(feature, max_keys=max_keys)
        if feature in schema.id_features and feature.table_name == table
        else feature
        for feature in schema.features
    ]
    return new, dataclasses.replace(schema, features=tuple(features))


def _check_memory(layer, part, grows):
    """Raises where the rows of a table cannot be copied one by one."""
    for option, bad in (("hot_rows", True), ("compression", grows)):
        if bad and part.get(option) is not None:
            raise ValueError(
                f"Layer '{layer.name}' cannot grow: rows of its table '{part['name']}' "
                f"cannot be copied. Received: {option}={part[option]!r}. Build a new "
                "model with the larger `max_keys` and train it anew."
            )


def _copy(old, new, table):
    """Copies the weights of a layer; tables by row where the table is among them."""
    shards = []
    for source, target in zip(_embeddings(old), _embeddings(new), strict=True):
        if table not in [config.name for config in source.tables]:
            continue
        shards += [id(shard) for shard in target.shards]
        for config in source.tables:
            for start in range(0, config.num_rows, CHUNK_ROWS):
                rows = np.arange(start, min(start + CHUNK_ROWS, config.num_rows))
                values = source.read_rows(config.name, rows)
                target.write_rows(config.name, rows, values)
    for weight, other in zip(old.weights, new.weights, strict=True):
        if id(other) in shards:
            continue
        if weight.shape != other.shape:
            raise ValueError(
                f"Layer '{old.name}' cannot grow: its weight '{weight.path}' depends "
                "on the number of rows. Received: shape "
                f"{tuple(weight.shape)}. Build a new model with the larger `max_keys` "
                "and train it anew."
            )
        other.assign(weight)


def _weighed(new, old):
    """A cloned model under the weighting of the old one, as far as it has come."""
    weighting = type(old.weighting).from_config(old.weighting.get_config())
    new = MultiTaskModel(new.input, new.output, old.tasks, weighting, name=old.name)
    for weight, other in zip(old.weighting.weights, weighting.weights, strict=True):
        other.assign(weight)
    return new


def _embeddings(layer):
    from keras_recs.layers.embedding.feature_embedding import FeatureEmbedding

    found = layer._flatten_layers()
    return [part for part in found if isinstance(part, FeatureEmbedding)]
