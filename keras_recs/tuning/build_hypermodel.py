"""A model of a schema, with ranges in the place of arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from keras_recs import models
from keras_recs.schema import Schema
from keras_recs.tuning.search_space import search_space


def build_hypermodel(
    schema: Schema,
    model: str | Callable = "deepfm",
    *,
    space: Mapping[str, Any] | None = None,
    arguments: Mapping[str, Any] | None = None,
    optimizer: str | Callable = "adam",
    loss: Any = None,
    objective: str | None = None,
    patience: int = 2,
    seed: int | None = None,
    steps_per_execution: int = 1,
):
    """Makes a `keras_tuner.HyperModel`, for any tuner of Keras Tuner.

    Each trial is trained until `patience` epochs bring nothing better, is scored by its
    best epoch and keeps the weights of that. The metrics are exact.

    Args:
        schema: a fitted `keras_recs.Schema`.
        model: name of a builder in `keras_recs.models`, or a function of that form.
            Defaults to `"deepfm"`.
        space: ranges in the place of the default ones; see `search_space`. Defaults to
            `None`.
        arguments: of the builder, held in all trials. Defaults to `None`.
        optimizer: name of an optimizer of Keras or `keras_recs.optimizers`, or a
            function from learning rate to optimizer. Defaults to `"adam"`.
        loss: as in `compile`. Defaults to `None`: by the task of each label.
        objective: metric of `ExactMetrics`, such as `"val_click_auc"`; its name says
            whether more or less is better. Defaults to `None`: of the first
            label the AUC (binary), MSE (regression) or AUC weighted by watch time.
        patience: int. Epochs without a better one before a trial stops. Defaults to
            `2`.
        seed: int. Of the weights. Defaults to `None`.
        steps_per_execution: int. As in `compile`. Defaults to `1`.

    Returns:
        `keras_tuner.HyperModel` with the attributes `ranges` and `objective`.

    Raises:
        ValueError: for an unknown model, argument or objective, for a range that is
            none, and for tables with `hot_rows`, whose files trials would share.

    Example:
    ```python
    hypermodel = keras_recs.tuning.build_hypermodel(
        schema,
        "deepfm",
        space={"dropout": [0.0, 0.2], "learning_rate": {"low": 1e-4, "high": 1e-2}},
        objective="val_click_auc",
    )
    tuner = keras_tuner.BayesianOptimization(
        hypermodel, hypermodel.objective, max_trials=20, directory="tuning"
    )
    trials = keras_recs.tuning.search(tuner, train, valid, epochs=10)
    model = tuner.get_best_models()[0]
    ```
    """
    builders = {builder.__name__: builder for builder in models.BUILDERS}
    builder = model if callable(model) else builders.get(model)
    if builder is None:
        raise ValueError(
            f"`model` must be one of {[*builders]} or a function of that form. "
            f"Received: model={model!r}"
        )
    held = dict(arguments or {})
    options = models.EmbeddingOptions.of(held.get("embedding_options"))
    if options.hot_rows:
        raise ValueError(
            "A search cannot train tables with `hot_rows`: all trials would write the "
            f"same files. Received: hot_rows={options.hot_rows}"
        )
    ranges = search_space(builder, space, held)
    from keras_recs.tuning.schema_hyper_model import SchemaHyperModel

    return SchemaHyperModel(
        schema,
        builder,
        ranges,
        held,
        optimizer=optimizer,
        loss=loss,
        objective=objective,
        patience=patience,
        seed=seed,
        steps_per_execution=steps_per_execution,
    )
