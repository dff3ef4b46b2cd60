"""Raw value to table row or number: Keras layers, and their streaming fit."""

import importlib

from keras_recs.preprocessing.fit import fit
from keras_recs.preprocessing.reading.raw_format import RawFormat

# The layers need TensorFlow, which reading and counting raw data does not.
_LAYERS = {
    "Bucketize": "bucketize",
    "HashKey": "hash_key",
    "HashLookup": "hash_lookup",
    "HashedCross": "hashed_cross",
    "IdentityLookup": "identity_lookup",
    "NumericTransform": "numeric_transform",
    "SchemaPreprocessor": "schema_preprocessor",
    "VocabularyLookup": "vocabulary_lookup",
}

__all__ = ["RawFormat", "fit", *_LAYERS]


def __getattr__(name: str):
    if name in _LAYERS:
        return getattr(importlib.import_module(f"{__name__}.{_LAYERS[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
