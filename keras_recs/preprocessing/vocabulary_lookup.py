"""Strings to rows of a table by a vocabulary file."""

import os

import keras
import tensorflow as tf

from keras_recs.register import register


@register
class VocabularyLookup(keras.layers.Layer):
    """Rows of a table for strings of a vocabulary file.

    The empty string (missing, padding) gives row 0, a value outside the vocabulary one
    of rows 1 … `num_oov` by its hash, the vocabulary's first value row 1 + `num_oov`.
    The file becomes an asset of an exported SavedModel; a `.keras` file only names its
    path, so Keras loads that with `safe_mode=False` alone.

    Args:
        vocabulary: string. Path of a text file, one value a line.
        num_oov: int. Number of out-of-vocabulary rows. Defaults to `1`.

    Input shape: any, string.
    Output shape: as the input, int32.

    Raises:
        ValueError: if the file is not there, or holds a value twice.
    """

    def __init__(self, vocabulary, num_oov=1, **kwargs):
        super().__init__(**{"trainable": False, **kwargs})
        self.vocabulary = vocabulary
        self.num_oov = num_oov
        if not os.path.isfile(vocabulary):
            raise ValueError(
                f"Layer '{self.name}': `vocabulary` must be an existing text file. "
                f"Received: vocabulary={vocabulary!r}. Was the prepared folder moved "
                "without its vocabularies?"
            )
        # Keras refuses an empty file, which a high minimum count can leave.
        self.lookup = None
        if os.path.getsize(vocabulary):
            try:
                self.lookup = keras.layers.StringLookup(
                    vocabulary=vocabulary, num_oov_indices=num_oov, mask_token=""
                )
            except tf.errors.FailedPreconditionError as error:
                raise ValueError(
                    f"Layer '{self.name}': every line of `vocabulary` must differ. "
                    f"Received: vocabulary={vocabulary!r}, where TensorFlow found: "
                    f"{error.message}"
                ) from error

    def build(self, input_shape):
        """Builds the lookup."""
        if self.lookup is not None:
            self.lookup.build(input_shape)
        self.built = True

    def call(self, inputs):
        """Returns the rows of `inputs`."""
        if self.lookup is not None:
            return tf.cast(self.lookup(inputs), tf.int32)
        rows = 1 + tf.strings.to_hash_bucket_fast(inputs, self.num_oov)
        return tf.cast(tf.where(inputs == "", tf.zeros_like(rows), rows), tf.int32)

    def compute_output_spec(self, inputs):
        """Int32 of the input's shape."""
        return keras.KerasTensor(inputs.shape, "int32")

    def get_config(self):
        """Constructor arguments."""
        config = {"vocabulary": self.vocabulary, "num_oov": self.num_oov}
        return {**super().get_config(), **config}
