"""Loads of parameter servers: measured, spread, and what number of shards is proposed."""

import dataclasses
import types

import keras
import numpy as np
import pytest

from keras_recs import CategoricalFeature, Label, Schema, models
from keras_recs.data import array_dataset, tfrecord_dataset
from keras_recs.optimizers import LazyAdam
from keras_recs.training import make_strategy, server_report
from keras_recs.training.parameter_server.assign_servers import assign_servers
from keras_recs.training.parameter_server.place_variables import PlaceByBytes
from keras_recs.training.parameter_server.server_loads import (
    ServerLoads,
    VariableLoad,
)
from tests.training.clusters import finished
from tests.training.server_run import BATCH
from tests.training.server_run import make_model as server_model
from tests.training.test_parameter_server import PROGRAM, result_of, write


def make_schema(rows=10):
    return Schema(
        features=[
            CategoricalFeature("item", vocabulary_size=rows),
            CategoricalFeature("word", vocabulary_size=4),
        ],
        labels=[Label("click")],
    )


def make_model(schema, num_shards=1, **options):
    keras.utils.set_random_seed(0)
    return models.deepfm(
        schema, 4, (8,), embedding_options={"num_shards": num_shards}, **options
    )


def batches_of(item, schema, batch_size, word=None):
    word = np.zeros_like(item) if word is None else word
    columns = {"item": item, "word": word, "click": np.zeros(len(item))}
    return array_dataset(columns, schema, batch_size, shuffle=False)


def by_name(loads):
    return {load.name: load for load in loads.variables}


# === Measuring ===


def test_distinct_rows_by_shard_and_batch():
    """Against rows that are counted by hand."""
    schema = make_schema()
    item = np.array([0, 0, 1, 3, 5, 5, 5, 5])
    data = batches_of(item, schema, 4)
    model = make_model(schema, 2)
    loads = server_report(model, data)
    assert loads.num_batches == 2
    layer = model.get_layer("embedding")
    starts = {name: parts[0].start for name, parts in layer._placed.items()}
    expected = np.zeros(2)
    for batch in (item[:4], item[4:]):
        rows = {starts["item"] + 2 + key for key in batch} | {starts["word"] + 2}
        for row in rows:
            expected[row % 2] += 0.5
    for number in range(2):
        load = by_name(loads)[f"embedding/tables/embeddings_{number}"]
        assert load.is_table
        assert load.requests == expected[number]
        assert load.traffic_bytes == 2 * 4 * 4 * expected[number]
        assert load.num_bytes == 4 * np.prod(load.shape)
    kernel = by_name(loads)["deep/dense_0/kernel"]
    assert not kernel.is_table
    assert (kernel.requests, kernel.num_bytes) == (1.0, 4 * 8 * 8)
    assert kernel.traffic_bytes == 2 * kernel.num_bytes


def test_the_model_is_as_it_was():
    schema = make_schema()
    model = make_model(schema)
    before = model.get_weights()
    stack = model.get_layer("embedding").stacks["tables"]
    server_report(model, batches_of(np.arange(8), schema, 4), max_batches=1)
    assert "call" not in vars(stack)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_slots_count_as_bytes():
    """Also where one path is the beginning of another."""
    schema = make_schema()
    data = batches_of(np.arange(8), schema, 4)
    model = make_model(schema, 11)
    plain = by_name(server_report(model, data))
    model.compile(LazyAdam(0.1), "binary_crossentropy")
    model.optimizer.build(model.trainable_variables)
    for name, load in by_name(server_report(model, data)).items():
        assert load.num_bytes == 3 * plain[name].num_bytes, name


def test_a_regularized_table_travels_as_a_whole():
    schema = make_schema()
    data = batches_of(np.zeros(4, int), schema, 4)
    model = make_model(schema, embeddings_regularizer=keras.regularizers.L2(1e-3))
    load = by_name(server_report(model, data))["embedding/tables/embeddings"]
    assert load.requests == 2
    assert load.traffic_bytes == 2 * load.num_bytes


