"""A vocabulary that grows while the model trains."""

import keras
import numpy as np
from keras import ops

from keras_recs.layers.embedding.variable_rows import (
    add_rows,
    claim_rows,
    gather_rows_of,
    positions_of,
    update_rows,
    values_at,
    without_negatives,
)
from keras_recs.register import register
from keras_recs.schema import PADDING_ROW

PADDING_KEY = 0  # also what an empty slot holds
WAYS = 4  # slots of a bucket; each key may lie in two buckets
ROUNDS = 3  # tries to insert the new keys of a step
CLOCK, FREE, DROPPED, REFUSED = range(4)  # places in `counters`


@register
class DynamicVocabulary(keras.layers.Layer):
    """Rows of an embedding table for keys that are met while the model trains.

    A key that was seen `admission_count` times gets the next free row, and keeps it
    until `evict` takes it back. The map from key to row is ordinary non-trainable
    weights, so it is saved with the model, and serving answers as training left it.

    Row 0 is padding, rows 1 … `num_oov` are for keys without a row of their own, by
    their hash, then comes one row a key in the order of admission: an embedding table
    needs `num_rows`. A key that was never admitted has the same out-of-vocabulary row
    in training and in serving, hence the vector that its sightings trained.

    With `training=True` each occurrence of a key in the batch is one sighting, and a
    key that the batch admits has its row already in the output of that call. Otherwise,
    and with `trainable = False`, nothing changes.

    The map is set-associative: a key may lie in 8 slots. Keys on their way to admission
    need a slot too; where all 8 are taken, a new key replaces a candidate that was not
    seen for long, but none of this step and never a key with a row. A key that finds no
    slot goes to its out-of-vocabulary row, its sightings are counted in `dropped`, and
    it may come again. With no row free an admission is counted in `refused` and tried
    again at the next sighting.

    Under MirroredStrategy and MultiWorkerMirroredStrategy every replica learns the keys
    of the whole global batch, so that all hold the same map. Workers of
    ParameterServerStrategy would give one row to two keys: training there raises an
    error. On TensorFlow XLA cannot compile the training, only the lookup: Keras then
    leaves `jit_compile` off by itself; a `tf.function(jit_compile=True)` raises
    InvalidArgumentError.

    Args:
        max_keys: int. Number of keys that can have a row at once.
        admission_count: int. Sightings after which a key gets a row. Defaults to `1`.
        num_oov: int. Number of out-of-vocabulary rows. Defaults to `1`.
        map_size: int. Number of slots of the map, rounded up to a power of two; each
            takes 32 bytes. `None` is twice `max_keys`; more is useful where many keys
            come a few times only. Defaults to `None`.
        expire_after: int. Steps without a sighting after which `evict` frees a row.
            Defaults to `None`.

    Call arguments:
        keys: ints, hashed or as they are; 0 is padding, any other number is a key.
            int64; on JAX without x64 keys are reduced to their low 32 bits. A dict or
            list of them, of any shapes, where several features share the table: they
            are one step of training.
        training: bool. Whether to learn from these keys.

    Input shape: any.
    Output shape: as the input, int32; a dict or list of them where that is given.

    Raises:
        TypeError: for keys that are not ints.
        ValueError: for arguments out of range, and for training under
            ParameterServerStrategy.

    Example:
    >>> layer = keras_recs.layers.DynamicVocabulary(max_keys=100, admission_count=2)
    >>> keys = np.array([[77, -5, 0], [77, 88, 77]])
    >>> np.asarray(layer(keys, training=True)).tolist()
    [[2, 1, 0], [2, 1, 2]]
    >>> [array.tolist() for array in layer.vocabulary()]
    [[77], [2], [3]]

    Reference: frequency admission and expiry as in
    [Monolith, 2022](https://arxiv.org/abs/2209.07663).
    """

    def __init__(
        self,
        max_keys,
        admission_count=1,
        num_oov=1,
        map_size=None,
        expire_after=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.max_keys = _count("max_keys", max_keys)
        self.admission_count = _count("admission_count", admission_count)
        self.num_oov = _count("num_oov", num_oov)
        self.map_size = _count("map_size", map_size, optional=True)
        self.expire_after = _count("expire_after", expire_after, optional=True)
        if map_size is not None and map_size < max_keys:
            raise ValueError(
                "`map_size` must be at least `max_keys`, better twice that. Received: "
                f"map_size={map_size}, max_keys={max_keys}"
            )
        if self.num_slots > 2**30 or self.num_rows >= 2**31:
            raise ValueError(
                "The map must have at most 2**30 slots. Received: "
                f"max_keys={max_keys}, map_size={map_size}"
            )
        # XLA knows no shapes that depend on values, such as the number of new keys.
        self.supports_jit = keras.backend.backend() != "tensorflow"

    def build(self, input_shape=None):
        """Creates the empty map."""
        dtype = _key_dtype()
        slots = self.num_slots

        def add(name, shape, initializer="zeros"):
            return self.add_weight(
                name=name,
                shape=shape,
                initializer=initializer,
                dtype=dtype,
                trainable=False,
                aggregation="only_first_replica",
            )

        self.keys = add("keys", (slots // WAYS, WAYS))
        self.counts = add("counts", (slots,))
        self.last_seen = add("last_seen", (slots,))
        self.rows = add("rows", (slots,), keras.initializers.Constant(-1))
        self.key_of_row = add("key_of_row", (self.max_keys,))
        self.free_rows = add("free_rows", (self.max_keys,), _descending)
        self.counters = add("counters", (4,), self._first_counters)
        self.built = True

    def call(self, keys, training=None):
        """Returns the rows of `keys`."""
        self._check_keys(keys)
        given, parts = keys, keras.tree.flatten(keys)
        flat = [ops.cast(ops.reshape(p, (-1,)), self.keys.dtype) for p in parts]
        keys = flat[0] if len(flat) == 1 else ops.concatenate(flat)  # (n,)
        hashed = _mixed(keys)
        if training and self.trainable:
            everywhere = _keys_of_all_replicas(keys)
            if everywhere is keys:
                row = self._learn(keys, hashed)
            else:
                self._learn(everywhere, _mixed(everywhere))
                row = self._row(self._find(keys, hashed))
        else:
            row = self._row(self._find(keys, hashed))
        outside = ops.ones_like(hashed)
        if self.num_oov > 1:
            outside += ops.mod(_shifted(hashed, 1), self.num_oov)
        row = ops.where(row >= 0, row + (1 + self.num_oov), outside)
        row = ops.cast(ops.where(keys == PADDING_KEY, PADDING_ROW, row), "int32")
        rows, start = [], 0
        for part, own in zip(parts, flat, strict=True):
            end = start + ops.shape(own)[0]
            rows.append(ops.reshape(row[start:end], ops.shape(part)))
            start = end
        return keras.tree.pack_sequence_as(given, rows)

    def compute_output_spec(self, keys, training=None):
        """Int32 of the input's shape."""
        self._check_keys(keys)
        return keras.tree.map_structure(
            lambda part: keras.KerasTensor(part.shape, "int32"), keys
        )

    def compute_output_shape(self, input_shape):
        """As the input."""
        return input_shape

    def get_config(self):
        """Constructor arguments."""
        config = {
            "max_keys": self.max_keys,
            "admission_count": self.admission_count,
            "num_oov": self.num_oov,
            "map_size": self.map_size,
            "expire_after": self.expire_after,
        }
        return {**super().get_config(), **config}

    @property
    def num_rows(self):
        """Rows that an embedding table needs."""
        return 1 + self.num_oov + self.max_keys

    @property
    def num_slots(self):
        """Slots of the map: a power of two."""
        size = max(self.map_size or 2 * self.max_keys, 2 * WAYS)
        return 1 << (size - 1).bit_length()

    @property
    def clock(self):
        """Steps of training so far."""
        return self._counter(CLOCK)

    @property
    def num_keys(self):
        """Keys that have a row."""
        return self.max_keys - self._counter(FREE)

    @property
    def dropped(self):
        """Sightings so far of keys that found no slot."""
        return self._counter(DROPPED)

    @property
    def refused(self):
        """Admissions so far that found no free row, one a key and step."""
        return self._counter(REFUSED)

    @property
    def load_factor(self):
        """Share of the slots that hold a key, admitted or on its way."""
        return float(np.mean(self._array("keys") != PADDING_KEY))

    def vocabulary(self):
        """The keys that have a row.

        Returns:
            Tuple of arrays in the order of the rows: keys, rows, counts of sightings.
        """
        state = self._state()
        slots = np.flatnonzero(state["rows"] >= 0)
        slots = slots[np.argsort(state["rows"][slots])]
        rows = (state["rows"][slots] + 1 + self.num_oov).astype("int32")
        return state["keys"][slots], rows, state["counts"][slots]

    def evict(self, expire_after=None):
        """Forgets the keys that were not seen lately, and frees their rows.

        A key that comes back is new: it counts from zero and gets a row that is free.

        Args:
            expire_after: int. A key goes that none of the last so many steps of
                training saw. `None` takes that of the layer. Defaults to `None`.

        Returns:
            int32 array of the rows that are free again, sorted. Reset them in the
            embedding table and in the optimizer: `keras_recs.training.EvictStaleKeys`.
        """
        steps = self.expire_after if expire_after is None else expire_after
        steps = _count("expire_after", steps)
        state = self._state()
        used = state["keys"] != PADDING_KEY
        stale = used & (state["last_seen"] <= self.clock - steps)
        freed = np.sort(state["rows"][stale & (state["rows"] >= 0)])
        num_free = state["counters"][FREE]
        # The lowest on top of the stack. A lookup compares all slots of a bucket, so a
        # slot that becomes empty leaves no hole that would end a search.
        state["free_rows"][num_free : num_free + len(freed)] = freed[::-1]
        state["counters"][FREE] += len(freed)
        state["key_of_row"][freed] = PADDING_KEY
        for name, value in (("keys", PADDING_KEY), ("counts", 0), ("last_seen", 0)):
            state[name][stale] = value
        state["rows"][stale] = -1
        self._assign(state)
        return (freed + 1 + self.num_oov).astype("int32")

    def load_vocabulary(self, keys, rows=None, counts=None):
        """Replaces the whole map; the clock goes on.

        Args:
            keys: ints `(n,)`, each once, none 0.
            rows: ints `(n,)`, each once. `None` numbers them in the order of the keys.
                Defaults to `None`.
            counts: ints `(n,)`. `None` is `admission_count`. Defaults to `None`.
        """
        dtype = self._state()["keys"].dtype
        keys = np.asarray(keys, dtype)
        first = 1 + self.num_oov
        rows = np.arange(len(keys)) + first if rows is None else np.asarray(rows)
        if counts is None:
            counts = np.full(len(keys), self.admission_count)
        for name, values in (("keys", keys), ("rows", rows), ("counts", counts)):
            if np.shape(values) != (len(keys),) or len(keys) > self.max_keys:
                raise ValueError(
                    f"`{name}` must be one number a key, for at most {self.max_keys} "
                    f"keys. Received: shape {np.shape(values)}, {len(keys)} keys"
                )
        if len(np.unique(keys)) < len(keys) or (keys == PADDING_KEY).any():
            raise ValueError("`keys` must differ, and none may be 0, which is padding.")
        inside = (rows >= first) & (rows < self.num_rows)
        if len(np.unique(rows)) < len(rows) or not inside.all():
            raise ValueError(
                f"`rows` must differ and lie in {first} … {self.num_rows - 1}. "
                f"Received: rows={rows}"
            )
        seen = np.full(len(keys), self.clock)
        self._fill(keys, rows - first, np.asarray(counts), seen)

    def grown(self, max_keys):
        """A layer with more rows in which each key keeps its own.

        Args:
            max_keys: int, not below this layer's.

        Returns:
            A built `DynamicVocabulary` of the same name. Its table has the rows of the
            old one, then new ones.
        """
        if _count("max_keys", max_keys) < self.max_keys:
            raise ValueError(
                "`max_keys` must not shrink, since keys keep their rows. Received: "
                f"max_keys={max_keys}; now it is {self.max_keys}"
            )
        config = {**self.get_config(), "max_keys": max_keys}
        if self.map_size is not None:
            config["map_size"] = -(-self.map_size * max_keys // self.max_keys)
        layer = type(self).from_config(config)
        layer.build()
        state = self._state()
        counters = state["counters"].copy()
        counters[FREE] += max_keys - self.max_keys
        layer.counters.assign(counters)
        used = state["keys"] != PADDING_KEY
        names = ("keys", "rows", "counts", "last_seen")
        layer._fill(*(state[name][used] for name in names))
        return layer

    # === The map, in the graph ===

    def _find(self, keys, hashed):
        """The slot of each key `(n,)`, −1 where it has none; padding has none."""
        buckets = self._buckets(hashed)
        there = self._keys_in(buckets)  # (n, 2W)
        numbers = np.arange(1, 2 * WAYS + 1, dtype="int32")
        same = there == ops.expand_dims(keys, 1)
        # A sum, not a maximum: one way at most holds the key, unless it is padding.
        way = ops.sum(ops.where(same, numbers, 0), axis=1) - 1  # (n,)
        found = ops.logical_and(way >= 0, keys != PADDING_KEY)
        return ops.where(found, _slot(buckets, way), -1)

    def _row(self, slot):
        """The row of the key in each slot `(n,)` from 0 on, or −1."""
        row = gather_rows_of(self.rows, ops.maximum(slot, 0))
        return ops.where(slot >= 0, row, -1)

    def _learn(self, keys, hashed):
        """Counts the sightings, admits keys; the row of each `(n,)`, or −1."""
        counters = gather_rows_of(self.counters, np.arange(4, dtype="int32"))
        now = counters[CLOCK] + 1
        slot = self._find(keys, hashed)
        (seen,) = without_negatives(slot)
        # Before any insertion, which spares the candidates of this step.
        update_rows(self.last_seen, seen, now)
        add_rows(self.counts, seen, 1)
        new = ops.logical_and(slot < 0, keys != PADDING_KEY)
        at = positions_of(new)  # (m,)
        is_new = values_at(new, at)
        found = self._insert(values_at(keys, at), values_at(hashed, at), is_new, now)
        dropped = ops.sum(ops.cast(ops.logical_and(is_new, found < 0), "int32"))
        found = ops.where(is_new, found, values_at(slot, at))
        slot = ops.scatter_update(slot, ops.expand_dims(at, 1), found)
        row, admitted, refused = self._admit(keys, slot, counters[FREE])
        change = [1, -admitted, dropped, refused]
        change = ops.stack([ops.cast(part, counters.dtype) for part in change])
        add_rows(self.counters, np.arange(4, dtype="int32"), change)
        return row

    def _insert(self, keys, hashed, active, now):
        """Counts the first sightings of new keys; their slots `(m,)`, −1 for none."""
        slot = ops.full_like(ops.cast(keys, "int32"), -1)
        for _ in range(ROUNDS):
            waiting = ops.logical_and(active, slot < 0)
            at = positions_of(waiting)
            key = values_at(keys, at)
            buckets = self._buckets(values_at(hashed, at))
            proposal = self._propose(buckets, values_at(hashed, at), now)
            proposal = ops.where(values_at(waiting, at), proposal, -1)
            won = claim_rows(self.rows, proposal)
            taken, winner = without_negatives(ops.where(won, proposal, -1), key)
            cells = ops.stack([taken // WAYS, taken % WAYS], axis=1)
            update_rows(self.keys, cells, winner)
            update_rows(self.last_seen, taken, now)
            # A key that stands at several positions won at one of them for all.
            there = gather_rows_of(self.keys, ops.maximum(proposal, 0) // WAYS)
            has = ops.any(there == ops.expand_dims(key, 1), axis=1)
            has = ops.logical_and(has, proposal >= 0)
            result = ops.where(has, proposal, values_at(slot, at))
            slot = ops.scatter_update(slot, ops.expand_dims(at, 1), result)
        (taken,) = without_negatives(slot)
        update_rows(self.rows, taken, -1)
        update_rows(self.counts, taken, 0)
        add_rows(self.counts, taken, 1)
        return slot

    def _propose(self, buckets, hashed, now):
        """The slot `(m,)` that each new key would take, −1 for none."""
        slots = _slots(buckets)  # (m, 2W)
        empty = self._keys_in(buckets) == PADDING_KEY
        is_candidate = gather_rows_of(self.rows, slots) < 0
        age = ops.minimum(now - gather_rows_of(self.last_seen, slots), 2**20)
        usable = ops.logical_or(empty, ops.logical_and(is_candidate, age > 0))
        # An empty slot first, then the bucket with fewer admitted keys, then the oldest
        # candidate, then in an order of the key's own, so that keys collide less.
        space = ops.reshape(ops.cast(is_candidate, "int32"), (-1, 2, WAYS))
        space = ops.repeat(ops.sum(space, axis=2), WAYS, axis=1)  # (m, 2W)
        age = ops.cast(ops.where(empty, 0, age), "int32")
        order = ops.cast(ops.bitwise_and(_shifted(hashed, 24), 2 * WAYS - 1), "int32")
        ways = np.arange(2 * WAYS, dtype="int32")
        order = ops.bitwise_xor(ops.expand_dims(order, 1), ways)
        score = ops.cast(empty, "int32") * 2**28 + space * 2**24 + age * 8 + order
        score = ops.where(usable, score, -1)
        way = ops.cast(ops.argmax(score, axis=1), "int32")  # (m,)
        return ops.where(ops.any(usable, axis=1), _slot(buckets, way), -1)

    def _admit(self, keys, slot, num_free):
        """Gives rows to the keys that are due.

        Returns:
            The row of each key `(n,)` or −1, and how many got one and how many not.
        """
        row = self._row(slot)
        candidate = ops.logical_and(slot >= 0, row < 0)
        at = positions_of(candidate)  # (m,)
        slot = values_at(slot, at)
        count = gather_rows_of(self.counts, ops.maximum(slot, 0))
        due = ops.logical_and(values_at(candidate, at), count >= self.admission_count)
        first = claim_rows(self.rows, ops.where(due, slot, -1))  # one position a key
        place = num_free - ops.cumsum(ops.cast(first, num_free.dtype))
        served = ops.logical_and(first, place >= 0)
        new = gather_rows_of(self.free_rows, ops.clip(place, 0, self.max_keys - 1))
        new = ops.where(served, new, -1)
        update_rows(self.rows, *without_negatives(ops.where(first, slot, -1), new))
        update_rows(self.key_of_row, *without_negatives(new, values_at(keys, at)))
        row = ops.scatter_update(row, ops.expand_dims(at, 1), self._row(slot))
        num_served = ops.sum(ops.cast(served, "int32"))
        return row, num_served, ops.sum(ops.cast(first, "int32")) - num_served

    def _buckets(self, hashed):
        """The two buckets of each key, twice `(n,)`, which differ."""
        last = self.num_slots // WAYS - 1
        first = ops.cast(ops.bitwise_and(hashed, last), "int32")
        apart = ops.cast(ops.bitwise_and(_other(hashed), last), "int32")
        return first, ops.bitwise_xor(first, ops.maximum(apart, 1))

    def _keys_in(self, buckets):
        """The keys in two buckets, `(n, 2W)`."""
        there = gather_rows_of(self.keys, ops.stack(buckets, axis=1))  # (n, 2, W)
        return ops.reshape(there, (-1, 2 * WAYS))

    def _check_keys(self, keys):
        for part in keras.tree.flatten(keys):
            dtype = keras.backend.standardize_dtype(part.dtype)
            if "int" not in dtype:
                raise TypeError(
                    f"Layer '{self.name}': `keys` must be ints; hash strings first, "
                    f"and bucketize numbers. Received: dtype={dtype}"
                )

    # === The map, on the host ===

    def _first_counters(self, shape, dtype=None):
        return ops.convert_to_tensor(np.array([0, self.max_keys, 0, 0]), dtype=dtype)

    def _counter(self, place):
        return int(self._array("counters")[place])

    def _state(self):
        """Copies of the weights by name, `keys` flat."""
        names = ("counts", "last_seen", "rows", "key_of_row", "free_rows", "counters")
        state = {name: self._array(name) for name in names}
        return {"keys": self._array("keys").reshape(-1), **state}

    def _array(self, name):
        if not self.built:
            self.build()
        return np.array(ops.convert_to_numpy(getattr(self, name)))

    def _assign(self, state):
        for name, values in state.items():
            variable = getattr(self, name)
            variable.assign(np.reshape(values, variable.shape))

    def _fill(self, keys, rows, counts, last_seen):
        """Puts keys in an empty map, those with a row first."""
        order = np.argsort(rows < 0, kind="stable")
        hashed = _mixed(ops.convert_to_tensor(keys[order]))
        slots = ops.convert_to_numpy(_slots(self._buckets(hashed)))
        place = _places(slots, self.num_slots, int(np.sum(rows >= 0)))
        order, place = order[place >= 0], place[place >= 0]
        state = {name: np.zeros_like(value) for name, value in self._state().items()}
        state["rows"] -= 1
        parts = {"keys": keys, "rows": rows, "counts": counts, "last_seen": last_seen}
        for name, values in parts.items():
            state[name][place] = values[order]
        admitted = rows >= 0
        state["key_of_row"][rows[admitted]] = keys[admitted]
        free = np.setdiff1d(np.arange(self.max_keys), rows)[::-1]
        state["free_rows"][: len(free)] = free
        state["counters"] = self._array("counters")
        state["counters"][FREE] = len(free)
        self._assign(state)


def _count(name, value, optional=False):
    """Checks a positive integer."""
    if optional and value is None:
        return None
    is_int = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not is_int or value < 1:
        raise ValueError(
            f"`{name}` must be a positive integer{' or None' if optional else ''}. "
            f"Received: {name}={value!r}"
        )
    return int(value)


def _key_dtype():
    """int64, or int32 on JAX without x64."""
    return keras.backend.standardize_dtype(
        ops.convert_to_tensor(np.zeros(1, "int64")).dtype
    )


def _descending(shape, dtype=None):
    return ops.convert_to_tensor(np.arange(shape[0])[::-1].copy(), dtype=dtype)


def _shifted(values, bits):
    """Shifts to the right and fills up with zeros, though the integers have a sign."""
    size = 64 if keras.backend.standardize_dtype(values.dtype) == "int64" else 32
    return ops.bitwise_and(ops.right_shift(values, bits), (1 << (size - bits)) - 1)


def _mixed(keys):
    """A bijection that spreads keys: the end of SplitMix64, or of MurmurHash3."""
    if keras.backend.standardize_dtype(keys.dtype) == "int64":
        steps = ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15), (31, None))
    else:
        steps = ((16, -0x7A143595), (13, -0x3D4D51CB), (16, None))
    for bits, factor in steps:
        keys = ops.bitwise_xor(keys, _shifted(keys, bits))
        keys = keys if factor is None else keys * factor
    return keys


def _other(hashed):
    """A second hash."""
    if keras.backend.standardize_dtype(hashed.dtype) == "int64":
        return _shifted(hashed, 32)
    return _mixed(ops.bitwise_xor(hashed, 0x5BD1E995))


def _slot(buckets, way):
    """The slot `(n,)` of a way 0 … 2W − 1 in two buckets."""
    bucket = ops.where(way < WAYS, *buckets)
    return bucket * WAYS + ops.bitwise_and(way, WAYS - 1)


def _slots(buckets):
    """Slots `(n, 2W)` of two buckets."""
    buckets = ops.expand_dims(ops.stack(buckets, axis=1), 2)  # (n, 2, 1)
    slots = buckets * WAYS + np.arange(WAYS, dtype="int32")  # (n, 2, W)
    return ops.reshape(slots, (-1, 2 * WAYS))


def _keys_of_all_replicas(keys):
    """The keys of the global batch, in the same order on each replica."""
    if keras.backend.backend() != "tensorflow":
        return keys
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None:
        return keys
    if isinstance(context.strategy, tf.distribute.ParameterServerStrategy):
        raise ValueError(
            "A DynamicVocabulary cannot learn under ParameterServerStrategy: workers "
            "that run at once would give one row to two keys. Set `trainable=False`, "
            "or train under MirroredStrategy or MultiWorkerMirroredStrategy. Received: "
            f"strategy={type(context.strategy).__name__}"
        )
    if context.num_replicas_in_sync == 1:
        return keys
    return context.all_gather(keys, axis=0)


def _places(slots, num_slots, num_certain):
    """A slot `(n,)` of its own for each key.

    Args:
        slots: ints `(n, 2W)`, where a key may lie.
        num_slots: int.
        num_certain: int. So many first keys move others out of their way where they
            must; a later one may find no place, −1.
    """
    owner = np.full(num_slots, -1)
    for start, end in ((0, num_certain), (num_certain, len(slots))):
        waiting = np.arange(start, end)
        stuck = []
        while len(waiting):
            free = owner[slots[waiting]] < 0  # (m, 2W)
            room = free.reshape(-1, 2, WAYS).sum(-1).repeat(WAYS, axis=1)
            way = np.argmax(free * (1 + room), axis=1)
            proposal = slots[waiting, way]
            fits = free.any(axis=1)
            stuck.extend(waiting[~fits])
            waiting, proposal = waiting[fits], proposal[fits]
            _, first = np.unique(proposal, return_index=True)
            owner[proposal[first]] = waiting[first]
            waiting = np.delete(waiting, first)
        if start == 0:
            for key in stuck:
                _squeeze_in(key, slots, owner)
    place = np.full(len(slots), -1)
    used = np.flatnonzero(owner >= 0)
    place[owner[used]] = used
    return place


def _squeeze_in(key, slots, owner):
    """Moves keys from bucket to bucket until all have a slot (cuckoo hashing)."""
    rng = np.random.default_rng(0)
    for _ in range(10_000):
        free = slots[key][owner[slots[key]] < 0]
        if len(free):
            owner[free[0]] = key
            return
        slot = rng.choice(slots[key])
        owner[slot], key = key, owner[slot]
    raise ValueError(
        "The keys do not fit in the map; give a larger `map_size`. Received: "
        f"map_size={len(owner)}"
    )
