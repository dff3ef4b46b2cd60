"""The map in the graph beside a dict."""

import collections

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_recs.layers.embedding.dynamic_vocabulary import DynamicVocabulary
from tests.preloaded import run_preloaded

MASK = 2**64 - 1


def mixed(key):
    """The last steps of SplitMix64, on Python's ints."""
    key &= MASK
    key = ((key ^ (key >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    key = ((key ^ (key >> 27)) * 0x94D049BB133111EB) & MASK
    return key ^ (key >> 31)


class Twin:
    """The same semantics with a dict and plain loops; its map is never full."""

    def __init__(self, max_keys, admission_count=1, num_oov=1):
        self.admission_count = admission_count
        self.num_oov = num_oov
        self.free = list(range(1 + num_oov, 1 + num_oov + max_keys))
        self.counts = collections.Counter()
        self.seen, self.rows = {}, {}
        self.clock = self.refused = 0

    def row(self, key):
        if key == 0:
            return 0
        outside = 1 + (mixed(key) >> 1) % self.num_oov
        return self.rows.get(key, outside)

    def train(self, keys):
        self.clock += 1
        keys = [int(key) for key in np.ravel(keys) if key]
        for key in keys:
            self.counts[key] += 1
            self.seen[key] = self.clock
        for key in dict.fromkeys(keys):
            if key not in self.rows and self.counts[key] >= self.admission_count:
                if self.free:
                    self.rows[key] = self.free.pop(0)
                else:
                    self.refused += 1

    def evict(self, steps):
        stale = [k for k, seen in self.seen.items() if seen <= self.clock - steps]
        freed = sorted(self.rows.pop(key) for key in stale if key in self.rows)
        for key in stale:
            del self.seen[key], self.counts[key]
        self.free = freed + self.free
        return freed


def answers(layer, keys, **options):
    return np.asarray(layer(np.asarray(keys, "int64"), **options))


def table_of(layer):
    """dict of key to row and dict of key to count."""
    keys, rows, counts = layer.vocabulary()
    assert (np.diff(rows) > 0).all()
    assert len(set(keys.tolist())) == len(keys), "a key stands in the map once"
    state = dict(zip(keys.tolist(), rows.tolist()))
    return state, dict(zip(keys.tolist(), counts.tolist()))


def check(layer, twin):
    rows, counts = table_of(layer)
    assert rows == twin.rows
    assert counts == {key: twin.counts[key] for key in rows}
    assert (layer.clock, layer.refused) == (twin.clock, twin.refused)
    assert layer.num_keys == len(rows)
    state = layer._state()
    inside = state["keys"] != 0
    candidates = dict(zip(state["keys"][inside], state["counts"][inside]))
    assert candidates == dict(twin.counts), "those on their way count too"
    first = 1 + layer.num_oov
    inverse = {key: row + first for row, key in enumerate(state["key_of_row"]) if key}
    assert inverse == rows
    free = state["free_rows"][: state["counters"][1]] + first
    assert free[::-1].tolist() == twin.free


def stream(steps, shape=(7, 5), size=60, seed=0):
    """Batches with padding, duplicates, negative and huge keys."""
    rng = np.random.default_rng(seed)
    known = rng.integers(-(2**63), 2**63 - 1, size)
    known[:4] = [-(2**63), 2**63 - 1, -1, 1]
    weights = 1 / np.arange(1, size + 1)
    for _ in range(steps):
        keys = rng.choice(known, shape, p=weights / weights.sum())
        keys[rng.random(shape) < 0.1] = 0
        yield keys


# === Semantics ===


@pytest.mark.parametrize(
    ("max_keys", "admission_count", "num_oov"), [(100, 3, 1), (20, 2, 4)]
)
def test_like_a_dict(admission_count, num_oov, max_keys):
    arguments = {"admission_count": admission_count, "num_oov": num_oov}
    layer = DynamicVocabulary(max_keys, map_size=1024, **arguments)
    twin = Twin(max_keys, **arguments)
    for step, keys in enumerate(stream(10)):
        rows = answers(layer, keys, training=True)
        twin.train(keys)
        expected = [[twin.row(int(key)) for key in line] for line in keys]
        np.testing.assert_array_equal(rows, expected)
        np.testing.assert_array_equal(answers(layer, keys), expected)
        assert rows.dtype == np.int32
        if step % 4 == 3:
            np.testing.assert_array_equal(layer.evict(4), twin.evict(4))
    assert layer.dropped == 0
    check(layer, twin)
    assert twin.refused > 0 or max_keys == 100
    assert len(twin.rows) <= max_keys


def test_a_key_is_admitted_at_its_nth_sighting_and_duplicates_count():
    layer = DynamicVocabulary(9, admission_count=3, num_oov=2)
    oov = {key: 1 + (mixed(key) >> 1) % 2 for key in (5, 6)}
    assert answers(layer, [5, 6, 5], training=True).tolist() == [oov[5], oov[6], oov[5]]
    assert answers(layer, [6], training=True).tolist() == [oov[6]]
    assert answers(layer, [5, 6], training=True).tolist() == [3, 4]
    assert answers(layer, [8, 8, 8, 8], training=True).tolist() == [5] * 4
    assert table_of(layer)[1] == {5: 3, 6: 3, 8: 4}


def test_rows_come_in_the_order_of_admission():
    layer = DynamicVocabulary(9)
    assert answers(layer, [[7, 3], [7, 9]], training=True).tolist() == [[2, 3], [2, 4]]
    assert answers(layer, [1, 9], training=True).tolist() == [5, 4]


def test_unseen_keys_spread_over_the_rows_out_of_vocabulary():
    layer = DynamicVocabulary(9, num_oov=5)
    keys = np.arange(1, 2001)
    rows = answers(layer, keys)
    assert rows.tolist() == [1 + (mixed(int(key)) >> 1) % 5 for key in keys]
    assert (np.abs(np.bincount(rows, minlength=6)[1:] - 400) < 100).all()


def test_padding_is_row_0_and_never_learnt():
    layer = DynamicVocabulary(9)
    assert answers(layer, [[0, 0], [0, 0]], training=True).tolist() == [[0, 0], [0, 0]]
    assert (layer.num_keys, layer.clock, layer.load_factor) == (0, 1, 0)


def test_a_lookup_changes_nothing():
    layer = DynamicVocabulary(30)
    layer(next(stream(1)), training=True)
    before = layer.get_weights()
    for keys in stream(3, seed=1):
        layer(keys)
        layer(keys, training=False)
        layer.trainable = False
        layer(keys, training=True)
        layer.trainable = True
    for old, new in zip(before, layer.get_weights()):
        np.testing.assert_array_equal(old, new)
    assert not layer.trainable_weights


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((6,), "int32"), ((1, 2, 3), "uint8"), ((0,), "int64"), ((0, 3), "int64")],
)
def test_any_shape_and_integer_type(shape, dtype):
    layer = DynamicVocabulary(20)
    keys = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    rows = np.asarray(layer(keys, training=True))
    expected = np.where(keys == 0, 0, keys.astype("int32") + 1)
    np.testing.assert_array_equal(rows, expected)


# === A map that is too full ===


@pytest.mark.parametrize("admission_count", [1, 2])
def test_two_keys_never_share_a_row_whatever_the_map_goes_through(admission_count):
    layer = DynamicVocabulary(40, admission_count=admission_count, map_size=64)
    train = tf.function(lambda keys: layer(keys, training=True))
    rng = np.random.default_rng(0)
    known = {}
    for step in range(40):
        keys = rng.integers(-150, 150, (8, 10))
        rows = train(tf.constant(keys)).numpy()
        now, _ = table_of(layer)
        assert len(set(now.values())) == len(now) == layer.num_keys <= 40
        assert all(2 <= row < layer.num_rows for row in now.values())
        assert known.items() <= now.items(), "a row stays with its key"
        expected = [[now.get(int(k), 1 if k else 0) for k in line] for line in keys]
        np.testing.assert_array_equal(rows, expected)
        known = now
        if step % 10 == 9:
            freed = set(layer.evict(2).tolist())
            known, _ = table_of(layer)
            assert freed == set(now.values()) - set(known.values())
    assert layer.dropped > 0
    assert layer.refused > 0


def test_features_that_share_the_table_are_one_step():
    parts = {
        "item": np.array([5, 6, 0]),
        "history": np.array([[5, 7], [0, 0], [7, 8]], "int32"),
    }
    layer = DynamicVocabulary(9, admission_count=2)
    rows = layer(parts, training=True)
    flat = DynamicVocabulary(9, admission_count=2)
    keys = np.concatenate([v.reshape(-1) for v in parts.values()])
    expected = flat(keys, training=True)
    assert layer.clock == 1
    assert table_of(layer) == table_of(flat)
    assert list(rows) == list(parts)
    assert rows["item"].numpy().tolist() == expected[:3].numpy().tolist()
    assert rows["history"].shape == (3, 2)
    assert rows["history"].numpy().ravel().tolist() == expected[3:].numpy().tolist()
    with pytest.raises(TypeError, match=r"`keys` must be ints.*dtype=float32"):
        layer({**parts, "price": np.ones(3, "float32")})


def test_no_slot_is_lost_at_the_usual_load():
    layer = DynamicVocabulary(4096, map_size=8192)
    keys = np.random.default_rng(0).integers(1, 2**62, (4, 1024))
    for batch in keys:
        layer(batch, training=True)
    assert layer.num_keys == 4096
    assert (layer.dropped, layer.load_factor) == (0, 0.5)


def test_a_new_key_replaces_the_oldest_candidate_only():
    layer = DynamicVocabulary(8, admission_count=2, map_size=8)  # all slots for each
    for key in range(1, 9):
        layer(np.array([key]), training=True)
    assert answers(layer, [1], training=True).tolist() == [2]
    layer(np.array([9]), training=True)  # takes the slot of 2 or of one of its bucket
    state = layer._state()
    kept = set(state["keys"].tolist())
    assert {1, 9} <= kept
    assert len(kept) == 8
    (gone,) = set(range(2, 9)) - kept
    assert gone in (2, 3, 4, 5, 6), "the oldest of a bucket of four"
    assert layer.dropped == 0
    # Those seen in one step do not drive each other out.
    layer(np.arange(20, 40), training=True)
    assert layer.dropped == 20 - 3, (
        "they all want the same slot in each of three rounds"
    )


def test_a_full_table_refuses_and_counts():
    layer = DynamicVocabulary(2, map_size=64)
    rows = answers(layer, [5, 6, 7, 7, 8], training=True)
    assert rows.tolist() == [2, 3, 1, 1, 1]
    assert layer.refused == 2
    assert answers(layer, [7, 5], training=True).tolist() == [1, 2]
    assert layer.refused == 3
    assert table_of(layer)[1] == {5: 2, 6: 1}


# === Eviction, growth, loading ===


def test_an_evicted_key_is_new_when_it_comes_back():
    layer = DynamicVocabulary(9, admission_count=2, expire_after=2)
    layer(np.array([5, 5, 6, 6, 7]), training=True)
    layer(np.array([6]), training=True)
    assert layer.evict().tolist() == []
    layer(np.array([8, 8]), training=True)
    freed = layer.evict()
    assert (freed.tolist(), freed.dtype) == ([2], np.int32)
    assert table_of(layer) == ({6: 3, 8: 4}, {6: 3, 8: 2})
    assert layer.load_factor == 2 / layer.num_slots, "the candidate 7 went too"
    assert answers(layer, [5, 7, 7], training=True).tolist() == [1, 2, 2]
    assert answers(layer, [5], training=True).tolist() == [5]
    assert table_of(layer)[1][5] == 2


def test_eviction_of_all_and_of_none():
    layer = DynamicVocabulary(9, expire_after=100)
    assert (layer.num_keys, layer.load_factor, layer.dropped) == (0, 0, 0)
    assert layer.evict().tolist() == []
    layer(np.array([5, 6]), training=True)
    layer(np.array([0]), training=True)
    assert layer.evict().tolist() == []
    assert layer.evict(expire_after=1).tolist() == [2, 3]
    assert (layer.num_keys, layer.load_factor) == (0, 0)


@pytest.mark.parametrize("map_size", [None, 128])
def test_growth_keeps_rows_counts_and_candidates(map_size):
    layer = DynamicVocabulary(20, 2, num_oov=3, map_size=map_size, name="vocabulary")
    for keys in stream(5, size=30):
        layer(keys, training=True)
    layer.evict(2)
    large = layer.grown(300)
    assert (large.name, large.num_rows) == ("vocabulary", 304)
    assert table_of(large) == table_of(layer)
    for name in ("clock", "dropped", "refused", "num_keys"):
        assert getattr(large, name) == getattr(layer, name)
    old, new = layer._state(), large._state()

    def entries(state):
        names = ("keys", "rows", "counts", "last_seen")
        return sorted(zip(*(state[n][state["keys"] != 0].tolist() for n in names)))

    assert entries(old) == entries(new)
    assert large.num_slots > layer.num_slots
    free = layer.max_keys - layer.num_keys
    fresh = answers(large, np.repeat(np.arange(900, 1100), 2), training=True)[::2]
    assert len(set(fresh.tolist())) == 200
    assert (fresh < layer.num_rows).sum() == free, "the old free rows first"


def test_loading_and_the_vocabulary_are_inverse():
    layer = DynamicVocabulary(500, num_oov=2)
    layer(np.array([1, 2, 3]), training=True)
    rng = np.random.default_rng(0)
    keys = rng.integers(-(2**62), 2**62, 400)
    rows = 3 + rng.permutation(500)[:400]
    counts = rng.integers(1, 99, 400)
    layer.load_vocabulary(keys, rows, counts)
    np.testing.assert_array_equal(answers(layer, keys), rows)
    order = np.argsort(rows)
    for found, given in zip(layer.vocabulary(), (keys, rows, counts)):
        np.testing.assert_array_equal(found, given[order])
    assert (layer.num_keys, layer.clock) == (400, 1)
    assert answers(layer, [1]) <= 2
    new = answers(layer, np.arange(1, 101), training=True)
    assert set(new.tolist()) == set(range(3, 503)) - set(rows.tolist())
    layer.load_vocabulary([7, 8])
    assert table_of(layer) == ({7: 3, 8: 4}, {7: 1, 8: 1})
    layer.load_vocabulary([])
    assert layer.num_keys == 0


def test_a_full_map_can_be_loaded():
    """Keys move out of each other's way."""
    layer = DynamicVocabulary(1000, map_size=1024)
    keys = np.random.default_rng(0).integers(1, 2**62, 960)
    layer.load_vocabulary(keys)
    np.testing.assert_array_equal(answers(layer, keys), np.arange(2, 962))
    with pytest.raises(ValueError, match=r"give a larger `map_size`.*map_size=8"):
        DynamicVocabulary(8, map_size=8).grown(8)._fill(*np.ones((4, 9), "int64"))


# === Saving, graphs, strategies ===


def model_of(layer):
    inputs = keras.Input((5,), dtype="int64", name="keys")
    return keras.Model(inputs, layer(inputs))


def test_a_saved_model_keeps_the_map(tmp_path):
    layer = DynamicVocabulary(30, 2, num_oov=3, map_size=200, name="vocabulary")
    model = model_of(layer)
    for keys in stream(4):
        model(keys, training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    copy = loaded.get_layer("vocabulary")
    for old, new in zip(layer.get_weights(), copy.get_weights()):
        np.testing.assert_array_equal(old, new)
    for keys in stream(2, seed=3):  # and goes on as the first
        np.testing.assert_array_equal(
            answers(copy, keys, training=True), answers(layer, keys, training=True)
        )


def test_the_exported_model_answers_the_same(tmp_path):
    model = model_of(DynamicVocabulary(30, 2, num_oov=3))
    for keys in stream(3):
        model(keys, training=True)
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", model, [tf.TensorSpec([None, 5], tf.int64)])
    archive.write_out(tmp_path / "model", verbose=False)
    served = tf.saved_model.load(tmp_path / "model")
    for keys in stream(2, seed=1):
        np.testing.assert_array_equal(served.serve(keys), model(keys))


def test_a_function_does_as_the_eager_layer():
    eager, graph = DynamicVocabulary(20, 2, 2), DynamicVocabulary(20, 2, 2)

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int64)])
    def train(keys):
        return graph(keys, training=True)

    for keys in stream(5):
        np.testing.assert_array_equal(train(keys), answers(eager, keys, training=True))
    for one, other in zip(eager.get_weights(), graph.get_weights()):
        np.testing.assert_array_equal(one, other)


