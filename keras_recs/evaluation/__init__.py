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
from keras_recs.evaluation.plot_ranks import plot_ranks
from keras_recs.evaluation.plot_reliability import plot_reliability
from keras_recs.evaluation.plot_roc import plot_roc
from keras_recs.evaluation.plot_see_saw import plot_see_saw
from keras_recs.evaluation.plot_training_curves import plot_training_curves
from keras_recs.evaluation.predictions import Predictions
from keras_recs.evaluation.ranking.bootstrap_interval import bootstrap_interval
from keras_recs.evaluation.ranking.candidate_ranks import candidate_ranks
from keras_recs.evaluation.ranking.catalogue_coverage import catalogue_coverage
from keras_recs.evaluation.ranking.catalogue_ranks import catalogue_ranks
from keras_recs.evaluation.ranking.catalogue_top_k import catalogue_top_k
from keras_recs.evaluation.ranking.draw_negatives import draw_negatives
from keras_recs.evaluation.ranking.exposure_gini import exposure_gini
from keras_recs.evaluation.ranking.item_lists import ItemLists
from keras_recs.evaluation.ranking.leave_one_out import leave_one_out
from keras_recs.evaluation.ranking.list_metrics import list_metrics
from keras_recs.evaluation.ranking.list_values import list_values
from keras_recs.evaluation.ranking.next_item_queries import next_item_queries
from keras_recs.evaluation.ranking.next_item_ranks import next_item_ranks
from keras_recs.evaluation.ranking.novelty import novelty
from keras_recs.evaluation.ranking.paired_test import paired_test
from keras_recs.evaluation.ranking.ranking_metrics import ranking_metrics
from keras_recs.evaluation.ranking.ranking_values import ranking_values
from keras_recs.evaluation.ranking.split_by_time import split_by_time
from keras_recs.evaluation.ranking.split_sessions import split_sessions
from keras_recs.evaluation.ranking.target_ranks import target_ranks
from keras_recs.evaluation.see_saw import see_saw

__all__ = [
    "Attention",
    "ItemLists",
    "PairTerms",
    "Predictions",
    "attention_weights",
    "bootstrap_interval",
    "candidate_ranks",
    "catalogue_coverage",
    "catalogue_ranks",
    "catalogue_top_k",
    "draw_negatives",
    "evaluate",
    "exposure_gini",
    "gate_utilization",
    "leave_one_out",
    "list_metrics",
    "list_values",
    "next_item_queries",
    "next_item_ranks",
    "novelty",
    "pair_contributions",
    "paired_test",
    "permutation_importance",
    "plot_attention",
    "plot_importance",
    "plot_pairs",
    "plot_ranks",
    "plot_reliability",
    "plot_roc",
    "plot_see_saw",
    "plot_training_curves",
    "ranking_metrics",
    "ranking_values",
    "see_saw",
    "split_by_time",
    "split_sessions",
    "target_ranks",
]
