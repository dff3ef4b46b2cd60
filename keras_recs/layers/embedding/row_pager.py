"""The host's side of a table of which only some rows are in memory."""

import contextlib
import json
import mmap
import os
import shutil
import uuid
import weakref
from pathlib import Path

import numpy as np

_HEADER, _ROWS, _WRITTEN = "header.json", "rows.float32", "written.bits"
_CHUNK = 65_536  # rows that are moved at once outside of training
_MOST = 255  # of a frequency
_SAMPLE = 8  # slots that are looked at for each one to evict
_HALVING = 40  # lookups a slot after which frequencies are halved
_ROOM_CHECK = 2**26  # bytes written between two looks at the free disk space


class RowPager:
    """Decides which rows are in memory, and reads and writes the files of all of them.

    Memory is `hot_rows` slots whose values somebody else keeps; `plan` says which slot
    each row of a batch gets, `store` takes the values of the rows that had to leave.
    The row that leaves is, of a sample, the one that was in the fewest batches. How
    often a row was needed is remembered when it leaves, and halved from time to time,
    so that rows which are needed often come to stay.

    The files are in one folder. A row that was never stored takes no disk space, and
    its values follow from its number and the seed. A header is written last and
    atomically; it says whether the files are complete (`flush`) or being trained.

    Args:
        folder: path of the files' folder; made when the first row is trained.
        num_rows: int.
        embedding_dim: int.
        hot_rows: int. Slots.
        initial: dict of `distribution` (`"uniform"`, `"normal"`, `"truncated_normal"`
            or `"constant"`), `mean`, `scale` (half the width of a uniform one, else the
            standard deviation) and `seed`.
        prefix: string. Start of the names of slot variables that is dropped. Defaults
            to `""`.

    Attributes:
        hits, misses: lookups in training whose row was in memory, or was not.
        evictions: rows that left.
        bytes_read, bytes_written: of rows, and of what an optimizer keeps for them.

    Raises:
        ValueError: for a row outside the table, a batch that needs more slots than
            there are, files of another table, of the wrong size or not flushed, and a
            folder that another process or layer trains.
        FileNotFoundError: for a file that the header names and that is not there.

    Example:
    >>> import os, tempfile
    >>> from keras_recs.layers.embedding.row_pager import RowPager
    >>> initial = {"distribution": "constant", "mean": 0.5, "scale": 0.0, "seed": 0}
    >>> folder = os.path.join(tempfile.mkdtemp(), "table")
    >>> pager = RowPager(folder, 9, embedding_dim=2, hot_rows=3, initial=initial)
    >>> slots, leaving, leaving_rows, filled, values = pager.plan(np.array([7, 4]))
    >>> pager.store(leaving_rows, np.zeros((0, 2), "float32"))
    >>> sorted(slots.tolist()), values.tolist()
    ([0, 1], [[0.5, 0.5], [0.5, 0.5]])
    """

    def __init__(self, folder, num_rows, embedding_dim, hot_rows, initial, prefix=""):
        self.folder = str(Path(folder))
        self.num_rows = num_rows
        self.embedding_dim = embedding_dim
        self.hot_rows = hot_rows
        self.initial = dict(initial)
        self.prefix = prefix
        self.hits = self.misses = self.evictions = 0
        self.bytes_read = self.bytes_written = 0
        self._attached = {}
        self._restarted = set()
        self._files = None
        self._lock = None
        self._forget()

    @staticmethod
    def seed_of(folder):
        """Seed of the table in a folder, `None` where there is none."""
        folder = Path(folder)
        if not (folder / _HEADER).exists():
            return None
        return _read_header(folder)["initial"]["seed"]

    # === Slots of the optimizer ===

    def attach(self, slot_variable, initial_value):
        """Lets a variable of the optimizer travel with the rows.

        The first one of a name in a process goes on with what the files hold. Another
        one of that name starts anew, as a new optimizer does.

        Args:
            slot_variable: Keras variable `(hot_rows,)` or `(hot_rows, D)`, float32. It
                is not kept alive.
            initial_value: float. Of a row that was not trained.
        """
        name = slot_variable.name.removeprefix(f"{self.prefix}_")
        shape = tuple(slot_variable.shape)
        if shape not in ((self.hot_rows,), (self.hot_rows, self.embedding_dim)):
            raise ValueError(
                f"`slot_variable` '{name}' must have one entry, or one row, for each "
                f"of the {self.hot_rows} rows in memory. Received: shape={shape}"
            )
        if str(slot_variable.dtype) != "float32":
            raise ValueError(
                f"`slot_variable` '{name}' must be float32. Received: "
                f"dtype={slot_variable.dtype}"
            )
        if not name.replace("_", "").isalnum():
            raise ValueError(
                "The name of a `slot_variable` becomes that of a file and may hold "
                f"letters, digits and '_'. Received: name={name!r}"
            )
        if name in self._attached:
            self._restarted.add(name)
        slot = {"width": list(shape[1:]), "initial": float(initial_value)}
        self._attached[name] = (weakref.ref(slot_variable), slot)
        if self._files is not None and self._files.writing:
            self._add_slots()

    @property
    def attached(self):
        """Dict of name to the slot variables that are still there."""
        found = {name: variable() for name, (variable, _) in self._attached.items()}
        return {name: found[name] for name in sorted(found) if found[name] is not None}

    @property
    def slot_names(self):
        """Names of all that is kept beside the rows, attached or only in the files."""
        self._open()
        stored = self._files.header["slots"] if self._files else {}
        return sorted({*stored, *self.attached})

    # === A step ===

    def plan(self, rows, names=()):
        """Gives each row of a batch a slot.

        Args:
            rows: ints `(n,)`.
            names: of the attached variables that the caller moves.

        Returns:
            Slots of `rows`, int32 `(n,)`; slots to empty, int32 `(e,)`, and their rows,
            int64; slots to fill, int32 `(m,)`, and their values `(m, D)`, followed by
            those of each of `names`. `store` must follow.
        """
        if list(names) != list(self.attached):
            raise ValueError(
                f"The optimizer of the table '{self.folder}' was built after the "
                "training step was traced: call "
                "`optimizer.build(model.trainable_variables)` before. Received: "
                f"names={list(names)} and now {list(self.attached)}"
            )
        if self._moving:
            raise ValueError(
                f"A training step of the table '{self.folder}' stopped while rows "
                "moved, which are lost. Use `restore(folder)`, or load saved weights."
            )
        rows = self._checked(rows)
        self._open(writing=True)
        slots = self._entry_of_row[rows]  # (n,)
        slots -= 1
        missing = np.flatnonzero(slots < 0)
        wanted = np.unique(rows[missing])
        self._in_batch[slots[slots >= 0]] = True
        here = np.flatnonzero(self._in_batch)  # sorted, each once
        if len(here) + len(wanted) > self.hot_rows:
            self._in_batch[here] = False
            raise ValueError(
                f"A batch needs {len(here) + len(wanted)} different rows of the table "
                f"'{self.folder}', of which `hot_rows` are in memory at once: use a "
                "smaller batch or more of them. Received: "
                f"hot_rows={self.hot_rows}"
            )
        if not self._files.training:
            self._files.commit(None)
        frequency = self._frequency[here]
        self._frequency[here] = frequency + (frequency < _MOST)
        self.misses += len(missing)
        self.hits += len(rows) - len(missing)
        filled, leaving = self._free_slots(len(wanted))
        leaving_rows = self._row_of_slot[leaving]
        self._in_batch[here] = False
        self._remember(leaving_rows, leaving)
        self._frequency[filled] = self._remembered(wanted)
        self._row_of_slot[filled] = wanted
        self._entry_of_row[wanted] = filled + 1
        slots[missing] = self._entry_of_row[rows[missing]] - 1
        self._age(len(rows))
        self._moving = True
        values = [self.read(wanted), *(self.read(wanted, name) for name in names)]
        return slots, leaving, leaving_rows, filled, *values

    def store(self, rows, values, slots=(), names=()):
        """Writes the rows that leave.

        Args:
            rows: int64 `(e,)`, from `plan`.
            values: float32 `(e, D)`.
            slots: list of arrays, of each of `names`.
            names: as for `plan`.
        """
        if len(rows):
            self._write(rows, values, dict(zip(names, slots)))
        self._moving = False

    def lookup(self, rows):
        """Where the rows of a batch are; moves nothing.

        Args:
            rows: ints `(n,)`.

        Returns:
            Slots, int32 `(n,)`, any for a row that is not in memory; positions of these
            rows, int32 `(c,)`, and their values `(c, D)`.
        """
        rows = self._checked(rows)
        slots = self.slots_of(rows)
        cold = np.flatnonzero(slots < 0)
        return np.maximum(slots, 0), cold.astype("int32"), self.read(rows[cold])

    def slots_of(self, rows):
        """Slots of rows, int32, with -1 for those that are not in memory."""
        return np.maximum(self._entry_of_row[rows], 0) - 1

    def read(self, rows, name=None):
        """What the files hold for rows, or what rows start with.

        Args:
            rows: int64 `(n,)`.
            name: of a slot; the rows themselves without. Defaults to `None`.

        Returns:
            Float32 `(n, D)`, or `(n,)` for a slot of one number a row.
        """
        self._open()
        if name is None:
            if self._files is None:
                return self._initial_rows(rows)
            written = self._files.are_written(rows)
            if written.all():
                values = self._files.rows[rows]
            else:
                values = np.empty((len(rows), self.embedding_dim), "float32")
                values[written] = self._files.rows[rows[written]]
                values[~written] = self._initial_rows(rows[~written])
            self.bytes_read += 4 * self.embedding_dim * np.count_nonzero(written)
            return values
        if self._files is None or name not in self._files.slots:
            slot = self._attached[name][1]
            return np.full((len(rows), *slot["width"]), slot["initial"], "float32")
        values = self._files.read_slot(name, rows)
        self.bytes_read += values.nbytes
        return values

    def scan(self, rows, name=None):
        """As `read`, for rows that lie one after the other in the files."""
        self._open()
        scanned = self._files.scanned() if self._files else contextlib.nullcontext()
        with scanned:
            return self.read(rows, name)

    @property
    def hit_rate(self):
        """Share of the lookups in training whose row was in memory."""
        return self.hits / max(1, self.hits + self.misses)

    @property
    def num_hot(self):
        """Rows that are in memory."""
        return self._used

    # === Files ===

    def flush(self, values_of_slots):
        """Writes the rows that are in memory, and marks the files as complete.

        Args:
            values_of_slots: function of int32 slots `(n,)` that returns their values
                `(n, D)` and a list of those of each attached variable.
        """
        if self._files is None or not self._files.training:
            return
        if self._moving:
            raise ValueError(
                f"A training step of the table '{self.folder}' stopped while rows "
                "moved, which are lost, so that nothing was flushed."
            )
        order = np.argsort(self._row_of_slot[: self._used]).astype("int32")
        for start in range(0, self._used, _CHUNK):
            slots = order[start : start + _CHUNK]
            values, others = values_of_slots(slots)
            rows = self._row_of_slot[slots]
            self._write(rows, values, dict(zip(self.attached, others)))
        self._files.sync()
        self._files.commit(uuid.uuid4().hex)

    @property
    def state(self):
        """Name of what was flushed; `""` if nothing was trained, `None` in training."""
        self._open()
        return self._files.header["state"] if self._files else ""

    def stored_rows(self):
        """Numbers of the rows that the files hold, int64, in order."""
        self._open()
        if self._files is None:
            return np.zeros(0, "int64")
        bits = self._files.written
        parts = [
            8 * start
            + np.flatnonzero(
                np.unpackbits(bits[start : start + 2**21], bitorder="little")
            )
            for start in range(0, len(bits), 2**21)
        ]
        return np.concatenate(parts).astype("int64")

    def stored_slot(self, name):
        """Dict of `width` and `initial` of a slot."""
        if name in self._attached:
            return self._attached[name][1]
        return self._files.header["slots"][name]

    def replace(self, rows, values, slots, state):
        """Puts other contents in the place of the files; all rows leave memory.

        Args:
            rows: ints `(n,)`, the rows that are not as they start.
            values: array, or file, of `(n, D)`.
            slots: dict of name to a pair of the dict that `stored_slot` gives and the
                array.
            state: string. As `state` gives it.
        """
        if self._is_on_disk(state):
            self._close()
            self._forget()
            return
        described = {name: slot for name, (slot, _) in slots.items()}
        with self._replaced() as folder:
            _Files.create(folder, self._table(), described)
            files = _Files(folder, self._table(), writing=True)
            for start in range(0, len(rows), _CHUNK):
                part = slice(start, start + _CHUNK)
                numbers = np.asarray(rows[part], "int64")
                files.write_rows(numbers, values[part])
                for name, (_, array) in slots.items():
                    files.write_slot(name, numbers, array[part])
            files.sync()
            files.commit(state)

    def snapshot(self, folder):
        """Copies the flushed files to a new folder, whole or not at all."""
        folder = Path(folder)
        if folder.exists():
            raise ValueError(
                "`folder` must not exist: give each snapshot a name of its own. "
                f"Received: folder='{folder}'"
            )
        self._open()
        if self._files is None:
            self._open(writing=True)
        if self._files.training:
            raise ValueError(
                f"The table '{self.folder}' must be flushed before a snapshot."
            )
        with _whole(folder) as new:
            _copy_table(Path(self.folder), new, self._table())

    def restore(self, folder):
        """Puts a snapshot in the place of the files; all rows leave memory."""
        if _Files(folder, self._table(), writing=False).training:
            raise ValueError(f"'{folder}' is no snapshot: it was never flushed.")
        with self._replaced() as new:
            _copy_table(Path(folder), new, self._table())

    def close(self):
        """Ends the use of the files; what was not flushed is lost."""
        self._close()
        self._forget()
        if self._lock is not None:
            self._lock()
            self._lock = None

    def _table(self):
        return {
            "format": 1,
            "num_rows": self.num_rows,
            "embedding_dim": self.embedding_dim,
            "dtype": "<f4",
            "initial": self.initial,
        }

    def _open(self, writing=False):
        if self._files is not None and (self._files.writing or not writing):
            return
        folder = Path(self.folder)
        exists = folder.exists() and any(folder.iterdir())
        if not exists and not writing:
            return
        if writing:
            self._take_lock()
            if not exists:
                with _whole(folder) as new:
                    _Files.create(new, self._table(), {})
        files = _Files(folder, self._table(), writing)
        if files.training:
            raise ValueError(
                f"The table '{self.folder}' is being trained elsewhere, or was and not "
                "flushed: rows that were in memory are not in its files. Call "
                "`flush()` after training; now use `restore(folder)`, load saved "
                "weights, or remove the folder."
            )
        self._files = files
        if writing:
            self._add_slots()

    def _add_slots(self):
        for name, (_, slot) in self._attached.items():
            there = self._files.header["slots"].get(name)
            if there is None or name in self._restarted:
                self._files.add_slot(name, slot)
            elif there != slot:
                raise ValueError(
                    f"'{Path(self.folder) / _HEADER}' keeps the optimizer's '{name}' "
                    f"with {there}, but it was attached with {slot}. Train with that "
                    "optimizer, or begin a new table."
                )
        self._restarted.clear()

    def _write(self, rows, values, slots):
        self._files.write_rows(rows, values)
        self.bytes_written += 4 * self.embedding_dim * len(rows)
        for name, part in slots.items():
            self._files.write_slot(name, rows, part)
            self.bytes_written += part.nbytes

    def _take_lock(self):
        if self._lock is not None:
            return
        import fcntl

        Path(self.folder).parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(f"{self.folder}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise ValueError(
                f"`folder` '{self.folder}' is held by another process or layer that "
                "trains it. Use another folder, or end that one."
            )
        self._lock = weakref.finalize(self, os.close, handle)

    @contextlib.contextmanager
    def _replaced(self):
        """A folder to fill that takes the place of `self.folder`."""
        self._take_lock()
        path = Path(self.folder)
        if path.exists() and any(path.iterdir()) and not (path / _HEADER).exists():
            raise ValueError(
                f"`folder` '{path}' holds other files than a table, which would be "
                "lost."
            )
        new = path.with_name(f"{path.name}.new-{uuid.uuid4().hex}")
        with _whole(new) as part:
            yield part
        self._close()
        if path.exists():
            old = path.with_name(f"{path.name}.old-{uuid.uuid4().hex}")
            os.rename(path, old)
            os.rename(new, path)
            shutil.rmtree(old)
        else:
            os.rename(new, path)
        _sync_folder(path.parent)
        self._forget()

    def _is_on_disk(self, state):
        folder = Path(self.folder)
        if not (folder / _HEADER).exists():
            return state == ""
        header = _read_header(folder)
        return header["state"] == state and header["initial"] == self.initial

    def _close(self):
        self._files = None

    # === Which rows stay ===

    def _forget(self):
        # Of a row: slot + 1, or -(what is remembered) - 1; pages of zeros cost nothing.
        self._entry_of_row = np.zeros(self.num_rows, "int32")
        self._row_of_slot = np.full(self.hot_rows, -1, "int64")
        self._frequency = np.zeros(self.hot_rows, "uint8")
        self._in_batch = np.zeros(self.hot_rows, bool)
        self._used = self._hand = self._lookups = self._halvings = 0
        self._moving = False

    def _checked(self, rows):
        rows = np.asarray(rows).reshape(-1)
        if len(rows) and (rows.min() < 0 or rows.max() >= self.num_rows):
            wrong = rows[(rows < 0) | (rows >= self.num_rows)][0]
            raise ValueError(
                f"Row {wrong} is not in the table '{self.folder}' of {self.num_rows} "
                "rows. Map ids that are not known to a row of their own before."
            )
        return rows

    def _free_slots(self, number):
        """Slots to fill, and those of them to empty before, int32."""
        free = min(number, self.hot_rows - self._used)
        unused = np.arange(self._used, self._used + free, dtype="int32")
        self._used += free
        number -= free
        if not number:
            return unused, unused[:0]
        size = min(self.hot_rows, max(_SAMPLE * number, 64))
        while True:
            sample = np.arange(self._hand, self._hand + size) % self.hot_rows
            frequency = self._frequency[sample].astype("int16")
            # A row of the batch, or one that just came, never leaves.
            frequency[self._in_batch[sample] | (sample >= self._used - free)] = (
                _MOST + 1
            )
            rarest = np.argpartition(frequency, number - 1)[:number]
            if frequency[rarest].max() <= _MOST:
                break
            size = min(self.hot_rows, 2 * size)
        self._hand = (self._hand + size) % self.hot_rows
        leaving = sample[rarest].astype("int32")
        self.evictions += number
        return np.concatenate([unused, leaving]), leaving

    def _remember(self, rows, slots):
        self._entry_of_row[rows] = -(
            self._frequency[slots].astype("int32") + (_MOST + 1) * self._halvings + 1
        )

    def _remembered(self, rows):
        known = np.maximum(-self._entry_of_row[rows] - 1, 0)
        halvings, frequency = np.divmod(known, _MOST + 1)
        frequency >>= np.minimum(self._halvings - halvings, 8)
        return np.minimum(frequency + 1, _MOST)

    def _age(self, lookups):
        self._lookups += lookups
        if self._lookups > _HALVING * self.hot_rows:
            self._lookups = 0
            self._halvings += 1
            self._frequency >>= 1

    # === What rows start with ===

    def _initial_rows(self, rows):
        mean = np.float32(self.initial["mean"])
        scale = np.float32(self.initial["scale"])
        kind = self.initial["distribution"]
        if kind == "constant":
            return np.full((len(rows), self.embedding_dim), mean)
        seed = np.array(_mixed(np.array([self.initial["seed"]], "uint64"))[0])
        element = np.asarray(rows).astype("uint64")[:, None] * np.uint64(
            self.embedding_dim
        ) + np.arange(self.embedding_dim, dtype="uint64")  # (n, D)
        bits = _mixed(element ^ seed)
        if kind == "uniform":
            unit = (bits >> np.uint64(40)).astype("float32") * np.float32(2**-23)
            return mean + scale * (unit - np.float32(1))
        values = _normal(bits)
        while kind == "truncated_normal":
            far = np.abs(values) > 2
            if not far.any():
                break
            bits[far] = _mixed(bits[far])
            values[far] = _normal(bits[far])
        return mean + scale * values


