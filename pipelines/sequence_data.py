"""What a configuration says of a model of sequences, and its batches."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipelines.config import Config

_READ_EVENTS = ("sasrec", "bert4rec")  # of which more than their items


def sequence_arguments(config: Config, schema, builder: Callable) -> dict[str, Any]:
    """Arguments of a builder of sequences beside `model_arguments`, made for it.

    `items` may be a dict there: the arguments of `keras_recs.models.ItemEvents`.

    Raises:
        ValueError: for `attributes` and `session` of a model that has none.
    """
    from keras_recs.models import ItemEvents

    known, made = inspect.signature(builder).parameters, {}
    items = config.model_arguments.get("items")
    if isinstance(items, dict):
        if config.model not in _READ_EVENTS:
            raise ValueError(
                f"Config: `model_arguments.items` must be the name of a feature, for "
                f"only {_READ_EVENTS} read more of events. Received: items={items}, "
                f"model={config.model!r}"
            )
        made["items"] = _of(ItemEvents, items, "model_arguments.items")
    if config.session:
        if "num_slots" not in known:
            raise ValueError(
                "Config: `session` is for a model of sessions side by side, such as "
                f"gru4rec. Received: session={config.session}, model={config.model!r}"
            )
        made["num_slots"] = config.batch_size
    if config.attributes:
        if "attributes" not in known and config.model not in _READ_EVENTS:
            raise ValueError(
                f"Config: `attributes` are for s3rec, {' and '.join(_READ_EVENTS)}. "
                f"Received: attributes={config.attributes}, model={config.model!r}"
            )
        table = _attributes(config, schema)
        if "attributes" in known:
            made["attributes"] = table
        else:
            name, features = _events(config)
            made["items"] = ItemEvents(name, features, table)
    return made


def sequence_training_data(
    config: Config,
    schema,
    model,
    batch_size: int,
    num_workers: int = 1,
    worker_index: int = 0,
):
    """Shuffled batches of histories, as `model` wants them.

    Raises:
        ValueError: for `masking`, `session` and `unseen_negatives` that are unknown or
            do not go with the model, and sessions side by side on several workers.
    """
    from keras_recs import data, models

    files = str(Path(config.data) / "train-*")
    items, features = _events(config)
    _check(config, model)
    if _num_slots(model) is not None:
        if num_workers > 1 or batch_size != _num_slots(model):
            raise ValueError(
                "Config: `batch_size` must be the number of the model's slots, "
                f"{_num_slots(model)}, which one device trains. Received: "
                f"batch_size={batch_size} of each of {num_workers} workers"
            )
        return data.batch_dataset(_sessions(config, schema, files, items, model))
    kinds = (models.S3RecPretraining, models.ContrastiveItemModel)
    if not isinstance(model, kinds):
        return data.sequence_dataset(
            files,
            schema,
            batch_size,
            items=items,
            features=features,
            mask_row=getattr(model, "mask_row", None),
            sampler=_sampler(model) if config.unseen_negatives else None,
            num_negatives=getattr(model, "num_negatives", None) or 1,
            seed=config.seed,
            num_workers=num_workers,
            worker_index=worker_index,
            **config.masking,
        )
    sequences = data.read_histories(files, schema, items)[worker_index::num_workers]
    first_row = model.first_row
    options = {
        "name": next(iter(model.input)),
        "first_row": first_row,
        "seed": config.seed,
        "max_length": schema[next(iter(model.input))].max_length,
        "batch_size": batch_size,
    }
    if isinstance(model, models.S3RecPretraining):
        batches = data.s3rec_batches(sequences, sampler=_sampler(model), **options)
    else:
        if config.unseen_negatives:
            options |= {"sampler": _sampler(model)}
            options |= {"num_negatives": model.num_negatives}
        partners = _partners(model)
        batches = data.contrastive_batches(sequences, partners=partners, **options)
    return data.batch_dataset(batches)


def catalogue_data(config: Config, schema, files, batch_size: int):
    """Batches for ranks among the whole catalogue."""
    from keras_recs.data import sequence_dataset

    items, features = _events(config)
    return sequence_dataset(
        files,
        schema,
        batch_size,
        items=items,
        features=features,
        with_seen=True,
        shuffle=False,
    )


def _check(config: Config, model) -> None:
    known = ["mask_rate", "max_masked", "last_rate"]
    unknown = sorted(set(config.masking) - set(known))
    is_masked = getattr(model, "mask_row", None) is not None
    if unknown or (config.masking and not is_masked):
        raise ValueError(
            f"Config: `masking` is for a model of masked places and takes {known}. "
            f"Received: masking={config.masking}, model={config.model!r}"
        )
    known = ["num_steps", "num_negatives", "alpha", "correct"]
    if set(config.session) - set(known):
        raise ValueError(
            f"Config: `session` takes {known}. Received: session={config.session}"
        )
    draws = getattr(model, "num_negatives", None)
    if config.unseen_negatives and (
        draws is None or getattr(model, "shares_negatives", False)
    ):
        raise ValueError(
            "Config: `unseen_negatives` is for a model with `num_negatives` of each "
            f"place. Received: unseen_negatives=True, model={config.model!r} with "
            f"num_negatives={draws}"
        )


def _events(config: Config) -> tuple[str | None, tuple[str, ...]]:
    """The feature of the items, where it is named, and further ones of the events."""
    items = config.model_arguments.get("items")
    if not isinstance(items, dict):
        return items, ()
    return items.get("items"), tuple(items.get("features", ()))


def _num_slots(model) -> int | None:
    from keras_recs.models import SessionModel

    if not isinstance(model, SessionModel):
        return None
    return model.get_layer(model.gru).num_slots


def _sessions(config: Config, schema, files, items, model):
    import numpy as np

    from keras_recs import data

    sequences = data.read_histories(files, schema, items)
    options, first_row = dict(config.session), model.first_row
    if "alpha" in options:
        rows = np.concatenate([*sequences, np.zeros(0, "int32")])
        counts = np.bincount(rows, minlength=model.item_table.num_rows)
        alpha = options.pop("alpha")
        options["sampler"] = data.PopularitySampler(counts[first_row:], alpha)
        options.setdefault("num_negatives", model.num_negatives or 0)
    return data.session_batches(
        sequences,
        config.batch_size,
        name=model.items_input,
        first_row=first_row,
        seed=config.seed,
        **options,
    )


def _sampler(model):
    from keras_recs.data import UniformSampler

    return UniformSampler(model.item_table.num_rows - model.first_row)


def _partners(model):
    """By row those that share most attributes."""
    import numpy as np

    from keras_recs.data import similar_items

    table = np.asarray(model.attributes.table)
    groups = [np.flatnonzero((table == n).any(1)) for n in range(1, table.max() + 1)]
    return similar_items(groups, len(table))


def _attributes(config: Config, schema):
    from keras_recs.data import item_attributes

    settings = {"items": _events(config)[0], **config.attributes}
    return _of(
        lambda files, columns, **others: item_attributes(
            files, schema, columns, **others
        ),
        settings,
        "attributes",
    )


def _of(make: Callable, arguments: dict[str, Any], name: str):
    try:
        return make(**arguments)
    except TypeError as error:
        raise ValueError(
            f"Config: `{name}`: {error}. Received: {name}={arguments}"
        ) from error
