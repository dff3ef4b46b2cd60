"""A model on parameter servers, before a run begins."""

from __future__ import annotations

from typing import Any

import keras

from keras_recs.training.parameter_server.check_on_servers import check_on_servers
from keras_recs.training.parameter_server.source_of import source_of
from keras_recs.training.run_epochs import build


def prepare(model: keras.Model, train: Any) -> None:
    """Makes all variables on the servers.

    Args:
        model: compiled `keras.Model`, made in the strategy's scope, which is entered.
        train: of `tfrecord_dataset`.

    Raises:
        ValueError: for data that workers cannot read or without a batch, a model that
            is not on the servers, or a `placement` of another one.
    """
    if not source_of(train).chunks(1):
        raise ValueError(
            "`train` has no batch. With `drop_remainder=True` there must be at least "
            "`batch_size` examples in a file."
        )
    build(model, train)
    check_on_servers(model)
    strategy = model.distribute_strategy
    if hasattr(strategy, "placement"):  # else it is not of `make_strategy`
        strategy.placement.check(model)
