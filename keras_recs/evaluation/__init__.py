"""Measuring a model, and pictures of it."""

from keras_recs.evaluation.evaluate import evaluate
from keras_recs.evaluation.plot_reliability import plot_reliability
from keras_recs.evaluation.plot_roc import plot_roc
from keras_recs.evaluation.plot_training_curves import plot_training_curves
from keras_recs.evaluation.predictions import Predictions

__all__ = [
    "Predictions",
    "evaluate",
    "plot_reliability",
    "plot_roc",
    "plot_training_curves",
]