def test_what_cannot_be_measured():
    schema = make_schema()
    data = batches_of(np.arange(8), schema, 4)
    unbuilt = keras.Sequential([keras.layers.Dense(1)], name="small")
    with pytest.raises(ValueError, match="Model 'small' must be built before"):
        server_report(unbuilt, data)
    model = make_model(schema)
    with pytest.raises(ValueError, match=r"must have a batch.*max_batches=0"):
        server_report(model, data, max_batches=0)
    with pytest.raises(ValueError, match=r"`num_servers` must be.*num_servers=0"):
        server_report(model, data, num_servers=0)


def test_a_table_in_files_is_refused(tmp_path):
    schema = make_schema(100)
    options = {"hot_rows": {"item": 16}, "folder": str(tmp_path)}
    model = models.deepfm(schema, 4, (8,), embedding_options=options)
    with pytest.raises(ValueError, match="lies partly in files"):
        server_report(model, batches_of(np.arange(8), schema, 4))


# === The report ===


def load_of(name, num_bytes=0, traffic=0.0, is_table=False, shape=(1,)):
    return VariableLoad(num_bytes, 1.0, traffic, name, shape, is_table)


def test_file_and_table(tmp_path):
    schema = make_schema()
    data = batches_of(np.arange(8), schema, 4)
    loads = server_report(make_model(schema, 2), data, num_servers=3)
    path = tmp_path / "servers.json"
    loads.save(path)
    assert ServerLoads.load(path) == loads
    assert [p.name for p in tmp_path.iterdir()] == ["servers.json"]
    assert sum(s.num_bytes for s in loads.servers) == sum(
        v.num_bytes for v in loads.variables
    )
    lines = str(loads).splitlines()
    assert " ".join(lines[0].split()) == "server MiB requests a step KiB a step"
    assert len(lines) == 1 + 3 + 1 + 1 + len(loads.variables)
    one = loads.servers[2]
    assert lines[3].split() == [
        "2",
        f"{one.num_bytes / 2**20:.2f}",
        f"{one.requests:.1f}",
        f"{one.traffic_bytes / 2**10:.1f}",
    ]
    many = ServerLoads(tuple(load_of(f"v{i}") for i in range(25)), 1, 1)
    assert str(many).endswith("\nand 5 with less traffic")


@pytest.mark.parametrize("text", [None, "{", "[]", "{}", '{"variables": [1]}'])
def test_a_file_that_is_no_report(text, tmp_path):
    path = tmp_path / "servers.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(
        ValueError, match=r"servers.json' is not what `ServerLoads.save"
    ):
        ServerLoads.load(path)


# === Spreading ===


def test_servers_are_even_in_bytes_and_traffic():
    """A large table that is seldom read, and small weights that are always read."""
    servers = assign_servers([100, 1, 1], [1, 100, 100], 3)
    assert sorted(servers) == [0, 1, 2]
    # 60 of 100 bytes on one, 60 of 100 units of traffic on the other.
    servers = assign_servers([60, 0, 40, 0], [0, 60, 0, 40], 2)
    assert servers[0] != servers[1]
    assert servers[2] != servers[0]
    assert servers[3] != servers[1]
    assert assign_servers([0, 0], [0, 0], 2) == [0, 0]


