"""Importance of features by permutation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from keras_recs.evaluation.evaluate import measure
from keras_recs.evaluation.explain.held_examples import HeldExamples
from keras_recs.evaluation.predictions import Predictions
from keras_recs.models.check_tables import check_tables
from keras_recs.schema import Schema

# Metrics that are compared, and the sign that makes a loss of quality positive.
SIGNS = {"auc": 1, "gauc": 1, "watch_time_auc": 1, "log_loss": -1, "mse": -1}


def permutation_importance(
    model: keras.Model,
    dataset: Any,
    schema: Schema,
    repeats: int = 3,
    seed: int = 0,
    features: Sequence[str | Sequence[str]] | None = None,
    max_examples: int = 100_000,
    progress: bool = True,
) -> dict[str, dict[str, Any]]:
    """Measures how much worse a model gets when a feature is taken from other examples.

    A feature's values are shuffled among the examples, so that it says nothing of its
    own example and its distribution stays. In the r-th repeat example i takes them from
    `np.random.default_rng([seed, r]).permutation(N)[i]`, whichever the feature.

    - A multi-valued feature moves together with the weights of its values, a sequence
      as a whole with its padding, hence its length.
    - A cross is a feature of its own: it keeps what it holds of its keys when one of
      them is shuffled, and they keep theirs. To see what a key is worth with all that
      is derived from it, shuffle them together: `features=[("user", "user_x_hour")]`.
      So for sequences that tell of the same events, such as items and their categories.
    - Features that hold the same information stand in for each other: each alone may
      look unimportant.

    Args:
        model: functional model with dict outputs.
        dataset: batches as `tfrecord_dataset` or `array_dataset` yields them, with
            group keys (`with_group=True`) for GAUC. Use data that were not trained on.
        schema: `keras_recs.Schema`.
        repeats: int. Shuffles of each feature. Defaults to `3`.
        seed: int. Seed of the shuffles. Defaults to `0`.
        features: names of features, each shuffled alone, or tuples of names, shuffled
            together. Defaults to `None`: each feature of the schema alone.
        max_examples: int. The data set's first examples are held in memory, at most so
            many. Defaults to `100_000`.
        progress: bool. Show a progress bar. Defaults to `True`.

    Returns:
        dict of label name to a dict of `examples` and `repeats`; `baseline`, the
        metrics of the data as they are; and `importance`, a dict of feature (the names
        of a tuple joined by `" + "`) to metric to `mean` and `std` over the repeats
        (the population's; 0 with one repeat). `auc`, `gauc` and `watch_time_auc` are
        given as drops, `log_loss` and `mse` as rises: positive means that the model
        relies on the feature.

    Raises:
        ValueError: for a data set without a batch, an unknown feature, less than one
            repeat, and a schema of another fit than the model's.
    """
    if not isinstance(repeats, int) or repeats < 1:
        raise ValueError(
            f"`repeats` must be a positive integer. Received: repeats={repeats!r}"
        )
    check_tables(model, schema)
    groups = _groups(schema, features)
    examples = HeldExamples.collect(dataset, max_examples)
    bar = tqdm(
        total=1 + repeats * len(groups),
        unit="pass",
        desc="importance",
        disable=not progress,
    )

    def quality(names=(), order=None):
        predictions = Predictions.collect(model, examples.batches(names, order))
        bar.update()
        return {
            label: {name: values[name] for name in SIGNS if name in values}
            for label, values in measure(predictions, schema).items()
        }

    with bar:
        baseline = quality()
        losses: dict[str, dict[str, dict[str, list[float]]]] = {
            label: {group: {name: [] for name in values} for group in groups}
            for label, values in baseline.items()
        }
        for repeat in range(repeats):
            rng = np.random.default_rng([seed, repeat])
            order = rng.permutation(len(examples))
            for group, names in groups.items():
                bar.set_postfix_str(group, refresh=False)
                for label, values in quality(names, order).items():
                    for name, value in values.items():
                        loss = SIGNS[name] * (baseline[label][name] - value)
                        losses[label][group][name].append(loss)
    return {
        label: {
            "examples": len(examples),
            "repeats": repeats,
            "baseline": baseline[label],
            "importance": {
                group: {
                    name: {"mean": float(np.mean(found)), "std": float(np.std(found))}
                    for name, found in metrics.items()
                }
                for group, metrics in of_groups.items()
            },
        }
        for label, of_groups in losses.items()
    }


def _groups(schema: Schema, features) -> dict[str, list[str]]:
    """Input names that move together, by what they are called."""
    if isinstance(features, str):
        raise ValueError(
            "`features` must be a list of names or of tuples of names. Received: "
            f"features={features!r}"
        )
    chosen = schema.feature_names if features is None else features
    groups = {}
    for entry in chosen:
        names = [entry] if isinstance(entry, str) else list(entry)
        unknown = [name for name in names if name not in schema.feature_names]
        if unknown or not names:
            raise ValueError(
                "`features` must name features of the schema. Received: "
                f"{unknown or entry!r}; there are {list(schema.feature_names)}"
            )
        weights = [schema.value_weights.get(name) for name in names]
        inputs = [name for name in (*names, *weights) if name is not None]
        groups[" + ".join(names)] = inputs
    return groups
