"""Measuring a model, what it rests on, and pictures of both."""

from keras_recs.evaluation.evaluate import evaluate
from keras_recs.evaluation.explain.attention import Attention
from keras_recs.evaluation.explain.attention_weights import attention_weights
from keras_recs.evaluation.explain.pair_contributions import pair_contributions
from keras_recs.evaluation.explain.pair_terms import PairTerms
from keras_recs.evaluation.explain.permutation_importance import permutation_importance
from keras_recs.evaluation.explain.plot_attention import plot_attention
from keras_recs.evaluation.explain.plot_importance import plot_importance
from keras_recs.evaluation.explain.plot_pairs import plot_pairs
from keras_recs.evaluation.gate_utilization import gate_utilization
from keras_recs.evaluation.plot_reliability import plot_reliability
from keras_recs.evaluation.plot_roc import plot_roc
from keras_recs.evaluation.plot_see_saw import plot_see_saw
from keras_recs.evaluation.plot_training_curves import plot_training_curves
from keras_recs.evaluation.predictions import Predictions
from keras_recs.evaluation.see_saw import see_saw

__all__ = [
    "Attention",
    "PairTerms",
    "Predictions",
    "attention_weights",
    "evaluate",
    "gate_utilization",
    "pair_contributions",
    "permutation_importance",
    "plot_attention",
    "plot_importance",
    "plot_pairs",
    "plot_reliability",
    "plot_roc",
    "plot_see_saw",
    "plot_training_curves",
    "see_saw",
]