@pytest.mark.parametrize("num_servers", [2, 5])
def test_no_server_has_more_than_its_share_and_the_largest_variable(num_servers):
    """The bound of each server, for any two costs."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        costs = rng.pareto(1.0, (2, 30))
        shares = costs / costs.sum(1, keepdims=True)
        servers = np.array(assign_servers(*costs, num_servers))
        largest = shares.max()
        for number in range(num_servers):
            load = shares[:, servers == number].sum(1).max()
            assert load <= 2 / num_servers + largest


def fake_strategy(num_servers):
    """What `PlaceByBytes` needs of one, whose variables say where they lie."""
    import tensorflow as tf

    extended = types.SimpleNamespace(_num_ps=num_servers, _variable_count=0)
    extended._create_variable = lambda next_creator, **kwargs: None

    def create(next_creator, **kwargs):
        spec = tf.TensorSpec(kwargs["shape"], tf.float32)
        extended.made.append(extended._variable_count)
        return spec

    extended.made = []
    extended._create_variable_round_robin = create
    return types.SimpleNamespace(extended=extended)


def test_measured_variables_lie_where_planned_and_others_by_bytes():
    import tensorflow as tf

    measured = ServerLoads(
        (
            load_of("a/kernel", 40, 1.0, shape=(10,)),
            load_of("a/b/kernel", 40, 9.0, shape=(10,)),
            load_of("bias", 4, 8.0),
        ),
        num_servers=1,
        num_batches=1,
    )
    planned = {load.name: load.server for load in measured.planned(2).variables}
    assert planned == {"a/b/kernel": 0, "bias": 1, "a/kernel": 1}
    strategy = fake_strategy(2)
    place = PlaceByBytes(strategy, measured)
    create = strategy.extended._create_variable_round_robin
    with tf.name_scope("a"):
        create(None, name="kernel", shape=(10,))
        with tf.name_scope("b"):
            create(None, name="kernel", shape=(10,))
    create(None, name="bias", shape=(1,))
    create(None, name="unknown", shape=(2,))
    assert strategy.extended.made == [1, 0, 1, 0]
    assert place.loads == [48, 44]


def test_a_report_of_another_model_is_refused(caplog):
    """Named are a variable of another shape and those that only one of them has."""
    schema = make_schema()
    data = batches_of(np.arange(8), schema, 4)
    model = make_model(schema)
    place = PlaceByBytes(fake_strategy(1), server_report(model, data))
    place.check(model)
    assert not caplog.records
    with pytest.raises(
        ValueError,
        match=r"`placement` was measured of another model. Of 6 variables.*"
        r"'embedding/tables/embeddings' was \[18, 4\] and is not there, "
        r"'embedding/tables/embeddings_0' was not there and is \[9, 4\].*"
        "Measure this one with `server_report`",
    ):
        place.check(make_model(schema, 2))
    with pytest.raises(ValueError, match=r"was \[18, 4\] and is \[19, 4\]"):
        place.check(make_model(make_schema(11)))
    PlaceByBytes(fake_strategy(1)).check(model)
    # Of a plain model all lie on server 0.
    PlaceByBytes(fake_strategy(2), server_report(model, data)).check(model)
    assert "variables were placed by their bytes" in caplog.text


def test_a_placement_is_for_parameter_servers():
    with pytest.raises(ValueError, match=r"`placement` is for.*placement='a.json'"):
        make_strategy("none", placement="a.json")


# === Hot rows ===


def zipf(exponent, num_keys, size):
    """Keys 0, 1, … of falling frequency, as a vocabulary orders them."""
    weights = np.arange(1, num_keys + 1) ** -exponent
    rng = np.random.default_rng(0)
    return rng.choice(num_keys, size, p=weights / weights.sum())


@pytest.mark.parametrize("exponent", [1.05, 1.2])
def test_hot_rows_do_not_gather_in_a_shard(exponent):
    """The busiest of 8 shards asks for little more than the mean; of 8 ranges, much."""
    num_keys, batch_size, shards = 100_000, 2048, 8
    schema = make_schema(num_keys)
    item = zipf(exponent, num_keys, 4 * batch_size)
    data = batches_of(item, schema, batch_size)
    loads = server_report(make_model(schema, shards), data)
    asked = np.array(
        [v.requests for v in loads.variables if v.name.startswith("embedding/tables")]
    )
    assert len(asked) == shards
    modulo = asked.max() / asked.mean()
    distinct = np.concatenate([np.unique(b) for b in item.reshape(4, batch_size)])
    ranges = np.bincount(distinct * shards // num_keys, minlength=shards)
    contiguous = ranges.max() / ranges.mean()
    examples = np.bincount(item % shards, minlength=shards)
    print(
        f"Zipf {exponent}: {asked.sum():.0f} distinct rows of {batch_size}; busiest "
        f"over mean: row mod N {modulo:.3f}, ranges {contiguous:.3f}, each example "
        f"for itself {examples.max() / examples.mean():.3f}"
    )
    assert modulo < 1.1
    assert contiguous > 2


@pytest.mark.parametrize("exponent", [1.05, 1.2])
@pytest.mark.parametrize("num_servers", [3, 8])
def test_the_proposed_shards_are_no_more_than_a_share(exponent, num_servers):
    """Measured again with them; one less would be too few."""
    num_keys, batch_size = 100_000, 2048
    schema = make_schema(num_keys)
    data = batches_of(zipf(exponent, num_keys, 4 * batch_size), schema, batch_size)
    number = server_report(make_model(schema), data, num_servers).num_shards()
    loads = server_report(make_model(schema, number), data, num_servers)
    shards = [v for v in loads.variables if v.name.startswith("embedding/tables")]
    assert len(shards) == number
    for kind in ("num_bytes", "traffic_bytes"):
        whole = sum(getattr(v, kind) for v in loads.variables)
        most = max(getattr(v, kind) for v in shards)
        assert most < 1.1 * whole / num_servers, kind
        busiest = max(getattr(s, kind) for s in loads.servers)
        assert busiest < 1.25 * whole / num_servers, kind
    assert loads.num_shards() == number, "of split tables it is the same"


def test_the_number_of_shards_by_hand():
    """60 % of the bytes are 2.4 of 4 servers' shares, 80 % of the traffic 3.2."""
    table = [
        load_of("a/t/embeddings_0", 30, 70.0, True),
        load_of("a/t/embeddings_1", 30, 10.0, True),
    ]
    loads = ServerLoads((*table, load_of("kernel", 40, 20.0)), 4, 1)
    assert loads.num_shards() == 4
    assert loads.num_shards(2) == 2
    assert loads.num_shards(1) == 1
    half = ServerLoads(
        (load_of("t/embeddings", 1, 1.0, True), load_of("k", 1, 1.0)), 4, 1
    )
    assert half.num_shards() == 2
    with pytest.raises(ValueError, match=r"num_servers=0"):
        loads.num_shards(0)


