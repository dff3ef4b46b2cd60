"""The records that workers read themselves."""

from __future__ import annotations

from typing import Any

from keras_recs.data.record_source import RecordSource


def source_of(train: Any) -> RecordSource:
    """The records of a data set, or a `ValueError` where workers cannot read them."""
    source = getattr(train, "record_source", None)
    if source is None:
        raise ValueError(
            "Under parameter servers the workers read the data themselves: `train` "
            "must be what `keras_recs.data.tfrecord_dataset` returns, as it is. "
            f"Received: {type(train).__name__}"
        )
    return source
