"""Rows of what is there alone, without padding; TensorFlow."""


class Places:
    """Which places `(B, T)` hold something: takes their rows out and puts them back.

    Layers that work on each place by itself then do nothing for padding. XLA, which
    wants shapes that it knows, has no use for it.

    Args:
        mask: bool tensor `(B, T)`.
    """

    def __init__(self, mask):
        import tensorflow as tf

        self._mask = mask
        self._numbers = tf.where(tf.reshape(mask, (-1,)))  # (N, 1)

    def rows(self, array):
        """`(B, T, …)` to `(N, …)`."""
        import tensorflow as tf

        flat = tf.reshape(array, (-1, *array.shape[2:]))
        size = tf.shape(flat, tf.int64)

        @tf.custom_gradient
        def take(flat):
            def gradient(upstream):
                # All rows differ; TensorFlow's own gradient sums over them.
                return tf.scatter_nd(self._numbers, upstream, size)

            return tf.gather(flat, self._numbers[:, 0]), gradient

        return take(flat)

    def whole(self, rows):
        """`(N, D)` to `(B, T, D)`, zeros elsewhere."""
        import tensorflow as tf

        shape = tf.shape(self._mask, tf.int64)
        flat = (tf.reduce_prod(shape), rows.shape[-1])
        array = tf.reshape(
            tf.scatter_nd(self._numbers, rows, flat), (*tf.unstack(shape), flat[1])
        )
        return tf.ensure_shape(array, (*self._mask.shape, flat[1]))
