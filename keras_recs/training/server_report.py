"""What a model asks of its parameter servers, measured on data."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from keras_recs.layers.embedding.find_two_level_tables import find_two_level_tables
from keras_recs.layers.embedding.stacked_tables import StackedTables
from keras_recs.training.is_parameter_server import is_parameter_server
from keras_recs.training.parameter_server.place_variables import (
    num_bytes_of,
    server_of,
)
from keras_recs.training.parameter_server.server_loads import (
    ServerLoads,
    VariableLoad,
)


def server_report(
    model: keras.Model,
    dataset: Any,
    num_servers: int | None = None,
    max_batches: int = 100,
) -> ServerLoads:
    """Measures bytes, requests and traffic of each variable that is trained.

    It needs no cluster: the model is called on batches, and the distinct rows that each
    shard of a table is asked for are counted, as those travel to a worker, and one
    gradient each back. Other weights travel as a whole, and so do tables with a Keras
    regularizer. Nothing is trained.

    Args:
        model: built `keras.Model`. Where its optimizer is built, slots count as bytes.
        dataset: batches for `model.fit`, of the size of a worker's.
        num_servers: int. Servers that the variables are spread over by their bytes and
            traffic. Defaults to `None`: those on which the model lies, and where it
            lies on none, one.
        max_batches: int. Batches that are read. Defaults to `100`.

    Returns:
        `ServerLoads`, which prints as a table, is a file by `save`, and proposes
        `num_shards`.

    Raises:
        ValueError: for a model that is not built or has tables with `hot_rows`, and for
            data without a batch.

    Example: `server_report(model, train, num_servers=4).save("servers.json")`
    """
    _check(model)
    requests, num_batches = _requests(model, dataset, max_batches)
    slots = _slot_bytes(model)
    loads = tuple(
        _load(variable, requests.get(id(variable)), slots.get(variable.path, 0))
        for variable in model.trainable_variables
    )
    there = _num_servers(model)
    measured = ServerLoads(loads, there or 1, num_batches)
    if there and num_servers in (None, there):
        return measured
    return measured.planned(
        measured.num_servers if num_servers is None else num_servers
    )


def _check(model: keras.Model) -> None:
    if not model.trainable_variables:
        raise ValueError(
            f"Model '{model.name}' must be built before it is measured: call it on a "
            "batch. Received: a model without trainable variables"
        )
    for table in find_two_level_tables(model):
        raise ValueError(
            f"The table of layer '{table.name}' lies partly in files (`hot_rows`), "
            "which parameter servers do not take. Leave out `hot_rows`."
        )


def _requests(
    model: keras.Model, dataset: Any, max_batches: int
) -> tuple[dict[int, float], int]:
    """Mean number of distinct rows by the id of their variable, and of how many."""
    layers = dict.fromkeys(model._flatten_layers())
    stacks = [layer for layer in layers if isinstance(layer, StackedTables)]
    sums = {id(shard): 0 for stack in stacks for shard in stack.shards}
    num_batches = 0
    for batch in itertools.islice(dataset, max_batches):
        inputs, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
        with _recording(stacks) as asked:
            model(inputs, training=False)
        for stack, rows in asked:
            # As `gather_rows` asks: each row once, row r in shard r mod N.
            shard_of_row = np.unique(rows) % stack.num_shards
            counts = np.bincount(shard_of_row, minlength=stack.num_shards)
            for shard, count in zip(stack.shards, counts, strict=True):
                sums[id(shard)] += int(count)
        num_batches += 1
    if not num_batches:
        raise ValueError(
            "`dataset` must have a batch to be measured. Received: no batch, with "
            f"max_batches={max_batches}"
        )
    return {key: value / num_batches for key, value in sums.items()}, num_batches


@contextlib.contextmanager
def _recording(stacks: Sequence[StackedTables]) -> Iterator[list]:
    """Lists pairs of a stack and the rows that it is asked for in the block."""
    asked = []

    def recorded(stack, call):
        def call_and_record(rows):
            asked.append((stack, keras.ops.convert_to_numpy(rows)))
            return call(rows)

        return call_and_record

    for stack in stacks:
        stack.call = recorded(stack, stack.call)  # type: ignore[method-assign]
    try:
        yield asked
    finally:
        for stack in stacks:
            del stack.call


def _load(variable: Any, requests: float | None, slot_bytes: int) -> VariableLoad:
    shape = tuple(int(size) for size in variable.shape)
    own_bytes = num_bytes_of(variable._value)
    travels = float(own_bytes)
    if requests is not None and variable.regularizer is None:
        travels = requests * own_bytes / max(shape[0], 1)
    return VariableLoad(
        name=variable.path,
        shape=shape,
        is_table=requests is not None,
        num_bytes=own_bytes + slot_bytes,
        requests=1.0 if requests is None else requests,
        traffic_bytes=2.0 * travels,
        server=server_of(variable._value),
    )


def _slot_bytes(model: keras.Model) -> dict[str, int]:
    """Bytes of slots by the path of their variable, after which Keras names them."""
    optimizer = getattr(model, "optimizer", None)
    names = {v.path.replace("/", "_") + "_": v.path for v in model.trainable_variables}
    found: dict[str, int] = {}
    for slot in optimizer.variables if optimizer is not None else ():
        owners = [name for name in names if slot.name.startswith(name)]
        if owners:
            path = names[max(owners, key=len)]
            found[path] = found.get(path, 0) + num_bytes_of(slot._value)
    return found


def _num_servers(model: keras.Model) -> int:
    """Number of parameter servers on which a model lies, or 0."""
    strategy = model.distribute_strategy
    return strategy.extended._num_ps if is_parameter_server(strategy) else 0
