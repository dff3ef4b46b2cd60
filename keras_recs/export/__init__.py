"""SavedModels that take raw features, verified and published for TF Serving.

TensorFlow is imported when a model is exported, not here: the process that checks an
export must work without TensorFlow's Python.
"""

from keras_recs.export.saved_model import saved_model
from keras_recs.export.write_table import write_table

__all__ = ["saved_model", "write_table"]
