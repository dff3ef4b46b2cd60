"""Checkpoints of which each parameter server writes its own part."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_recs.layers.embedding.whole_folder import whole_folder
from keras_recs.training.checkpoints import Checkpoints
from keras_recs.training.parameter_server.lost_servers import LostServer, is_lost

_ARRAYS = "arrays.npz"
_ABOUT = "about"  # the entry of it that holds the JSON


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """What is stored.

    Attributes:
        tensors: dict of a server's device to a dict of name to tensor on it.
        arrays: dict of name to array of the chief.
    """

    tensors: Mapping[str, Mapping[str, Any]]
    arrays: Mapping[str, np.ndarray]


class ServerCheckpoints(Checkpoints):
    """Numbered folders, of which the newest ones are kept.

    A server writes what it holds to the folder, which all of them see under the same
    path; nothing of it travels to the chief. TensorFlow keeps a checksum of each
    tensor, and the chief's own file one of each entry, so that reading finds what is
    damaged. The folder gets its name when all of it is on the disk.
    """

    _pattern = re.compile(r"state-\d{8}")

    def newest_first(self) -> list[Path]:
        """Paths of the whole ones."""
        return self._paths()[::-1]

    def wait(self) -> None:
        """Waits until the folder is there.

        Raises:
            LostServer: if a server was lost before it wrote its part.
            OSError: if it could not be written otherwise.
        """
        try:
            super().wait()
        except OSError as error:
            if is_lost(error.__cause__):
                raise LostServer(str(error)) from None
            raise

    def about(self, path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """The arrays of the chief and the `about`.

        Raises:
            ValueError: if they are damaged.
        """
        try:
            with np.load(path / _ARRAYS, allow_pickle=False) as entries:
                arrays = {name: entries[name] for name in entries.files}
            return arrays, json.loads(arrays.pop(_ABOUT).tobytes().decode())
        except Exception as error:  # zip and NumPy have many kinds
            raise ValueError(f"it cannot be read: {error}") from error

    def restore(self, path: Path, variables: Mapping[str, Mapping[str, Any]]) -> None:
        """Each server reads what it holds.

        Args:
            path: of a checkpoint.
            variables: dict of device to a dict of name to `tf.Variable`.

        Raises:
            ValueError: if a file is damaged or is not there.
        """
        import tensorflow as tf

        for device, group in variables.items():
            for name, variable in group.items():
                try:
                    with tf.device(device):
                        (value,) = tf.raw_ops.RestoreV2(
                            prefix=_prefix(path, device),
                            tensor_names=[name],
                            shape_and_slices=[""],
                            dtypes=[variable.dtype],
                        )
                        variable.assign(value)
                except (
                    tf.errors.DataLossError,
                    tf.errors.InvalidArgumentError,
                    tf.errors.NotFoundError,
                    tf.errors.OutOfRangeError,
                ) as error:
                    raise ValueError(f"'{name}' of {device}: {error.message}") from None

    def remove_after(self, path: Path) -> None:
        """Removes those that are newer."""
        for other in self._paths():
            if other > path:
                self._remove(other)

    def _write_one(self, number: int, arrays: Snapshot, text: str) -> None:
        import tensorflow as tf

        with whole_folder(self.folder / f"state-{number:08d}") as part:
            for device, tensors in arrays.tensors.items():
                with tf.device(device):
                    tf.raw_ops.SaveV2(
                        prefix=_prefix(part, device),
                        tensor_names=list(tensors),
                        shape_and_slices=[""] * len(tensors),
                        tensors=list(tensors.values()),
                    )
                if not Path(f"{_prefix(part, device)}.index").exists():
                    raise OSError(
                        f"{device} wrote its part where the chief does not see it. The "
                        f"folder '{self.folder}' must be one that all servers share."
                    )
            content = dict(arrays.arrays)
            content[_ABOUT] = np.frombuffer(text.encode(), np.uint8)
            np.savez(part / _ARRAYS, **content)  # type: ignore[arg-type]

    def _remove(self, path: Path) -> None:
        doomed = path.with_name(f"{path.name}.part-{os.getpid()}")
        path.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)

    def _sweep(self) -> None:
        for path in self.folder.glob("state-*.part-*"):
            shutil.rmtree(path, ignore_errors=True)


def _prefix(folder: Path, device: str) -> str:
    import tensorflow as tf

    place = tf.DeviceSpec.from_string(device)
    return str(folder.absolute() / f"{place.job}-{place.task}")
