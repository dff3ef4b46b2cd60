"""Optimizers whose step does not grow with the tables."""

from keras_recs.optimizers.composite_optimizer import CompositeOptimizer
from keras_recs.optimizers.fused_adam import FusedAdam
from keras_recs.optimizers.lazy_adam import LazyAdam
from keras_recs.optimizers.rowwise_adagrad import RowwiseAdagrad
from keras_recs.optimizers.sparse_adagrad import SparseAdagrad
from keras_recs.optimizers.sparse_ftrl import SparseFTRL

__all__ = [
    "CompositeOptimizer",
    "FusedAdam",
    "LazyAdam",
    "RowwiseAdagrad",
    "SparseAdagrad",
    "SparseFTRL",
]
