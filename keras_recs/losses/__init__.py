"""Losses of recommenders, in `keras.ops`."""

from keras_recs.losses.labelled_loss import LabelledLoss
from keras_recs.losses.losses_of import losses_of
from keras_recs.losses.weighted_logistic_loss import WeightedLogisticLoss

__all__ = ["LabelledLoss", "WeightedLogisticLoss", "losses_of"]
