"""tensorflow-recommenders beside Keras 3, or an error that says what to change."""

from __future__ import annotations

import importlib.util
import os
from types import ModuleType

_VARIABLE = "TF_USE_LEGACY_KERAS"


def import_tensorflow_recommenders() -> ModuleType:
    """Imports TensorFlow Recommenders with `tf.keras` as the Keras 2 that it needs.

    `import keras` stays Keras 3: models of both live in one process, and a TensorFlow
    function may call both. TensorFlow decides what `tf.keras` is when it is first
    used, so nothing may use it before this call; importing TensorFlow, Keras and
    keras_recs does not. The environment variable `TF_USE_LEGACY_KERAS` is set to `1`
    and stays, for the processes that this one starts.

    Returns:
        The module `tensorflow_recommenders`.

    Raises:
        ImportError: where it or `tf_keras` is not installed.
        RuntimeError: where `tf.keras` already is Keras 3.
    """
    for module, package in (
        ("tensorflow_recommenders", "tensorflow-recommenders"),
        ("tf_keras", "tf-keras"),
    ):
        if importlib.util.find_spec(module) is None:
            raise ImportError(
                f"The package {package} is not installed: `pip install "
                "'tensorflow-recommenders>=0.7.7'` brings it, and the tf-keras that "
                "belongs to the installed TensorFlow."
            )
    import tensorflow as tf

    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = "1"
    # From now on `tf.keras` stays what it is; Keras 2 has no version in it.
    version = getattr(tf.keras, "__version__", "2.")
    if not version.startswith("2."):
        if before is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = before
        raise RuntimeError(
            "tensorflow-recommenders needs `tf.keras` to be Keras 2, and in this "
            f"process it already is Keras {version}. Call "
            "keras_recs.interop.import_tensorflow_recommenders before anything uses "
            f"`tf.keras`, or start the process with {_VARIABLE}=1. "
            "`import keras` is Keras 3 in any case."
        )
    import tensorflow_recommenders

    return tensorflow_recommenders
