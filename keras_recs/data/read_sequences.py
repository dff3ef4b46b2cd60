"""Sequences from a dataset of padded batches."""

import numpy as np


def read_sequences(dataset, name):
    """The rows of each example's sequence, as batches of sequences take them.

    It reads the dataset once and keeps what it found, without padding: four bytes an
    event. A sequence is as long as the schema's `max_length` lets it be.

    Args:
        dataset: batches of a dict of inputs, or of tuples that begin with one: such as
            `tfrecord_dataset(files, schema, 1024, shuffle=False)`.
        name: string. A sequence feature.

    Returns:
        list of int32 arrays, in the order of the dataset; empty ones too.

    Raises:
        ValueError: for inputs without the feature, and for one that is no sequence of
            rows.

    Example:
    >>> batches = [{"items": np.array([[0, 4, 2], [0, 0, 0]])}]
    >>> keras_recs.data.read_sequences(batches, "items")
    [array([4, 2], dtype=int32), array([], dtype=int32)]
    """
    sequences: list[np.ndarray] = []
    for batch in dataset:
        inputs = batch if isinstance(batch, dict) else batch[0]
        if name not in inputs:
            raise ValueError(
                f"`name` must be among the inputs of the dataset. Received: "
                f"name={name!r}; it has {sorted(inputs)}"
            )
        rows = np.asarray(inputs[name])  # (B, T)
        if rows.ndim != 2 or rows.dtype.kind != "i":
            raise ValueError(
                f"`name` must be a sequence of rows, int (batch, time). Received: "
                f"name={name!r} of shape {rows.shape} and dtype {rows.dtype}"
            )
        is_there = rows != 0
        ends = np.cumsum(is_there.sum(axis=1))
        sequences += np.split(rows[is_there].astype("int32"), ends)[:-1]
    return sequences
