"""SavedModels that take raw features, verified and published for TF Serving.

TensorFlow is imported when a model is exported, not here: the process that checks an
export must work without TensorFlow's Python.
"""

from keras_recs.export.saved_model import saved_model

__all__ = ["saved_model"]
