"""Which feature is the sequence of items that a model continues."""

from keras_recs.models.item_events import ItemEvents
from keras_recs.schema import SequenceFeature


def item_sequence(schema, model, items=None, reads_events=False):
    """The sequence feature that a model of sequences reads.

    Args:
        schema: a fitted `keras_recs.Schema`.
        model: string. Name of the model, for messages.
        items: string or `ItemEvents`. Name of the feature. Defaults to `None`: the only
            one, those that tell more of its events left aside.
        reads_events: bool. Whether the model reads more than the items. Defaults to
            `False`.

    Returns:
        `SequenceFeature`.

    Raises:
        ValueError: for a schema without one, with several of which none is named, for a
            name that is none, for one that is not padded on the left, and for more to
            read than the model does.
    """
    events = ItemEvents.of(items)
    if not reads_events and (events.features or events.attributes is not None):
        raise ValueError(
            f"{model} reads items alone; `sasrec` and `bert4rec` read features and "
            f"attributes of ItemEvents. Received: features={events.features}"
        )
    items = events.items
    found = {
        feature.name: feature
        for feature in schema.features
        if isinstance(feature, SequenceFeature)
        and (feature.name == items or feature.name not in events.features)
    }
    if items is None and len(found) == 1:
        (items,) = found
    if items not in found:
        raise ValueError(
            f"{model} reads one sequence of items: name it by `items`. Received: "
            f"items={items!r}; the schema has the sequence features {list(found)}"
        )
    feature = found[items]
    if feature.padding != "left":
        raise ValueError(
            f"{model} reads its last event at the last place: feature '{items}' must "
            f"have `padding='left'`. Received: padding={feature.padding!r}"
        )
    return feature