# === On servers ===


@pytest.mark.distributed
def test_variables_lie_where_the_placement_says(tmp_path):
    """And the report of servers is that of one machine."""
    schema = write(tmp_path)
    model = server_model("deepfm", schema, num_shards=2)
    train = tfrecord_dataset(str(tmp_path / "train-*"), schema, BATCH, shuffle=False)
    model.optimizer.build(model.trainable_variables)
    plain = server_report(model, train)
    # A weight that asks for so much has a server for itself, for all its few bytes.
    name = "deep/dense_0/bias"
    busy = [
        dataclasses.replace(v, traffic_bytes=1e9) if v.name == name else v
        for v in plain.variables
    ]
    busy = dataclasses.replace(plain, variables=tuple(busy))
    busy.save(tmp_path / "busy.json")
    options = (f"placement={tmp_path / 'busy.json'}", "num_shards=2", "epochs=1")
    finished(PROGRAM, tmp_path, *options, ps=2)
    planned = by_name(busy.planned(2))
    servers = result_of(tmp_path)["servers"]
    assert servers.keys() == planned.keys()
    for path, device in servers.items():
        assert f"/job:ps/replica:0/task:{planned[path].server}/" in device, path
    mine = planned[name].server
    alone = [path for path, load in planned.items() if load.server == mine]
    assert sum(planned[path].num_bytes for path in alone) < 0.5 * sum(
        load.num_bytes for load in planned.values()
    )

    measured = by_name(ServerLoads.load(tmp_path / "servers.json"))
    for path, load in by_name(plain).items():
        expected = dataclasses.replace(load, server=planned[path].server)
        assert measured[path] == expected, path
