"""Small models with weights that are known, and a reader of their exports."""

import threading
from pathlib import Path

import numpy as np

from keras_recs import Label
from keras_recs.schema import MultiValuedFeature, SequenceFeature

LABELS = [
    Label("click", sample_weight="weight"),
    Label("buy"),
    Label("rating", task="regression"),
    Label("stay", task="regression"),
]
CONSTANT_TABLES = ("genres", "user_x_hour")  # hashed: every bucket weighs the same


def table_weights(table):
    """Row i weighs i / 10 − 0.2, a row of a hashed table 0.1."""
    weights = np.arange(table.num_rows, dtype="float32") / 10 - 0.2
    if table.name in CONSTANT_TABLES:
        weights[:] = 0.1
    return weights[:, None]  # (V, 1)


def make_inputs(schema):
    """One Keras input a feature."""
    import keras

    numbers = {feature.name for feature in schema.numeric_features}
    inputs = {}
    for feature in schema.features:
        is_list = isinstance(feature, (MultiValuedFeature, SequenceFeature))
        inputs[feature.name] = keras.Input(
            (feature.max_length,) if is_list else (),
            dtype="float32" if feature.name in numbers else "int32",
            name=feature.name,
        )
    return inputs


def _pooled(lookup, rows):
    """Embeddings, lists summed over what is there: `(B, D)`."""
    from keras import ops

    fields = lookup(rows)  # (B, D) or (B, L, D)
    if len(rows.shape) == 1:
        return fields
    there = ops.cast(ops.not_equal(rows, 0), fields.dtype)[..., None]  # (B, L, 1)
    return ops.sum(fields * there, axis=1)  # (B, D)


def linear_logit(schema, inputs):
    """Σ of the weights of all rows that are there, and 0.5 · each number: `(B, 1)`."""
    import keras
    from keras import ops

    terms = []
    for name, tensor in inputs.items():
        if tensor.dtype == "float32":
            terms.append(ops.expand_dims(0.5 * tensor, 1))  # (B, 1)
            continue
        table = schema.tables[schema[name].table_name]
        lookup = keras.layers.Embedding(table.num_rows, 1)
        terms.append(_pooled(lookup, tensor))
        lookup.set_weights([table_weights(table)])
    return keras.layers.Add(name="logit")(terms)  # (B, 1)


def linear_model(schema):
    """Outputs σ(z), σ(−z), z, 3z + 1 by label as far as there are, and "logit" z."""
    import keras
    from keras import ops

    inputs = make_inputs(schema)
    z = linear_logit(schema, inputs)
    makers = [ops.sigmoid, lambda z: ops.sigmoid(-z), ops.copy, lambda z: 3 * z + 1]
    outputs = {
        label: make(z) for label, make in zip(schema.label_names, makers, strict=False)
    }
    return keras.Model(inputs, {**outputs, "logit": z}, name="linear")


def deep_model(schema, embedding_dim=4):
    """A tower over pooled embeddings; computes in the global dtype policy."""
    import keras

    inputs = make_inputs(schema)
    parts = []
    for name, tensor in inputs.items():
        if tensor.dtype == "float32":
            parts.append(keras.layers.Reshape((1,))(tensor))
            continue
        table = schema.tables[schema[name].table_name]
        lookup = keras.layers.Embedding(table.num_rows, embedding_dim)
        parts.append(_pooled(lookup, tensor))
    hidden = keras.layers.Concatenate()(parts)
    hidden = keras.layers.Dense(32, activation="relu")(hidden)
    hidden = keras.layers.Dense(16, activation="relu")(hidden)
    outputs = {
        label.name: keras.layers.Dense(
            1, activation="sigmoid" if label.task == "binary" else None
        )(hidden)
        for label in schema.labels
    }
    return keras.Model(inputs, outputs, name="deep")


class Watcher:
    """Polls a base folder as a server does; keeps what was incomplete when seen."""

    def __init__(self, base, required):
        self.base, self.required = Path(base), required
        self.seen, self.incomplete = set(), []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def _poll(self):
        while not self._stop.is_set():
            self.look()

    def look(self):
        versions = [p for p in self.base.glob("*") if p.name.isdigit()]
        for version in versions:
            self.seen.add(version.name)
            missing = [n for n in self.required if not (version / n).exists()]
            if missing:
                self.incomplete.append((version.name, missing))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._stop.set()
        self._thread.join(timeout=10)
        self.look()
