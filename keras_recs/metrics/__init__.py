"""Exact metrics of click models, in NumPy.

They are what tables, early stopping and tuning use; `keras.metrics.AUC` approximates.
"""

from keras_recs.metrics.auc import auc
from keras_recs.metrics.calibration_ratio import calibration_ratio
from keras_recs.metrics.expected_calibration_error import expected_calibration_error
from keras_recs.metrics.gauc import gauc
from keras_recs.metrics.log_loss import log_loss
from keras_recs.metrics.mispredicted_watch_time import mispredicted_watch_time

__all__ = [
    "auc",
    "calibration_ratio",
    "expected_calibration_error",
    "gauc",
    "log_loss",
    "mispredicted_watch_time",
]