def test_no_step_reads_a_whole_variable():
    layer = DynamicVocabulary(20)
    layer.build()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64)])
    def train(keys):
        return layer(keys, training=True)

    graph = train.get_concrete_function().graph
    kinds = {operation.type for operation in graph.get_operations()}
    assert {"ResourceGather", "ResourceScatterAdd"} <= kinds
    assert not kinds & {"ReadVariableOp", "AssignVariableOp", "While", "If"}


def test_xla_looks_up_but_does_not_train():
    layer = DynamicVocabulary(20, num_oov=3)
    keys = next(iter(stream(1)))
    layer(keys, training=True)
    lookup = tf.function(layer, jit_compile=True)
    for batch in (keys, *stream(1, seed=1)):
        np.testing.assert_array_equal(lookup(tf.constant(batch)), answers(layer, batch))
    train = tf.function(layer.call, jit_compile=True)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="do_not_train_this_layer_with_jit_compile"
    ):
        train(tf.constant(keys), training=True)
    assert not layer.supports_jit


def test_fit_learns_and_evaluate_does_not():
    layer = DynamicVocabulary(50, name="vocabulary")
    inputs = keras.Input((5,), dtype="int64")
    vectors = keras.layers.Embedding(layer.num_rows, 2)(layer(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1)(vectors[:, 0]))
    model.compile("sgd", "mse", run_eagerly=True)
    keys = np.concatenate(list(stream(4, size=40)))
    targets = np.zeros((len(keys), 1))
    model.fit(keys, targets, batch_size=7, epochs=2, verbose=0)
    assert set(layer.vocabulary()[0]) == set(np.unique(keys)) - {0}
    assert layer.clock == 8
    model.evaluate(keys + 1000, targets, verbose=0)
    model.predict(keys + 2000, verbose=0)
    assert layer.clock == 8


