"""Initial values of tables that lie below each other."""

import dataclasses

import keras
import numpy as np
from keras import ops

from keras_recs.copies_of import copies_of
from keras_recs.layers.embedding.initial_terms import initial_terms
from keras_recs.layers.embedding.renewed_initializer import renewed_initializer

CHUNK_BYTES = 2**24


class ShardInitializer:
    """Draws the rows of a shard, each table's by its own initializer.

    On TensorFlow the rows of a large shard are drawn and written a chunk at a time: at
    once they would take the memory of the table two or three times. Keras then gets
    zeros, and `finish` fills them.

    Args:
        initializers: Keras initializers, one a table.
        num_rows: ints. Rows of each table in all shards.
        number: int. This shard's.
        num_shards: int. Row r of all tables lies in shard r mod N.
        chunk_bytes: int. Defaults to 16 MB.
    """

    def __init__(
        self, initializers, num_rows, number=0, num_shards=1, chunk_bytes=CHUNK_BYTES
    ):
        self.initializers = initializers
        self.num_rows = num_rows
        self.number = number
        self.num_shards = num_shards
        self.chunk_bytes = chunk_bytes
        self._state = "before"

    def __call__(self, shape, dtype=None):
        """The values, or zeros of their shape."""
        if self._state == "before" and self._is_large(shape):
            self._state = "zeros"
            return ops.zeros(shape, dtype)
        parts = [
            initializer((count, shape[1]), dtype=dtype)
            for initializer, _, count in self._blocks(shape[1])
        ]
        return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=0)

    def finish(self, variable):
        """Fills the variable that was created with this initializer.

        Args:
            variable: Keras variable.
        """
        if self._state == "zeros":
            self._fill(variable)
        # One that Keras creates later, of a model without weights, is drawn at once.
        self._state = "finished"

    def _is_large(self, shape):
        if keras.backend.backend() != "tensorflow":
            return False
        import tensorflow as tf

        # Workers of one training must start equal: Keras sends them what it is given.
        strategy = tf.distribute.get_strategy()
        is_alone = not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        is_large = 4 * np.prod(shape) > self.chunk_bytes
        return is_large and is_alone and tf.executing_eagerly()

    def _blocks(self, dim, chunk_rows=None):
        """Initializer, first row and number of rows of what is drawn at once."""
        starts = np.cumsum([0, *self.num_rows])
        # Rows of this shard below each start.
        below = [len(range(self.number, int(s), self.num_shards)) for s in starts]
        blocks = []
        for given, rows, first, end in zip(
            self.initializers, self.num_rows, below, below[1:]
        ):
            initializer = without_fans(given, rows, dim)
            if blocks and blocks[-1].continues(given, initializer):
                blocks[-1].count += end - first
            else:
                blocks.append(_Block(given, initializer, first, end - first))
        drawn = []
        for block in blocks:
            step = max(block.count, 1)
            if chunk_rows and _is_by_element(block.initializer):
                step = chunk_rows
            for start in range(0, max(block.count, 1), step):
                # Another seed each time: one seed draws the same numbers again.
                seed = len(drawn) * self.num_shards + self.number
                count = min(step, block.count - start)
                initializer = renewed_initializer(block.initializer, seed)
                drawn.append((initializer, block.first + start, count))
        return drawn

    def _fill(self, variable):
        import tensorflow as tf

        dim = variable.shape[1]
        chunk_rows = max(1, self.chunk_bytes // (4 * dim))
        copies = copies_of(variable)
        for initializer, start, count in self._blocks(dim, chunk_rows):
            with tf.device(copies[0].device):
                values = tf.cast(initializer((count, dim)), copies[0].dtype)
                rows = tf.range(start, start + count, dtype=tf.int64)
            for copy in copies:  # the same values on each replica
                with tf.device(copy.device):
                    tf.raw_ops.ResourceScatterUpdate(
                        resource=copy.handle, indices=rows, updates=values
                    )


@dataclasses.dataclass
class _Block:
    """Neighbouring tables that one initializer draws in one go."""

    given: keras.initializers.Initializer
    initializer: keras.initializers.Initializer
    first: int
    count: int

    def continues(self, given, initializer):
        """Whether the next table is drawn in the same go."""
        same = initializer.get_config() == self.initializer.get_config()
        return given is self.given and same and _is_by_element(initializer)


def without_fans(initializer, num_rows, dim):
    """An initializer that draws some rows of a table as it would draw all.

    Args:
        initializer: Keras initializer.
        num_rows: int. Rows of the table.
        dim: int. Length of a row.

    Returns:
        Keras initializer. Variance scaling becomes the uniform or normal distribution
        that it means for the table.
    """
    kinds = keras.initializers
    if not isinstance(initializer, kinds.VarianceScaling):
        return initializer
    terms = initial_terms(initializer, num_rows, dim)
    scale, seed = terms["scale"], terms["seed"]
    if terms["distribution"] == "uniform":
        return kinds.RandomUniform(-scale, scale, seed)
    if terms["distribution"] == "normal":
        return kinds.RandomNormal(0.0, scale, seed)
    return kinds.TruncatedNormal(0.0, scale, seed)


def _is_by_element(initializer):
    """Whether each value is drawn alone, so that parts can be."""
    kinds = keras.initializers
    if isinstance(initializer, kinds.Constant):
        return np.ndim(initializer.value) == 0
    return type(initializer) in (
        kinds.RandomUniform,
        kinds.RandomNormal,
        kinds.TruncatedNormal,
        kinds.Zeros,
        kinds.Ones,
    )
