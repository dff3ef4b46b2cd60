"""Which examples of a batch down-sampling keeps."""

from __future__ import annotations

_BINS = 2**53  # as many as a float64 tells apart


def kept_examples(place, numbers, probabilities, seed: int):
    """Draws for each example, from its place and the seed alone.

    Args:
        place: string tensor. What the examples come from, such as a file's name.
        numbers: int64 tensor `(B,)`. Where in it each one stands.
        probabilities: float tensor `(B,)`.
        seed: int, not negative.

    Returns:
        bool tensor `(B,)`.
    """
    import tensorflow as tf

    text = tf.strings.join([place, tf.strings.as_string(numbers)], "/")  # (B,)
    hashes = tf.strings.to_hash_bucket_strong(text, _BINS, key=[seed, _BINS])
    uniform = tf.cast(hashes, tf.float64) / _BINS
    return uniform < tf.cast(probabilities, tf.float64)