MIRRORED = """
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
import keras, numpy as np, tensorflow as tf
from keras_recs.layers.embedding.dynamic_vocabulary import DynamicVocabulary
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    layer = DynamicVocabulary(60, 2, num_oov=2, map_size=512)
    inputs = keras.Input((3,), dtype="int64")
    vectors = keras.layers.Embedding(layer.num_rows, 2)(layer(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1)(vectors[:, 0]))
    model.compile("sgd", "mse")
alone = DynamicVocabulary(60, 2, num_oov=2, map_size=512)
rng = np.random.default_rng(0)
keys = rng.integers(0, 90, (40, 3))
data = tf.data.Dataset.from_tensor_slices((keys, np.zeros((40, 1)))).batch(8)
for epoch in range(2):
    model.fit(data, epochs=1, verbose=0)
    for batch, _ in data:
        alone(batch, training=True)
    for value, expected in zip(layer.weights, alone.get_weights()):
        for replica in value.value.values:  # each holds the map of the global batch
            np.testing.assert_array_equal(replica.numpy(), expected)
    np.testing.assert_array_equal(layer.evict(2), alone.evict(2))
np.testing.assert_array_equal(layer(keys), alone(keys))
rows = strategy.run(lambda: layer(tf.constant(keys)))
for replica in rows.values:
    np.testing.assert_array_equal(replica, alone(keys))
model.save(os.sys.argv[1])
loaded = keras.models.load_model(os.sys.argv[1])
np.testing.assert_array_equal(loaded.layers[1](keys), alone(keys))
"""


