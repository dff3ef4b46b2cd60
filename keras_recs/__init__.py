"""Deep recommenders for TensorFlow and Keras 3: from raw logs to a served prediction.

Subpackages load when they are first used, so that `import keras_recs` stays light and
works where TensorFlow is absent.
"""

import importlib

from keras_recs.schema import (
    CategoricalFeature,
    CrossedFeature,
    Label,
    MultiValuedFeature,
    NumericFeature,
    Schema,
    SequenceFeature,
)
from keras_recs.version import __version__

_SUBPACKAGES = (
    "data",
    "evaluation",
    "export",
    "interop",
    "layers",
    "metrics",
    "models",
    "preprocessing",
    "training",
)

__all__ = [
    "CategoricalFeature",
    "CrossedFeature",
    "Label",
    "MultiValuedFeature",
    "NumericFeature",
    "Schema",
    "SequenceFeature",
    "__version__",
]


def __getattr__(name: str):
    if name in _SUBPACKAGES:
        return importlib.import_module(f"keras_recs.{name}")
    raise AttributeError(f"module 'keras_recs' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*__all__, *_SUBPACKAGES])
