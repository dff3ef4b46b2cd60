"""Batches of arrays as a data set of TensorFlow."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keras_recs.data.sequence_batches import SequenceBatches


def batch_dataset(batches: SequenceBatches):
    """What `session_batches`, `s3rec_batches` and their like make, for `training.fit`.

    Each epoch has an order and draws of its own, which its number and the seed say: the
    same in each process, so that an interrupted run goes on at the very batch. Batches
    are made while the model trains, one at a time.

    Args:
        batches: what `session_batches`, `s3rec_batches`, `next_item_batches`,
            `masked_item_batches` or `contrastive_batches` of this package gave. It is
            used by this data set alone from then on.

    Returns:
        `tf.data.Dataset` of known cardinality of the same inputs and targets.

    Raises:
        TypeError: for other data.
        ValueError: for data without a batch.

    Example:
    >>> batches = keras_recs.data.session_batches([[2, 3, 4], [5, 6]], 1, num_steps=3)
    >>> dataset = keras_recs.data.batch_dataset(batches)
    >>> int(dataset.cardinality()), sorted(dataset.element_spec[0])
    (1, ['items', 'starts'])
    """
    import tensorflow as tf

    from keras_recs.data.sequence_batches import SequenceBatches

    if not isinstance(batches, SequenceBatches):
        raise TypeError(
            "`batches` must be batches of sequences, such as `session_batches` makes. "
            f"Received: {type(batches).__name__}"
        )
    num_batches = batches.num_batches
    if not num_batches:
        raise ValueError(
            "`batches` must have a batch. With `drop_remainder=True` there must be at "
            f"least `batch_size` examples. Received: {batches.num_examples} examples, "
            f"batch_size={batches.batch_size}"
        )
    # Where the lengths of batches differ, those of the first two do.
    probes = [batches[number] for number in sorted({0, min(1, num_batches - 1)})]
    specs = [
        tf.TensorSpec(_common([array.shape for array in arrays], batches), dtype)
        for arrays in zip(*map(tf.nest.flatten, probes), strict=True)
        for dtype in [arrays[0].dtype]
    ]
    types = [spec.dtype for spec in specs]
    lock = threading.Lock()

    plain = tf.autograph.experimental.do_not_convert

    @plain
    def make(epoch, number):
        with lock:  # a data set that is left may still be at work
            batches.epoch = int(epoch)
            return tf.nest.flatten(batches[int(number)])

    @plain
    def to_batch(epoch, number):
        arrays = tf.numpy_function(make, [epoch, number], types, stateful=False)
        for array, spec in zip(arrays, specs, strict=True):
            array.set_shape(spec.shape)
        return tf.nest.pack_sequence_as(probes[0], arrays)

    epochs = tf.data.Dataset.random(
        seed=batches.seed, rerandomize_each_iteration=True
    ).take(1)
    numbers = tf.data.Dataset.range(num_batches)
    dataset = epochs.flat_map(
        plain(lambda epoch: numbers.map(lambda number: (epoch, number)))
    ).map(to_batch)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(num_batches))
    return dataset.prefetch(4)


def _common(shapes, batches):
    """What a batch's array has in common with those of others; `None` where not."""
    shape = [sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(*shapes)]
    return shape if batches.has_whole_batches else [None, *shape[1:]]
