"""Losses of recommenders, in `keras.ops`."""

from keras_recs.losses.bayesian_personalized_ranking import BayesianPersonalizedRanking
from keras_recs.losses.bpr_max import BPRMax
from keras_recs.losses.candidate_binary_crossentropy import CandidateBinaryCrossentropy
from keras_recs.losses.catalogue_cross_entropy import catalogue_cross_entropy
from keras_recs.losses.correct_scores import correct_scores
from keras_recs.losses.funnel_crossentropy import FunnelCrossentropy
from keras_recs.losses.generalized_binary_crossentropy import (
    GeneralizedBinaryCrossentropy,
)
from keras_recs.losses.info_nce import info_nce
from keras_recs.losses.labelled_loss import LabelledLoss
from keras_recs.losses.losses_of import losses_of
from keras_recs.losses.positive_first import positive_first
from keras_recs.losses.sampled_softmax import SampledSoftmax
from keras_recs.losses.top1 import Top1
from keras_recs.losses.top1_max import Top1Max
from keras_recs.losses.weighted_logistic_loss import WeightedLogisticLoss

__all__ = [
    "BPRMax",
    "BayesianPersonalizedRanking",
    "CandidateBinaryCrossentropy",
    "FunnelCrossentropy",
    "GeneralizedBinaryCrossentropy",
    "LabelledLoss",
    "SampledSoftmax",
    "Top1",
    "Top1Max",
    "WeightedLogisticLoss",
    "catalogue_cross_entropy",
    "correct_scores",
    "info_nce",
    "losses_of",
    "positive_first",
]
