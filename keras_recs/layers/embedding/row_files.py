"""The files of a table, as they lie in a folder."""

import contextlib
import json
import mmap
import os
import shutil
from pathlib import Path

import numpy as np

HEADER, _ROWS, _WRITTEN = "header.json", "rows.float32", "written.bits"
_ROOM_CHECK = 2**26  # bytes written between two looks at the free disk space


class RowFiles:
    """The mapped files of a table, as its header describes them.

    A slot is stored as its bits XOR those of its initial value, so that the zeros of a
    sparse file are the initial value.
    """

    def __init__(self, folder, table, writing):
        self.folder = Path(folder)
        self.writing = writing
        self.header = read_header(self.folder)
        for key, value in table.items():
            if self.header.get(key) != value:
                raise ValueError(
                    f"'{self.folder / HEADER}' is of another table: {key}="
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
                f"'{file}' is missing, which '{self.folder / HEADER}' describes. Use "
                "`restore(folder)` or remove the folder."
            )
        size = file.stat().st_size
        if size != expected:
            raise ValueError(
                f"'{file}' must have {expected} bytes, as '{self.folder / HEADER}' "
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


def read_header(folder):
    """The dict that describes a table; its `state` says whether the files are whole.

    Raises:
        FileNotFoundError: where there is no table.
        ValueError: for a header that is damaged.
    """
    file = folder / HEADER
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
    part = folder / f"{HEADER}.new"
    with open(part, "w", encoding="utf-8") as file:
        json.dump(header, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, folder / HEADER)


def _make_sparse(file, size):
    with open(file, "wb") as stream:
        stream.truncate(size)


def copy_table(source, target, table):
    """Copies the files of a table to a folder that is there, the header last."""
    header = RowFiles(source, table, writing=False).header
    names = [_ROWS, _WRITTEN, *map(_slot_file, header["slots"])]
    for name in names:
        _copy_sparse(source / name, target / name)
    shutil.copy(source / HEADER, target / HEADER)


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
