"""What workers beside parameter servers can train."""

from __future__ import annotations

from typing import Any

import keras

from keras_recs.layers.embedding.dynamic_vocabulary import DynamicVocabulary
from keras_recs.layers.embedding.find_two_level_tables import find_two_level_tables
from keras_recs.training.multi_task.task_weighting import TaskWeighting


def check_trainable(model: keras.Model, round_steps: int | None) -> None:
    """Raises a `ValueError` for what workers beside servers cannot train.

    Args:
        model: compiled `keras.Model`.
        round_steps: as `run_on_servers` takes it.
    """
    if round_steps is not None and (
        not isinstance(round_steps, int) or round_steps < 1
    ):
        raise ValueError(
            "`round_steps` must be a positive integer or None. Received: "
            f"round_steps={round_steps!r}"
        )
    if model.steps_per_execution > 1:
        raise ValueError(
            "Under parameter servers a worker runs a chunk of steps at a time. Compile "
            "the model with `steps_per_execution=1`. Received: steps_per_execution="
            f"{model.steps_per_execution}"
        )
    if isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer):
        raise ValueError(
            "Under parameter servers a loss cannot be scaled by all workers at once. "
            "Use the dtype policy 'mixed_bfloat16'. Received: 'mixed_float16'"
        )
    for optimizer in getattr(model.optimizer, "parts", [model.optimizer]):
        _check_optimizer(optimizer)
    if model.distribute_strategy.num_replicas_in_sync > 1:
        raise ValueError(
            "Under parameter servers a worker trains on one device. Start a worker for "
            "each GPU (CUDA_VISIBLE_DEVICES). Received: "
            f"{model.distribute_strategy.num_replicas_in_sync} GPUs a worker"
        )
    for table in find_two_level_tables(model):
        raise ValueError(
            f"The table of layer '{table.name}' lies partly in files of this machine "
            "(`hot_rows`). Under parameter servers split it over their memory with "
            "`num_shards`, and leave out `hot_rows`."
        )
    weighting = getattr(model, "weighting", None)
    if isinstance(weighting, TaskWeighting) and (
        weighting.is_adaptive or weighting.reads_gradients
    ):
        raise ValueError(
            f"{type(weighting).__name__} follows the steps one by one, which workers "
            "beside parameter servers do not take in order. Take GivenWeights or "
            "UncertaintyWeights."
        )
    for layer in model._flatten_layers():
        if isinstance(layer, DynamicVocabulary):
            raise ValueError(
                f"Layer '{layer.name}' gives rows to keys in training, which several "
                "workers at once cannot. Under parameter servers use a vocabulary or "
                "hash buckets in the place of `max_keys`."
            )


def _check_optimizer(optimizer: Any) -> None:
    if optimizer.gradient_accumulation_steps:
        raise ValueError(
            "Under parameter servers each worker applies the gradients of each step. "
            "Leave out `gradient_accumulation_steps` and take larger batches. "
            "Received: "
            f"gradient_accumulation_steps={optimizer.gradient_accumulation_steps}"
        )
    if optimizer.use_ema:
        raise ValueError(
            "Under parameter servers no worker sees all steps, so that averages of the "
            "weights would be of some only. Leave `use_ema` out. Received: use_ema=True"
        )
