"""The Keras inputs of events, of any length."""

from keras_recs.layers.feature_input import FeatureInput
from keras_recs.models.build_inputs import build_inputs
from keras_recs.schema import SequenceFeature


def event_inputs(schema, feature, events):
    """Makes inputs that may also be shorter than the features say.

    Args:
        schema: a fitted `keras_recs.Schema`.
        feature: `SequenceFeature` of the items.
        events: `ItemEvents`.

    Returns:
        dict of feature name to symbolic int `(B, T)` of an unknown T, at most the
        feature's `max_length`; the items first.

    Raises:
        ValueError: for a name that is no sequence feature, or one that is not aligned
            with the items.
    """
    whole = build_inputs(schema)
    known = {
        other.name: other
        for other in schema.features
        if isinstance(other, SequenceFeature)
    }
    for name in events.features:
        other = known.get(name)
        if other is None or other is feature:
            raise ValueError(
                "`features` of ItemEvents must name further sequence features. "
                f"Received: {name!r}; the schema has {list(known)}"
            )
        kind = (other.max_length, other.padding)
        if kind != (feature.max_length, feature.padding):
            raise ValueError(
                f"Feature '{name}' must have the length and padding of the items' "
                f"'{feature.name}', {(feature.max_length, feature.padding)}. Received: "
                f"{kind}"
            )
    return {
        name: FeatureInput(name, (None,), whole[name].dtype).output
        for name in (feature.name, *events.features)
    }
