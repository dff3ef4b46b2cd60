"""Which feature of a schema is the history, and how all of it is read."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from keras_recs.schema import MultiValuedFeature, Schema, SequenceFeature


def history_feature(
    schema: Schema, items: str | None = None, features: Sequence[str] = ()
) -> SequenceFeature:
    """The sequence feature of a name, or the only one.

    Args:
        schema: `keras_recs.Schema`.
        items: string. Its name. Defaults to `None`: the only one beside `features`.
        features: names of sequence features that tell more of its events.

    Raises:
        ValueError: for a schema without it, for one that is not padded on the left, and
            for further features of another length or padding.
    """
    found = {feature.name: feature for feature in schema.sequence_features}
    rest = [name for name in found if name not in features]
    if items is None and len(rest) == 1:
        (items,) = rest
    if items not in found or found[items].padding != "left":
        raise ValueError(
            "`items` must name a sequence feature with `padding='left'`. Received: "
            f"items={items!r}; sequence features are "
            f"{ {name: feature.padding for name, feature in found.items()} }"
        )
    kinds = {name: (f.max_length, f.padding) for name, f in found.items()}
    for name in features:
        if name == items or kinds.get(name) != kinds[items]:
            raise ValueError(
                "`features` must name further sequence features, of the length and "
                f"padding of '{items}', {kinds[items]}. Received: {name!r}; sequence "
                f"features are {kinds}"
            )
    return found[items]


def without_limit(feature: SequenceFeature) -> MultiValuedFeature:
    """The feature with all its events, at the width of the batch, as one of a set."""
    options = dataclasses.asdict(feature) | {"max_length": None}
    del options["padding"]
    return MultiValuedFeature(**options)
