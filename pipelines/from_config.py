"""The model and the data that a configuration names."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipelines.config import Config
from pipelines.sequence_data import (
    catalogue_data,
    sequence_arguments,
    sequence_training_data,
)


def builder_of(config: Config) -> tuple[Callable, dict[str, Any]]:
    """The builder that a configuration names, and its arguments.

    Raises:
        ValueError: for an unknown model or argument.
    """
    from keras_recs import models

    offered = [getattr(models, name) for name in models.__all__]
    builders = {builder.__name__: builder for builder in models.BUILDERS}
    builders |= {  # those of sequences read `items`
        value.__name__: value
        for value in offered
        if inspect.isfunction(value) and "items" in inspect.signature(value).parameters
    }
    if config.model not in builders:
        raise ValueError(
            f"Config: `model` must be one of {[*builders]}. Received: "
            f"model={config.model!r}"
        )
    builder = builders[config.model]
    known = list(inspect.signature(builder).parameters)[1:]
    unknown = sorted(set(config.model_arguments) - set(known))
    if unknown:
        raise ValueError(
            f"Config: `model_arguments` has keys that {config.model} does not take: "
            f"{unknown}; it takes {known}"
        )
    arguments = dict(config.model_arguments)
    if config.embedding_options:
        arguments["embedding_options"] = config.embedding_options
    return builder, arguments


def build_model(config: Config, schema):
    """Builds the model that a configuration names.

    Raises:
        ValueError: for an unknown model or argument, or one of the wrong type, and for
            `attributes` of a model that reads none.
    """
    builder, arguments = builder_of(config)
    arguments |= sequence_arguments(config, schema, builder)
    try:
        return builder(schema, **arguments)
    except TypeError as error:
        raise ValueError(
            f"Config: `model_arguments` or `embedding_options` has a value that "
            f"{config.model} does not take: {error}. Received: "
            f"{config.model_arguments | config.embedding_options}"
        ) from error


def read_schema(config: Config):
    """The schema of the prepared data, with the labels that a configuration names."""
    from keras_recs import Schema

    schema = Schema.load(config.data)
    return schema.with_labels(config.labels) if config.labels else schema


def weighed_model(config: Config, schema, model):
    """The model under the weighting that a configuration names, or as it is.

    Raises:
        ValueError: for an unknown weighting or argument.
    """
    from keras_recs import training

    if not config.task_weighting:
        return model
    classes = {
        "given_weights": training.GivenWeights,
        "uncertainty_weights": training.UncertaintyWeights,
        "dynamic_weight_average": training.DynamicWeightAverage,
        "grad_norm": training.GradNorm,
        "pc_grad": training.PCGrad,
    }
    arguments = dict(config.task_weighting)
    name = arguments.pop("name", None)
    if name not in classes:
        raise ValueError(
            f"Config: `task_weighting` needs a `name`, one of {sorted(classes)}. "
            f"Received: task_weighting={config.task_weighting}"
        )
    own = vars(classes[name]).get("__init__")
    known = list(inspect.signature(own).parameters)[1:-1] if own else []
    unknown = sorted(set(arguments) - set(known))
    if unknown:
        raise ValueError(
            f"Config: `task_weighting` has what {name} does not take: {unknown}; it "
            f"takes {known}"
        )
    try:
        weighting = classes[name](**arguments)
    except TypeError as error:
        raise ValueError(f"Config: `task_weighting`: {error}") from error
    return training.weigh_tasks(model, schema, weighting)


def loss_of(config: Config, schema, model):
    """What a model is compiled with: the loss of each label, or that of candidates.

    Raises:
        ValueError: for an unknown loss or argument, and for one beside labels.
    """
    from keras_recs import losses

    if schema.labels and not config.loss:
        return losses.losses_of(schema)
    if not config.loss:
        return None
    classes = {
        name: value
        for name in losses.__all__
        if inspect.isclass(value := getattr(losses, name))
    }
    arguments = dict(config.loss)
    name = arguments.pop("name", None)
    if schema.labels or name not in classes:
        raise ValueError(
            "Config: `loss` is for a model of sequences and needs a `name`, one of "
            f"{sorted(classes)}. Received: loss={config.loss}, labels="
            f"{list(schema.label_names)}"
        )
    if "num_items" in inspect.signature(classes[name]).parameters:
        num_items = model.item_table.num_rows - model.first_row
        arguments.setdefault("num_items", num_items)
    try:
        return classes[name](**arguments)
    except TypeError as error:
        raise ValueError(f"Config: `loss`: {error}") from error


def training_data(
    config: Config,
    schema,
    batch_size: int | None = None,
    num_workers: int = 1,
    worker_index: int = 0,
    model: Any = None,
):
    """Shuffled batches of a prepared folder; other ones than configured if given.

    Of several workers each has its part of the examples. A schema without labels is of
    histories, whose items come next or are masked, as `model` wants it.

    Raises:
        ValueError: for `down_sampling` that is no rate, label and seed, and settings of
            sequences that are unknown or do not go with the model.
    """
    import keras_recs

    files = str(Path(config.data) / "train-*")
    if not schema.labels:
        return sequence_training_data(
            config,
            schema,
            model,
            batch_size or config.batch_size,
            num_workers=num_workers,
            worker_index=worker_index,
        )
    return keras_recs.data.tfrecord_dataset(
        files,
        schema,
        batch_size or config.batch_size,
        seed=config.seed,
        down_sampling=_down_sampling(config),
        num_workers=num_workers,
        worker_index=worker_index,
    )


def _down_sampling(config: Config):
    """What leaves negative examples out, with weights that make up for it."""
    from keras_recs.data import DownSampleNegatives

    arguments = config.down_sampling
    if not arguments:
        return None
    known = ["rate", "label", "seed"]
    if "rate" not in arguments or set(arguments) - set(known):
        raise ValueError(
            f"Config: `down_sampling` must have a rate and takes {known}. Received: "
            f"down_sampling={arguments}"
        )
    return DownSampleNegatives(**arguments, weigh=True)


def validation_data(config: Config, schema):
    """Batches for the exact metrics after each epoch."""
    import keras_recs

    if not schema.labels:
        return catalogue_data(
            config, schema, str(Path(config.data) / "valid-*"), 4 * config.batch_size
        )
    return keras_recs.data.tfrecord_dataset(
        str(Path(config.data) / "valid-*"),
        schema,
        4 * config.batch_size,
        shuffle=False,
        with_group=schema.group_key is not None,
    )
