"""tensorflow-io, or an error that says which versions it needs."""

from __future__ import annotations

import importlib.metadata
import warnings
from types import ModuleType

_TENSORFLOW = "2.16."
_TENSORFLOW_IO = "0.37."


def import_tensorflow_io(user: str) -> ModuleType:
    """Imports tensorflow-io and loads its native operations.

    Args:
        user: string. Who asks, for the message.

    Returns:
        The module `tensorflow_io`.

    Raises:
        ImportError: where tensorflow-io is absent, or cannot work with the TensorFlow
            that is installed; the versions that work are named.
    """
    import tensorflow as tf

    try:
        version = importlib.metadata.version("tensorflow-io")
    except importlib.metadata.PackageNotFoundError:
        raise ImportError(_message(user, f"TensorFlow {tf.__version__} alone"))
    found = f"TensorFlow {tf.__version__} and tensorflow-io {version}"
    works = tf.__version__.startswith(_TENSORFLOW) and version.startswith(
        _TENSORFLOW_IO
    )
    if not works:  # importing it would warn, and fail when it is first used
        raise ImportError(_message(user, found))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import tensorflow_io
            from tensorflow_io.python.ops import core_ops

            core_ops.io_parquet_readable_read  # noqa: B018  loads the native library
    except (ImportError, AttributeError, NotImplementedError, tf.errors.OpError) as e:
        raise ImportError(_message(user, f"{found}, which does not load")) from e
    return tensorflow_io


def _message(user: str, found: str) -> str:
    return (
        f"{user} needs tensorflow-io, whose native operations work with one TensorFlow "
        "only: tensorflow==2.16.2 with tensorflow-io==0.37.1. Found: "
        f"{found}. Install them in an environment of their own, `pip install "
        "'keras-recs[io]'`, or convert the files with `python -m pipelines.prepare` "
        "and use keras_recs.data.tfrecord_dataset, which needs neither."
    )
