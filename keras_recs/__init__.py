"""Deep recommenders for TensorFlow and Keras 3: from raw logs to a served prediction.

The layers, losses, models and optimizers are imported with the package, so that
`keras.models.load_model` knows them; other subpackages load when they are first used.
TensorFlow is imported by what needs it only: with another Keras backend the layers,
losses, models and metrics do without.
"""

import importlib
import os

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
    "losses",
    "metrics",
    "models",
    "optimizers",
    "preprocessing",
    "training",
    "tuning",
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

# Processes that only read raw data, or check an export, do without Keras and
# TensorFlow, which take seconds and half a gigabyte each.
if not os.environ.get("KERAS_RECS_WITHOUT_KERAS"):
    import keras_recs.layers
    import keras_recs.losses
    import keras_recs.models
    import keras_recs.optimizers


def __getattr__(name: str):
    if name in _SUBPACKAGES:
        return importlib.import_module(f"keras_recs.{name}")
    raise AttributeError(f"module 'keras_recs' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*__all__, *_SUBPACKAGES])