@pytest.mark.distributed
def test_every_replica_learns_the_keys_of_the_global_batch(tmp_path):
    run_preloaded("-c", MIRRORED, tmp_path / "model.keras", CUDA_VISIBLE_DEVICES="")


def test_workers_of_parameter_servers_are_refused(monkeypatch):
    class Strategy(tf.distribute.ParameterServerStrategy):
        def __init__(self):
            pass

    class Context:
        strategy = Strategy()

    layer = DynamicVocabulary(9)
    layer.build()
    monkeypatch.setattr(tf.distribute, "get_replica_context", lambda: Context)
    with pytest.raises(ValueError, match="cannot learn under ParameterServerStrategy"):
        layer.call(tf.constant([5], tf.int64), training=True)
    layer.call(tf.constant([5], tf.int64))


# === Errors ===


@pytest.mark.parametrize("keys", [np.ones(3, "float32"), np.array(["a"]), [True]])
def test_keys_must_be_ints(keys):
    with pytest.raises(TypeError, match=r"'vocabulary': `keys` must be ints.*dtype="):
        DynamicVocabulary(9, name="vocabulary")(tf.constant(keys))
    with pytest.raises(TypeError, match=r"`keys` must be ints.*float32"):
        DynamicVocabulary(9)(keras.Input((3,)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"max_keys": 0},
            "`max_keys` must be a positive integer. Received: max_keys=0",
        ),
        ({"max_keys": 2.0}, "max_keys=2.0"),
        ({"max_keys": True}, "max_keys=True"),
        ({"admission_count": 0}, "`admission_count` must be .*admission_count=0"),
        ({"num_oov": -1}, "`num_oov` must be .*num_oov=-1"),
        ({"map_size": 0}, "`map_size` must be a positive integer or None.*map_size=0"),
        ({"map_size": 8}, "`map_size` must be at least `max_keys`.*map_size=8"),
        ({"expire_after": "1"}, "`expire_after` must be .*expire_after='1'"),
        ({"max_keys": 2**30}, r"at most 2\*\*30 slots.*max_keys=1073741824"),
    ],
)
def test_messages(arguments, message):
    with pytest.raises(ValueError, match=message):
        DynamicVocabulary(**{"max_keys": 9, **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 1],), "`keys` must differ, and none may be 0"),
        (([0, 1],), "none may be 0"),
        (([1, 2, 3, 4],), "for at most 3 keys.*4 keys"),
        (([[1]],), r"`keys` must be one number a key.*shape \(1, 1\)"),
        (([1, 2], [2]), r"`rows` must be one number a key.*shape \(1,\)"),
        (([1], None, [2, 3]), "`counts` must be one number a key"),
        (([1, 2], [2, 2]), "`rows` must differ and lie in 2 … 4"),
        (([1], [5]), r"`rows` must differ and lie in 2 … 4.*rows=\[5\]"),
        (([1], [1]), r"`rows` must differ and lie in 2 … 4.*rows=\[1\]"),
    ],
)
def test_messages_of_loading(arguments, message):
    with pytest.raises(ValueError, match=message):
        DynamicVocabulary(3).load_vocabulary(*arguments)


def test_messages_of_eviction_and_growth():
    layer = DynamicVocabulary(9)
    with pytest.raises(ValueError, match=r"`expire_after` must be .*expire_after=None"):
        layer.evict()
    with pytest.raises(ValueError, match=r"`expire_after` must be .*expire_after=0"):
        layer.evict(0)
    with pytest.raises(ValueError, match=r"must not shrink.*max_keys=8; now it is 9"):
        layer.grown(8)