class _Files:
    """The mapped files of a table, as its header describes them.

    A slot is stored as its bits XOR those of its initial value, so that the zeros of a
    sparse file are the initial value.
    """

    def __init__(self, folder, table, writing):
        self.folder = Path(folder)
        self.writing = writing
        self.header = _read_header(self.folder)
        for key, value in table.items():
            if self.header.get(key) != value:
                raise ValueError(
                    f"'{self.folder / _HEADER}' is of another table: {key}="
                    f"{self.header.get(key)!r} there, {key}={value!r} here."
                )
        num_rows, self._dim = table["num_rows"], table["embedding_dim"]
        self._num_rows = num_rows
        self._maps = {}
        self.rows = self._map(_ROWS, "<f4", (num_rows, self._dim))
        self.written = self._map(_WRITTEN, "u1", (-(-num_rows // 8),))
        self.slots = {
            name: self._map(_slot_file(name), "<u4", (num_rows, *slot["width"]))
            for name, slot in self.header["slots"].items()
        }
        self._unchecked = _ROOM_CHECK

    @staticmethod
    def create(folder, table, slots):
        """Makes the files of a table of which no row was trained, the header last."""
        size = 4 * table["num_rows"] * table["embedding_dim"]
        _make_sparse(folder / _ROWS, size)
        _make_sparse(folder / _WRITTEN, -(-table["num_rows"] // 8))
        for name, slot in slots.items():
            width = int(np.prod(slot["width"]))
            _make_sparse(folder / _slot_file(name), 4 * table["num_rows"] * width)
        _write_header(folder, {**table, "slots": slots, "state": ""})

    @property
    def training(self):
        """Whether rows may be in memory that are newer than the files."""
        return self.header["state"] is None

    def add_slot(self, name, slot):
        """Makes a slot that has its initial value for every row."""
        width = int(np.prod(slot["width"]))
        file = self.folder / _slot_file(name)
        part = file.with_name(f"{file.name}.new")
        _make_sparse(part, 4 * self._num_rows * width)
        os.replace(part, file)
        self.header["slots"][name] = slot
        _write_header(self.folder, self.header)
        self.slots[name] = self._map(file.name, "<u4", (self._num_rows, *slot["width"]))

    def are_written(self, rows):
        """Whether rows were ever written."""
        return self.written[rows >> 3] & _bit(rows) != 0

    def write_rows(self, rows, values):
        """Writes rows."""
        self._check_room(len(rows) * 4 * self._dim)
        self.rows[rows] = values
        np.bitwise_or.at(self.written, rows >> 3, _bit(rows))

    def read_slot(self, name, rows):
        """Values of a slot."""
        bits = self.slots[name][rows]
        bits ^= self._initial_bits(name)
        return bits.view("float32")

    def write_slot(self, name, rows, values):
        """Writes values of a slot."""
        values = np.ascontiguousarray(values, "float32")
        self._check_room(values.nbytes)
        self.slots[name][rows] = values.view("uint32") ^ self._initial_bits(name)

    def sync(self):
        """Waits until all is on the disk."""
        for mapped in self._maps.values():
            mapped.flush()

    @contextlib.contextmanager
    def scanned(self):
        """While rows are read one after the other, the system reads ahead."""
        for mapped in self._maps.values():
            _advise(mapped, "MADV_NORMAL")
        try:
            yield
        finally:
            for name, mapped in self._maps.items():
                _advise(mapped, "MADV_NORMAL" if name == _WRITTEN else "MADV_RANDOM")

    def commit(self, state):
        """Names the state of the files; `None` while rows are newer in memory."""
        self.header["state"] = state
        _write_header(self.folder, self.header)

    def _initial_bits(self, name):
        initial = self.header["slots"][name]["initial"]
        return np.float32(initial).view("uint32")

    def _check_room(self, size):
        # A full disk would end the process where a page of a mapped file is written.
        self._unchecked += size
        if self._unchecked < _ROOM_CHECK:
            return
        self._unchecked = 0
        free = shutil.disk_usage(self.folder).free
        if free < 2 * _ROOM_CHECK:
            raise ValueError(
                f"The disk of the table '{self.folder}' is full. Received: {free} "
                "bytes that are free"
            )

    def _map(self, name, dtype, shape):
        file = self.folder / name
        expected = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if not file.exists():
            raise FileNotFoundError(
                f"'{file}' is missing, which '{self.folder / _HEADER}' describes. Use "
                "`restore(folder)` or remove the folder."
            )
        size = file.stat().st_size
        if size != expected:
            raise ValueError(
                f"'{file}' must have {expected} bytes, as '{self.folder / _HEADER}' "
                f"describes it. Received: {size} bytes"
            )
        access = mmap.ACCESS_WRITE if self.writing else mmap.ACCESS_READ
        handle = os.open(file, os.O_RDWR if self.writing else os.O_RDONLY)
        try:
            mapped = mmap.mmap(handle, size, access=access)
        finally:
            os.close(handle)
        self._maps[name] = mapped
        if name != _WRITTEN:
            _advise(mapped, "MADV_RANDOM")
        return np.frombuffer(mapped, dtype).reshape(shape)


def _advise(mapped, advice):
    if hasattr(mmap, advice):  # not on every system
        mapped.madvise(getattr(mmap, advice))


def _bit(rows):
    return np.left_shift(1, rows & 7).astype("uint8")


def _slot_file(name):
    return f"slot_{name}.float32"


def _read_header(folder):
    file = folder / _HEADER
    if not file.exists():
        raise FileNotFoundError(f"'{folder}' is no table: '{file}' is missing.")
    try:
        header = json.loads(file.read_text("utf-8"))
    except ValueError:
        header = None
    if not isinstance(header, dict) or not (
        {"slots", "state", "initial"} <= set(header)
    ):
        raise ValueError(f"'{file}' is damaged. Use `restore(folder)`.")
    return header


def _write_header(folder, header):
    part = folder / f"{_HEADER}.new"
    with open(part, "w", encoding="utf-8") as file:
        json.dump(header, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, folder / _HEADER)


def _make_sparse(file, size):
    with open(file, "wb") as stream:
        stream.truncate(size)


@contextlib.contextmanager
def _whole(folder):
    """A folder to fill that takes its name when the block ends without an error."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f"{folder.name}.part-{uuid.uuid4().hex}")
    part.mkdir()
    try:
        yield part
        for file in part.iterdir():
            handle = os.open(file, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        _sync_folder(part)
        os.rename(part, folder)
        _sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _sync_folder(folder):
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _copy_table(source, target, table):
    header = _Files(source, table, writing=False).header
    names = [_ROWS, _WRITTEN, *map(_slot_file, header["slots"])]
    for name in names:
        _copy_sparse(source / name, target / name)
    shutil.copy(source / _HEADER, target / _HEADER)


def _copy_sparse(source, target):
    """Copies a file; holes, and blocks of zeros, take no space in the copy."""
    block = 2**22
    with open(source, "rb") as old, open(target, "wb") as new:
        size = os.fstat(old.fileno()).st_size
        new.truncate(size)
        position = 0
        while position < size:
            if hasattr(os, "SEEK_DATA"):
                try:
                    position = os.lseek(old.fileno(), position, os.SEEK_DATA)
                except OSError:  # nothing but a hole is left
                    break
                end = os.lseek(old.fileno(), position, os.SEEK_HOLE)
            else:
                end = size
            while position < end:
                data = os.pread(old.fileno(), min(block, end - position), position)
                if data.count(0) < len(data):
                    os.pwrite(new.fileno(), data, position)
                position += len(data)


def _mixed(bits):
    """The finisher of SplitMix64."""
    bits = bits * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x9E3779B97F4A7C15)
    bits ^= bits >> np.uint64(30)
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(27)
    bits *= np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    return bits


def _normal(bits):
    """Standard normal numbers by Box and Muller, from 24 and 24 bits."""
    unit = ((bits >> np.uint64(40)).astype("float32") + np.float32(0.5)) * np.float32(
        2**-24
    )
    angle = (bits & np.uint64(2**24 - 1)).astype("float32")
    angle *= np.float32(2 * np.pi * 2**-24)
    return np.sqrt(-2 * np.log(unit)) * np.cos(angle)
