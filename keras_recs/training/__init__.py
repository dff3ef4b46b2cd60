"""Training under a tf.distribute strategy, and what a run leaves behind."""

from keras_recs.training.calibrate_down_sampling import calibrate_down_sampling
from keras_recs.training.catalogue_metrics import CatalogueMetrics
from keras_recs.training.copy_weights import copy_weights
from keras_recs.training.evict_stale_keys import EvictStaleKeys
from keras_recs.training.exact_metrics import ExactMetrics
from keras_recs.training.fit import fit
from keras_recs.training.grow_table import grow_table
from keras_recs.training.initialize_table import initialize_table
from keras_recs.training.make_strategy import make_strategy
from keras_recs.training.multi_task.dynamic_weight_average import (
    DynamicWeightAverage,
)
from keras_recs.training.multi_task.given_weights import GivenWeights
from keras_recs.training.multi_task.grad_norm import GradNorm
from keras_recs.training.multi_task.multi_task_model import MultiTaskModel
from keras_recs.training.multi_task.pc_grad import PCGrad
from keras_recs.training.multi_task.task_cosines import TaskCosines
from keras_recs.training.multi_task.uncertainty_weights import UncertaintyWeights
from keras_recs.training.multi_task.weigh_tasks import weigh_tasks
from keras_recs.training.non_finite_step import NonFiniteStep
from keras_recs.training.server_report import server_report
from keras_recs.training.set_row_counts import set_row_counts

__all__ = [
    "CatalogueMetrics",
    "DynamicWeightAverage",
    "EvictStaleKeys",
    "ExactMetrics",
    "GivenWeights",
    "GradNorm",
    "MultiTaskModel",
    "NonFiniteStep",
    "PCGrad",
    "TaskCosines",
    "UncertaintyWeights",
    "calibrate_down_sampling",
    "copy_weights",
    "fit",
    "grow_table",
    "initialize_table",
    "make_strategy",
    "server_report",
    "set_row_counts",
    "weigh_tasks",
]
