"""The model and the data that a configuration names."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipelines.config import Config


def builder_of(config: Config) -> tuple[Callable, dict[str, Any]]:
    """The builder that a configuration names, and its arguments.

    Raises:
        ValueError: for an unknown model or argument.
    """
    from keras_recs import models

    builders = {builder.__name__: builder for builder in models.BUILDERS}
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
        ValueError: for an unknown model or argument, or one of the wrong type.
    """
    builder, arguments = builder_of(config)
    try:
        return builder(schema, **arguments)
    except TypeError as error:
        raise ValueError(
            f"Config: `model_arguments` or `embedding_options` has a value that "
            f"{config.model} does not take: {error}. Received: {arguments}"
        ) from error


def training_data(
    config: Config,
    schema,
    batch_size: int | None = None,
    num_workers: int = 1,
    worker_index: int = 0,
):
    """Shuffled batches of a prepared folder; other ones than configured if given.

    Of several workers each has its part of the examples.

    Raises:
        ValueError: for `down_sampling` that is no rate, label and seed.
    """
    import keras_recs

    files = str(Path(config.data) / "train-*")
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

    return keras_recs.data.tfrecord_dataset(
        str(Path(config.data) / "valid-*"),
        schema,
        4 * config.batch_size,
        shuffle=False,
        with_group=schema.group_key is not None,
    )
