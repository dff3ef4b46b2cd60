"""An embedding table that is larger than memory."""

import contextlib
import functools
import json
import os
import weakref

import keras
import numpy as np

from keras_recs.layers.embedding.initial_terms import initial_terms, with_seed
from keras_recs.layers.embedding.row_pager import RowPager
from keras_recs.layers.embedding.state_left_behind import state_left_behind
from keras_recs.register import register

_CHUNK = 65_536  # rows that are read at once


@register
class TwoLevelTable(keras.layers.Layer):
    """Looks rows up in a table of which only the rows in use are in memory.

    All rows lie in files, those that training needs often also in one variable of
    `hot_rows` rows. A training step brings the rows of its batch into the variable, and
    those that make room for them go back to the files with what the optimizer keeps for
    them. The result is that of training the whole table in memory. Inference reads the
    rows where they are and moves none. Use an optimizer of `keras_recs.optimizers`, or
    SGD without momentum: what others keep would stay behind when a row leaves, so
    that training by the optimizer that a model was compiled with is refused then.

    Rows start with values that follow from their number and the initializer's seed, and
    take disk space only when they were trained. One process trains a table, on one
    replica; the layer is called once in a training step (concatenate the rows of
    several features). Call `flush()` at the end of training: without it, or
    `model.save`, the files of a process that ended are refused.

    `model.save` and `save_weights` store the trained rows, and loading puts them in the
    place of what is in `folder`. `get_weights` holds only the rows in memory. A table
    goes on from what is in `folder`: remove it to begin anew. Export a model by
    `keras_recs.export.saved_model`: Keras's own export would refer to this process.

    Args:
        num_rows: int.
        embedding_dim: int. Length of a row.
        hot_rows: int. Rows in memory; at least the different rows of a batch.
        folder: string. Path of the files, made at the first training step.
        embeddings_initializer: Keras initializer: constant, uniform, normal, truncated
            normal or variance scaling. Defaults to `"uniform"`.
        max_saved_bytes: int. A larger table is neither stored in a `.keras` file nor
            exported: both need it in memory. Defaults to `4294967296`.

    Attributes:
        pager: `RowPager`, once built; `pager.hit_rate` and other figures of training.

    Call arguments:
        rows: int rows of any shape, from 0 to `num_rows - 1`.
        training: bool. Whether the rows are about to be trained.

    Output shape: the shape of `rows` plus `(D,)`, float32 under every dtype policy.

    Raises:
        ValueError: for sizes that are not positive, more hot rows than rows, another
            initializer, another backend than TensorFlow and more than one replica; in
            a step as `RowPager` (`tf.errors.InvalidArgumentError` in a graph).

    Example:
    >>> import os, tempfile
    >>> layer = keras_recs.layers.TwoLevelTable(
    ...     num_rows=1000,
    ...     embedding_dim=4,
    ...     hot_rows=10,
    ...     folder=os.path.join(tempfile.mkdtemp(), "items"),
    ... )
    >>> tuple(layer(np.array([[1, 999], [7, 1]]), training=True).shape)
    (2, 2, 4)
    >>> layer.pager.num_hot
    3
    """

    def __init__(
        self,
        num_rows,
        embedding_dim,
        hot_rows,
        folder,
        embeddings_initializer="uniform",
        max_saved_bytes=2**32,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_rows = num_rows
        self.embedding_dim = embedding_dim
        self.hot_rows = hot_rows
        self.folder = os.fspath(folder)
        self.embeddings_initializer = _seeded(
            keras.initializers.get(embeddings_initializer), self.folder
        )
        self.max_saved_bytes = max_saved_bytes
        self.supports_jit = False  # the host takes part in a step
        self.pager = None
        self._check_arguments()
        self._traced = weakref.WeakSet()
        self._read_whole = None

    def build(self, input_shape):
        """Creates the rows in memory; no file is made."""
        self._check_replicas()
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.hot_rows, self.embedding_dim),
            initializer="zeros",  # a row gets its values when it comes
            autocast=False,
        )
        pager = RowPager(
            self.folder,
            self.num_rows,
            self.embedding_dim,
            self.hot_rows,
            self._initial_terms(),
            prefix=self.embeddings.path.replace("/", "_"),
        )
        self.pager = pager
        self.embeddings.pager = pager
        self.embeddings.is_table = True
        assign = self.embeddings.assign

        def assign_if_empty(value):
            if pager.num_hot:
                raise ValueError(
                    "The variable of a TwoLevelTable holds other rows at other times: "
                    "use `save_weights` and `load_weights` instead of `get_weights` "
                    "and `set_weights` (or EarlyStopping's `restore_best_weights`). "
                    f"Received: values for {pager.num_hot} rows of '{pager.folder}'"
                )
            return assign(value)

        self.embeddings.assign = assign_if_empty
        self.built = True

    def call(self, rows, training=None):
        """Returns the rows."""
        import tensorflow as tf

        self._check_replicas()
        rows = tf.convert_to_tensor(rows)
        if not rows.dtype.is_integer:
            raise ValueError(
                f"Layer '{self.name}' needs integer rows. Received: "
                f"dtype={rows.dtype.name}"
            )
        flat = tf.reshape(rows, [-1])  # (n,)
        if self._read_whole is not None and not training:
            values = self._read_whole(flat)  # (n, D)
        elif training and self.trainable:
            values = self._bring(flat)  # (n, D)
        else:
            values = self._peek(flat)  # (n, D)
        shape = tf.concat([tf.shape(rows), [self.embedding_dim]], axis=0)
        values = tf.reshape(values, shape)  # (…, D)
        return tf.ensure_shape(values, [*rows.shape, self.embedding_dim])

    def compute_output_shape(self, input_shape):
        """Shape of the rows plus `(D,)`."""
        return (*input_shape, self.embedding_dim)

    def compute_output_spec(self, rows, training=None):
        """As `compute_output_shape`, float32."""
        return keras.KerasTensor(self.compute_output_shape(rows.shape), "float32")

    def get_config(self):
        """Constructor arguments; the initializer with the seed that it drew."""
        config = {
            "num_rows": self.num_rows,
            "embedding_dim": self.embedding_dim,
            "hot_rows": self.hot_rows,
            "folder": self.folder,
            "embeddings_initializer": keras.initializers.serialize(
                self.embeddings_initializer
            ),
            "max_saved_bytes": self.max_saved_bytes,
        }
        return {**super().get_config(), **config}

    # === Files ===

    @property
    def shards(self):
        """The variable of the rows in memory, in a list."""
        return [self.embeddings]

    @property
    def export_size_bytes(self):
        """Bytes of the whole table."""
        return 4 * self.num_rows * self.embedding_dim

    def flush(self):
        """Writes the rows in memory, and what the optimizer keeps for them."""
        if self.pager is not None:
            self.pager.flush(self._values_of_slots)

    def snapshot(self, folder):
        """Flushes, and copies the files to a new folder, whole or not at all.

        Args:
            folder: path that does not exist.
        """
        self._built_pager().flush(self._values_of_slots)
        self.pager.snapshot(folder)

    def restore(self, folder):
        """Puts a snapshot in the place of the table.

        Args:
            folder: path that was given to `snapshot`.
        """
        self._built_pager().restore(folder)

    def read_rows(self, rows, slot=None):
        """Rows as they are now.

        Args:
            rows: ints `(n,)`.
            slot: as for `row_chunks`. Defaults to `None`.

        Returns:
            Float32 array `(n, D)`, or `(n,)` for one number a row.
        """
        pager = self._built_pager()
        rows = pager.checked(rows)
        in_order = len(rows) > 1 and (np.diff(rows) == 1).all()
        values = (pager.scan if in_order else pager.read)(rows, slot)
        slots = pager.slots_of(rows)
        hot = np.flatnonzero(slots >= 0)
        variable = self.embeddings if slot is None else pager.attached.get(slot)
        if len(hot) and variable is not None:
            values[hot] = _gather(variable, slots[hot]).numpy()
        return values

    def write_rows(self, rows, values):
        """Overwrites rows, in memory and in the files; what is kept beside them stays.

        Args:
            rows: ints `(n,)`, each once.
            values: floats `(n, D)`.
        """
        pager = self._built_pager()
        rows, values = pager.checked(rows), np.asarray(values, "float32")
        if values.shape != (len(rows), self.embedding_dim):
            raise ValueError(
                f"Layer '{self.name}': `values` must have the shape "
                f"{(len(rows), self.embedding_dim)}. Received: {values.shape}"
            )
        with pager.changing(self._values_of_slots):
            self._overwrite(rows, values)

    def reset_rows(self, rows, table=0):
        """Gives rows the values that they started with, as if never trained.

        What the optimizer keeps for them starts anew too.

        Args:
            rows: ints `(n,)`, each once.
            table: as in `StackedTables`; there is one. Defaults to `0`.
        """
        pager = self._built_pager()
        rows = pager.checked(rows)
        with pager.changing(self._values_of_slots):
            self._overwrite(rows, pager.initial_rows(rows))
            for name in pager.slot_names:
                slot = pager.stored_slot(name)
                shape = (len(rows), *slot["width"])
                self._overwrite(rows, np.full(shape, slot["initial"], "float32"), name)

    def variable_rows(self, rows):
        """A pair of the variable and the places of those rows that are in memory now.

        The others are in no variable and left out.

        Args:
            rows: ints `(n,)`.
        """
        slots = self._built_pager().slots_of(np.asarray(rows, "int64"))
        slots = slots[slots >= 0]
        return [(self.embeddings, slots)] if len(slots) else []

    def row_chunks(self, start=0, stop=None, slot=None):
        """Reads rows as they are now, in order.

        Args:
            start: int. First row. Defaults to `0`.
            stop: int. Row before which to end; the end of the table if not given.
                Defaults to `None`.
            slot: string. Read what the optimizer keeps under this name, one of
                `pager.slot_names`, instead of the rows. Defaults to `None`.

        Yields:
            Float32 arrays `(n, D)`, or `(n,)` for one number a row.
        """
        stop = self.num_rows if stop is None else min(stop, self.num_rows)
        for first in range(start, stop, _CHUNK):
            yield self.read_rows(np.arange(first, min(first + _CHUNK, stop)), slot)

    def materialize(self, slot=None):
        """The whole table as one array.

        Args:
            slot: as for `row_chunks`. Defaults to `None`.

        Returns:
            Float32 array `(num_rows, D)`, or `(num_rows,)`.
        """
        return np.concatenate(list(self.row_chunks(slot=slot)))

    def save_own_variables(self, store):
        """Flushes, and stores the rows that were trained."""
        self.check_size()
        pager = self._built_pager()
        self.flush()
        rows = pager.stored_rows()
        header = {
            "num_rows": self.num_rows,
            "embedding_dim": self.embedding_dim,
            "initial": pager.initial,
            "state": pager.state,
            "slots": {name: pager.stored_slot(name) for name in pager.slot_names},
        }
        store["header"] = np.frombuffer(json.dumps(header).encode(), "uint8")
        store["rows"] = rows
        store["values"] = pager.scan(rows)
        for name in header["slots"]:
            store[f"slot_{name}"] = pager.scan(rows, name)

    def load_own_variables(self, store):
        """Puts the stored rows in the place of the files in `folder`."""
        pager = self._built_pager()
        header = json.loads(np.asarray(store["header"]).tobytes())
        here = {
            "num_rows": self.num_rows,
            "embedding_dim": self.embedding_dim,
            "initial": {**pager.initial, "seed": header["initial"]["seed"]},
        }
        there = {key: header[key] for key in here}
        if there != here:
            raise ValueError(
                f"Layer '{self.name}' cannot load another table. Received: {there}; "
                f"the layer has {here}"
            )
        # Rows that were never trained follow from the seed.
        pager.initial = here["initial"]
        self.embeddings_initializer = with_seed(
            self.embeddings_initializer, here["initial"]["seed"]
        )
        slots = {
            name: (slot, store[f"slot_{name}"])
            for name, slot in header["slots"].items()
        }
        rows = np.asarray(store["rows"])
        pager.replace(rows, store["values"], slots, header["state"])

    # === What a table cannot do ===

    def check_size(self):
        """Raises a `ValueError` for a table that is larger than `max_saved_bytes`."""
        if self.export_size_bytes > self.max_saved_bytes:
            raise ValueError(
                f"The table of layer '{self.name}' in '{self.folder}' has "
                f"{self.export_size_bytes} bytes, more than `max_saved_bytes`, and is "
                "neither saved with a model nor exported, which would need it in "
                "memory. Allow more (in a model of keras_recs.models by "
                "`EmbeddingOptions(max_saved_bytes=…)`), or use `snapshot(folder)`, "
                "and `restore(folder)` in a layer that was made anew. Received: "
                f"max_saved_bytes={self.max_saved_bytes}"
            )

    def check_optimizer(self, optimizer):
        """Raises a `ValueError` for an optimizer that trains the table wrong.

        Args:
            optimizer: Keras optimizer that was built with the rows in memory.
        """
        kept = state_left_behind(optimizer, self.embeddings)
        if kept:
            raise ValueError(
                f"Layer '{self.name}' has only some rows in memory, and the optimizer "
                "would change or keep something for these alone, which stays behind "
                "when a row leaves. Use an optimizer of keras_recs.optimizers, such as "
                "LazyAdam, or SGD without momentum and weight decay. Received: "
                f"{type(optimizer).__name__} with {kept}"
            )

    # === Exports ===

    @contextlib.contextmanager
    def in_memory(self):
        """While it lasts, inference reads a copy of the whole table from memory.

        What is traced then holds no function of this process, so it can be exported.

        Yields:
            `tf.Variable` `(num_rows, D)`.
        """
        import tensorflow as tf

        self.check_size()
        shape = (self.num_rows, self.embedding_dim)
        whole = tf.Variable(lambda: tf.zeros(shape), trainable=False)
        for number, values in enumerate(self.row_chunks()):
            rows = tf.range(number * _CHUNK, number * _CHUNK + len(values))
            tf.raw_ops.ResourceScatterUpdate(
                resource=whole.handle, indices=rows, updates=values
            )
        # A function: a variable would become one of the layer's.
        self._read_whole = functools.partial(tf.nn.embedding_lookup, whole)
        try:
            yield whole
        finally:
            self._read_whole = None

    # === A step ===

    def _bring(self, rows):
        """Brings rows into memory and gathers them."""
        import tensorflow as tf

        self._check_once()
        model = self._get_call_context().entry_layer
        optimizer = getattr(model, "optimizer", None)
        if optimizer is not None:
            self.check_optimizer(optimizer)
        # Graphs keep such functions for ever, which must not keep the files open.
        pager = weakref.ref(self.pager)
        variables = self.pager.attached
        names = tuple(variables)
        moved = [self.embeddings, *variables.values()]

        def plan(rows):
            return pager().plan(rows, names)

        def store(rows, values, *slots):
            pager().store(rows, values, slots, names)
            return np.int32(0)

        types = [tf.int32, tf.int32, tf.int64, tf.int32] + [tf.float32] * len(moved)
        planned = tf.numpy_function(plan, [rows], types)
        slots, leaving, leaving_rows, filled, *values = planned
        for tensor in (slots, leaving, leaving_rows, filled):
            tensor.set_shape([None])
        for tensor, variable in zip(values, moved):
            tensor.set_shape([None, *variable.shape[1:]])
        old = [_gather(variable, leaving) for variable in moved]  # (e, …)
        stored = tf.numpy_function(store, [leaving_rows, *old], tf.int32)
        with tf.control_dependencies([stored]):
            updates = [
                _scatter(variable, filled, new) for variable, new in zip(moved, values)
            ]
        with tf.control_dependencies([u for u in updates if u is not None]):
            slots = tf.identity(slots)
        return tf.nn.embedding_lookup(self.embeddings.value, slots)  # (n, D)

    def _peek(self, rows):
        """Gathers rows from memory and from the files."""
        import tensorflow as tf

        pager = weakref.ref(self.pager)

        def lookup(rows):
            return pager().lookup(rows)

        types = [tf.int32, tf.int32, tf.float32]
        slots, positions, cold = tf.numpy_function(lookup, [rows], types)
        slots.set_shape([None])
        positions.set_shape([None])
        cold.set_shape([None, self.embedding_dim])
        hot = tf.nn.embedding_lookup(self.embeddings.value, slots)  # (n, D)
        return tf.tensor_scatter_nd_update(hot, positions[:, None], cold)

    def _overwrite(self, rows, values, name=None):
        """Sets rows, or a slot of the optimizer, in the files and in memory."""
        self.pager.overwrite(rows, values, name)
        slots = self.pager.slots_of(rows)
        hot = np.flatnonzero(slots >= 0)
        variable = self.embeddings if name is None else self.pager.attached.get(name)
        if len(hot) and variable is not None:
            _scatter(variable, slots[hot], values[hot])

    def _values_of_slots(self, slots):
        variables = [self.embeddings, *self.pager.attached.values()]
        values, *others = [_gather(v, slots).numpy() for v in variables]
        return values, others

    def _built_pager(self):
        if self.pager is None:
            raise ValueError(
                f"Layer '{self.name}' must be built before its rows are read or stored."
            )
        return self.pager

    def _check_once(self):
        import tensorflow as tf

        if tf.executing_eagerly():
            return
        graph = tf.compat.v1.get_default_graph()
        if graph in self._traced:
            raise ValueError(
                f"Layer '{self.name}' was called twice in a training step: the second "
                "call could move rows that the first one trains. Concatenate the rows."
            )
        self._traced.add(graph)

    def _check_replicas(self):
        import tensorflow as tf

        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if replicas > 1:
            raise ValueError(
                f"Layer '{self.name}': a TwoLevelTable is trained by one replica; use "
                "FeatureEmbedding with `num_shards` under a strategy. Received: "
                f"{replicas} replicas"
            )

    def _check_arguments(self):
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                "TwoLevelTable needs Keras's TensorFlow backend. Received: "
                f"{keras.backend.backend()}; use FeatureEmbedding there"
            )
        for argument in ("num_rows", "embedding_dim", "hot_rows", "max_saved_bytes"):
            value = getattr(self, argument)
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"`{argument}` must be a positive integer. Received: "
                    f"{argument}={value!r}"
                )
        if self.hot_rows > self.num_rows:
            raise ValueError(
                "`hot_rows` must not be more than `num_rows`. Received: "
                f"hot_rows={self.hot_rows}, num_rows={self.num_rows}"
            )
        self._initial_terms()

    def _initial_terms(self):
        return initial_terms(
            self.embeddings_initializer, self.num_rows, self.embedding_dim
        )


def _seeded(initializer, folder):
    """An initializer whose configuration holds its seed, that of the files if any."""
    config = initializer.get_config() if hasattr(initializer, "get_config") else {}
    if config.get("seed", 0) is not None:
        return initializer
    seed = RowPager.seed_of(folder)
    return with_seed(initializer, initializer.seed if seed is None else seed)


def _gather(variable, rows):
    """Rows of a variable, without reading the whole of it."""
    import tensorflow as tf

    return tf.raw_ops.ResourceGather(
        resource=_handle(variable), indices=rows, dtype=tf.float32
    )


def _scatter(variable, rows, values):
    """Overwrites rows of a variable."""
    import tensorflow as tf

    return tf.raw_ops.ResourceScatterUpdate(
        resource=_handle(variable), indices=rows, updates=values
    )


def _handle(variable):
    # Under mixed precision `value` would be a copy of the whole in half precision.
    return variable._value.handle
