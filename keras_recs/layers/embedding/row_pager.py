"""The host's side of a table of which only some rows are in memory."""

import contextlib
import gc
import os
import shutil
import uuid
import weakref
from pathlib import Path

import numpy as np

from keras_recs.layers.embedding.initial_rows import initial_rows
from keras_recs.layers.embedding.row_files import (
    HEADER,
    RowFiles,
    copy_table,
    read_header,
)
from keras_recs.layers.embedding.whole_folder import sync_folder, whole_folder

_CHUNK = 65_536  # rows that are moved at once outside of training
_MOST = 255  # of a frequency
_SAMPLE = 8  # slots that are looked at for each one to evict
_HALVING = 40  # lookups a slot after which frequencies are halved


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
        self._taken_over = False
        self._forget()

    @staticmethod
    def seed_of(folder):
        """Seed of the table in a folder, `None` where there is none."""
        folder = Path(folder)
        if not (folder / HEADER).exists():
            return None
        return read_header(folder)["initial"]["seed"]

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
        rows = self.checked(rows)
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
                "smaller batch or more of them; "
                f"{min(len(rows), self.num_rows)} are enough for every batch of this "
                f"size. Received: hot_rows={self.hot_rows}"
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
        rows = self.checked(rows)
        slots = self.slots_of(rows)
        cold = np.flatnonzero(slots < 0)
        return np.maximum(slots, 0), cold.astype("int32"), self.read(rows[cold])

    def checked(self, rows):
        """The rows as an array `(n,)`, all of which are in the table."""
        rows = np.asarray(rows).reshape(-1)
        if len(rows) and (rows.min() < 0 or rows.max() >= self.num_rows):
            wrong = rows[(rows < 0) | (rows >= self.num_rows)][0]
            raise ValueError(
                f"Row {wrong} is not in the table '{self.folder}' of {self.num_rows} "
                "rows. Map ids that are not known to a row of their own before."
            )
        return rows

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
                return self.initial_rows(rows)
            written = self._files.are_written(rows)
            if written.all():
                values = self._files.rows[rows]
            else:
                values = np.empty((len(rows), self.embedding_dim), "float32")
                values[written] = self._files.rows[rows[written]]
                values[~written] = self.initial_rows(rows[~written])
            self.bytes_read += 4 * self.embedding_dim * np.count_nonzero(written)
            return values
        if self._files is None or name not in self._files.slots:
            slot = self._attached[name][1]
            return np.full((len(rows), *slot["width"]), slot["initial"], "float32")
        values = self._files.read_slot(name, rows)
        self.bytes_read += values.nbytes
        return values

    def initial_rows(self, rows):
        """What rows start with, float32 `(n, D)`."""
        return initial_rows(self.initial, rows, self.embedding_dim)

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

    @property
    def is_left_over(self):
        """Whether the files hold trained rows that nothing here made or took over.

        Loading saved weights takes them over, as `restore` and a training step do.
        """
        return self.state != "" and not self._taken_over

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

    @contextlib.contextmanager
    def changing(self, values_of_slots):
        """While it lasts, `overwrite` may be called.

        Files that were complete are so again at its end; rows in memory are written.

        Args:
            values_of_slots: as for `flush`.
        """
        self._open(writing=True)
        was_complete = not self._files.training
        if was_complete:
            self._files.commit(None)
        yield
        if was_complete:
            self.flush(values_of_slots)

    def overwrite(self, rows, values, name=None):
        """Writes to the files, but not to the rows in memory, which the caller sets.

        Args:
            rows: int64 `(n,)`, each once.
            values: float32 `(n, D)`, or `(n,)` for a slot of one number a row.
            name: of a slot; the rows themselves without. Defaults to `None`.
        """
        if name is None:
            self._write(rows, values, {})
        else:
            self._files.write_slot(name, rows, values)

    def replace(self, rows, values, slots, state):
        """Puts other contents in the place of the files; all rows leave memory.

        Args:
            rows: ints `(n,)`, the rows that are not as they start.
            values: array, or file, of `(n, D)`.
            slots: dict of name to a pair of the dict that `stored_slot` gives and the
                array.
            state: string. As `state` gives it.
        """
        # What the files hold now counts, not an optimizer that was attached before.
        self._restarted.clear()
        self._taken_over = True
        if self._is_on_disk(state):
            self._close()
            self._forget()
            return
        described = {name: slot for name, (slot, _) in slots.items()}
        with self._replaced() as folder:
            RowFiles.create(folder, self._table(), described)
            files = RowFiles(folder, self._table(), writing=True)
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
        with whole_folder(folder) as new:
            copy_table(Path(self.folder), new, self._table())

    def restore(self, folder):
        """Puts a snapshot in the place of the files; all rows leave memory."""
        if RowFiles(folder, self._table(), writing=False).training:
            raise ValueError(f"'{folder}' is no snapshot: it was never flushed.")
        with self._replaced() as new:
            copy_table(Path(folder), new, self._table())
        self._restarted.clear()
        self._taken_over = True

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
                with whole_folder(folder) as new:
                    RowFiles.create(new, self._table(), {})
        files = RowFiles(folder, self._table(), writing)
        if files.training:
            raise ValueError(
                f"The table '{self.folder}' is being trained elsewhere, or was and not "
                "flushed: rows that were in memory are not in its files. Call "
                "`flush()` after training; now use `restore(folder)`, load saved "
                "weights, or remove the folder."
            )
        self._files = files
        if writing:
            self._taken_over = True
            self._add_slots()

    def _add_slots(self):
        for name, (_, slot) in self._attached.items():
            there = self._files.header["slots"].get(name)
            if there is None or name in self._restarted:
                self._files.add_slot(name, slot)
            elif there != slot:
                raise ValueError(
                    f"'{Path(self.folder) / HEADER}' keeps the optimizer's '{name}' "
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
        for attempt in range(2):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if attempt:
                    os.close(handle)
                    raise ValueError(
                        f"`folder` '{self.folder}' is held by another process or layer "
                        "that trains it. Use another folder, or end that one."
                    ) from None
                gc.collect()  # a model that was dropped holds it until then
        self._lock = weakref.finalize(self, os.close, handle)

    @contextlib.contextmanager
    def _replaced(self):
        """A folder to fill that takes the place of `self.folder`."""
        self._take_lock()
        path = Path(self.folder)
        if path.exists() and any(path.iterdir()) and not (path / HEADER).exists():
            raise ValueError(
                f"`folder` '{path}' holds other files than a table, which would be "
                "lost."
            )
        new = path.with_name(f"{path.name}.new-{uuid.uuid4().hex}")
        with whole_folder(new) as part:
            yield part
        self._close()
        if path.exists():
            old = path.with_name(f"{path.name}.old-{uuid.uuid4().hex}")
            os.rename(path, old)
            os.rename(new, path)
            shutil.rmtree(old)
        else:
            os.rename(new, path)
        sync_folder(path.parent)
        self._forget()

    def _is_on_disk(self, state):
        folder = Path(self.folder)
        if not (folder / HEADER).exists():
            return state == ""
        header = read_header(folder)
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
