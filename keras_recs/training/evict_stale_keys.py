"""Frees the rows of keys that have not been seen lately."""

import logging

import keras
import numpy as np
from keras import ops

from keras_recs.layers.embedding.dynamic_vocabulary import DynamicVocabulary
from keras_recs.layers.embedding.shard_initializer import without_fans
from keras_recs.layers.embedding.variable_rows import update_rows

_logger = logging.getLogger(__name__)
_COUNTS = ("steps", "last_batch", "evicted")


class EvictStaleKeys(keras.callbacks.Callback):
    """Evicts stale keys from a `DynamicVocabulary` and resets their rows.

    The freed rows of the tables get fresh initial values, and their rows in the
    optimizer's slots the slot's initial value, so that the next key to get such a row
    starts as every new key does. Adds `evicted_keys` to the logs of each epoch, the sum
    of all such callbacks.

    Args:
        vocabulary: `DynamicVocabulary` of the model, or its name.
        embedding: list of the tables that the vocabulary's rows index: a
            `keras.layers.Embedding`, or a pair of a `FeatureEmbedding` and the name of
            its table. For a layer its name will do. That of a `LinearTerm` is its
            `weight_of_value`.
        expire_after: int. Steps without a sighting after which a key is stale. `None`
            takes that of the vocabulary. Defaults to `None`.
        every: `"epoch"`, or a number of steps between evictions. Defaults to `"epoch"`.

    Raises:
        TypeError: at the start of training for layers of other types.
        ValueError: for a wrong `every`; at the start of training for an unknown name,
            no `expire_after`, a compressed table and one with fewer rows than the
            vocabulary; after the first step for an optimizer that keeps slots but
            cannot reset rows.

    Example: `EvictStaleKeys("vocabulary", [("embedding", "item")], expire_after=9_000)`
    """

    def __init__(self, vocabulary, embedding, expire_after=None, every="epoch"):
        super().__init__()
        is_count = isinstance(every, int) and not isinstance(every, bool) and every > 0
        if every != "epoch" and not is_count:
            raise ValueError(
                '`every` must be "epoch" or a positive number of steps. Received: '
                f"every={every!r}"
            )
        self.vocabulary = vocabulary
        self.embedding = list(embedding)
        self.expire_after = expire_after
        self.every = every

    def on_train_begin(self, logs=None):
        """Finds the layers."""
        self._vocabulary = self._find(self.vocabulary)
        if not isinstance(self._vocabulary, DynamicVocabulary):
            raise TypeError(
                "`vocabulary` must be a DynamicVocabulary. Received: "
                f"{type(self._vocabulary).__name__}"
            )
        if self.expire_after is None and self._vocabulary.expire_after is None:
            raise ValueError(
                "Give `expire_after` to EvictStaleKeys or to its DynamicVocabulary. "
                "Received: expire_after=None"
            )
        self._tables = [self._find_table(entry) for entry in self.embedding]
        optimizer = self.model.optimizer
        self._optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        self._steps = self._evicted = 0
        self._last_batch = -1
        self._is_first_step = True

    def on_epoch_begin(self, epoch, logs=None):
        """Starts to count."""
        self._last_batch, self._evicted = -1, 0

    def on_train_batch_end(self, batch, logs=None):
        """Evicts after each `every` steps."""
        if self._is_first_step:
            self._is_first_step = False
            self._check_optimizer()  # which may have no slots before
        # With `steps_per_execution` one call stands for several steps.
        self._steps += batch - self._last_batch
        self._last_batch = batch
        if self.every != "epoch" and self._steps >= self.every:
            self._steps = 0
            self._evict()

    def on_epoch_end(self, epoch, logs=None):
        """Evicts if that is asked for; adds to the logs."""
        if self.every == "epoch":
            self._evict()
        if logs is not None:
            logs["evicted_keys"] = logs.get("evicted_keys", 0) + self._evicted

    def get_state(self):
        """What it counts, for a checkpoint."""
        return {name: getattr(self, f"_{name}") for name in _COUNTS}

    def set_state(self, state):
        """Goes on from a checkpoint."""
        for name in _COUNTS:
            setattr(self, f"_{name}", state[name])

    def _evict(self):
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()  # steps on JAX leave the variables behind
        rows = self._vocabulary.evict(self.expire_after)
        self._evicted += len(rows)
        _logger.info(
            "%s: %d keys evicted, %d of %d rows in use",
            self._vocabulary.name,
            len(rows),
            self._vocabulary.num_keys,
            self._vocabulary.max_keys,
        )
        if not len(rows):
            return
        for layer, table in self._tables:
            if table is None:
                pairs = [_reset_embedding(layer, rows)]
            else:
                layer.reset_rows(table, rows)
                pairs = layer.variable_rows(table, rows)
            for variable, rows_of_variable in pairs:
                optimizer = self._optimizer_of(variable)
                if hasattr(optimizer, "reset_rows"):
                    optimizer.reset_rows(variable, rows_of_variable)

    def _check_optimizer(self):
        for layer, _ in self._tables:
            for variable in layer.trainable_variables:
                optimizer = self._optimizer_of(variable)
                if not hasattr(optimizer, "reset_rows") and _keeps_slots(optimizer):
                    raise ValueError(
                        f"The optimizer of '{variable.path}' cannot reset the slots of "
                        f"rows. Received: {type(optimizer).__name__}; use one of "
                        "keras_recs.optimizers"
                    )

    def _optimizer_of(self, variable):
        """The part of a `CompositeOptimizer` that trains a variable, or the whole."""
        part_of = getattr(self._optimizer, "part_of", None)
        return self._optimizer if part_of is None else part_of(variable)

    def _find(self, layer):
        return self.model.get_layer(layer) if isinstance(layer, str) else layer

    def _find_table(self, entry):
        layer, table = entry if isinstance(entry, (tuple, list)) else (entry, None)
        layer = self._find(layer)
        if table is not None and hasattr(layer, "reset_rows"):
            for config in getattr(layer, "tables", ()):
                if config.name == table and config.compression is not None:
                    raise ValueError(
                        f"Table '{table}' of '{layer.name}' is compressed: its rows "
                        "share memory and cannot be reset one by one. Leave out its "
                        "`compression`, or `expire_after`. Received: compression="
                        f"{type(config.compression).__name__}"
                    )
            if layer.built:
                last = np.array([self._vocabulary.num_rows - 1])
                layer.variable_rows(table, last)  # raises where there is no such row
            return layer, table
        if table is not None or not isinstance(layer, keras.layers.Embedding):
            raise TypeError(
                "Each `embedding` must be a keras.layers.Embedding, or a pair of a "
                "layer with `reset_rows` and the name of its table. Received: "
                f"{type(layer).__name__}, table={table!r}"
            )
        if layer.input_dim < self._vocabulary.num_rows:
            raise ValueError(
                f"The table of '{layer.name}' must have the vocabulary's "
                f"{self._vocabulary.num_rows} rows (`num_rows`). Received: "
                f"input_dim={layer.input_dim}"
            )
        return layer, None


def _reset_embedding(layer, rows):
    """Writes fresh rows to a Keras embedding; its variable and the rows."""
    variable = layer.embeddings
    initializer = without_fans(
        layer.embeddings_initializer, layer.input_dim, layer.output_dim
    )
    shape = (len(rows), *variable.shape[1:])
    values = initializer(shape, dtype=variable.dtype)
    if hasattr(variable.value, "values"):  # one copy a replica
        table = np.array(ops.convert_to_numpy(variable))
        table[rows] = ops.convert_to_numpy(values)
        variable.assign(table)
    else:
        update_rows(variable, ops.convert_to_tensor(rows), values)
    return variable, rows


def _keeps_slots(optimizer):
    """Whether a Keras optimizer has more variables than its steps and its rate."""
    return any(tuple(variable.shape) for variable in optimizer.variables)
