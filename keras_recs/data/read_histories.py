"""Whole histories from TFRecords."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

import numpy as np

from keras_recs.data.history_feature import history_feature, without_limit
from keras_recs.data.read_sequences import read_sequences
from keras_recs.data.tfrecord_dataset import tfrecord_dataset
from keras_recs.schema import Schema

_RECORDS = 4096  # at a time


def read_histories(
    files: str | os.PathLike | Sequence[str | os.PathLike],
    schema: Schema,
    items: str | None = None,
) -> list[np.ndarray]:
    """The rows of all events of each record, for batches that are made of arrays.

    Unlike `read_sequences` it reads what lies before the last `max_length` events too.
    It keeps four bytes an event.

    Args:
        files: as in `tfrecord_dataset`.
        schema: a fitted `keras_recs.Schema` with a sequence feature, padded on the
            left.
        items: string. Name of the feature. Defaults to `None`: the only one.

    Returns:
        list of int32 arrays, in the order of the files; empty ones too.

    Raises:
        ValueError: for a schema without such a feature, and as `tfrecord_dataset`.

    Example: `session_batches(read_histories("prepared/train-*", schema), 64)`
    """
    feature = history_feature(schema, items)
    wider = without_limit(feature)
    features = tuple(wider if f.name == feature.name else f for f in schema.features)
    reading = dataclasses.replace(schema, features=features)
    batches = tfrecord_dataset(files, reading, _RECORDS, shuffle=False)
    return read_sequences(batches, feature.name)
