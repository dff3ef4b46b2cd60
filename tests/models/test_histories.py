"""Which sequences are histories, and of what."""

import pytest

from keras_recs import CategoricalFeature, Label, MultiValuedFeature, Schema
from keras_recs import SequenceFeature as Sequence
from keras_recs.models.histories import find_histories

ITEM = CategoricalFeature("item", vocabulary_size=5)
KIND = CategoricalFeature("kind", vocabulary_size=4)
LABELS = [Label("click")]


def found(*features, **arguments):
    histories = find_histories(Schema(features, LABELS), "DIN", **arguments)
    return [(history.sequences, history.targets) for history in histories]


def test_attributes_of_the_same_events():
    items, kinds = Sequence("items", table="item"), Sequence("kinds", table="kind")
    both = [(("items", "kinds"), ("item", "kind"))]
    assert found(items, kinds, ITEM, KIND) == both
    assert found(KIND, items, ITEM, kinds) == both


def test_another_length_or_padding_is_another_history():
    items, kinds = Sequence("items", table="item"), Sequence("kinds", table="kind")
    short = Sequence("kinds", table="kind", max_length=3)
    left = Sequence("kinds", table="kind", padding="left")
    for other in (short, left):
        apart = [(("items",), ("item",)), (("kinds",), ("kind",))]
        assert found(items, other, ITEM, KIND) == apart
    more = Sequence("more", table="item", max_length=3)
    assert found(items, more, kinds, ITEM, KIND) == [
        (("items", "kinds"), ("item", "kind")),
        (("more",), ("item",)),
    ]


def test_a_target_that_repeats_begins_another():
    features = [
        Sequence(name, table=table)
        for name, table in [("a", "item"), ("b", "kind"), ("c", "item"), ("d", "kind")]
    ]
    assert found(*features, ITEM, KIND) == [
        (("a", "b"), ("item", "kind")),
        (("c", "d"), ("item", "kind")),
    ]


def test_a_sequence_without_a_candidate_is_none():
    words = Sequence("words", hash_bins=5)
    tags = MultiValuedFeature("tags", hash_bins=4)
    said = Sequence("said", table="tags")  # several values are no candidate
    items = Sequence("items", table="item")
    assert found(words, tags, said, items, ITEM) == [(("items",), ("item",))]


def test_the_feature_of_the_tables_name_comes_first():
    last = CategoricalFeature("last", table="item")
    items = Sequence("items", table="item")
    assert found(last, items, ITEM) == [(("items",), ("item",))]
    other = CategoricalFeature("other", table="things", vocabulary_size=3)
    things = Sequence("done", table="things", vocabulary_size=3)
    second = CategoricalFeature("second", table="things", vocabulary_size=3)
    assert found(other, second, things) == [(("done",), ("other",))]


def test_targets():
    items, kinds = Sequence("items", table="item"), Sequence("kinds", table="kind")
    last = CategoricalFeature("last", table="item")
    features = (items, kinds, ITEM, KIND, last)
    assert found(*features, targets={"items": "last"}) == [
        (("items", "kinds"), ("last", "kind"))
    ]
    assert found(*features, targets={"kinds": None}) == [(("items",), ("item",))]
    words = Sequence("words", hash_bins=5)
    assert found(words, KIND, targets={"words": "kind"}) == [(("words",), ("kind",))]


def test_messages():
    words = Sequence("words", hash_bins=5)
    with pytest.raises(
        ValueError,
        match=r"DIN needs a history: .*SequenceFeature\('history', table='item'\).*"
        r"sequence features \['words'\] .* single-valued features \['item', 'kind'\]",
    ):
        found(words, ITEM, KIND)
    items = Sequence("items", table="item")
    with pytest.raises(ValueError, match="DIN needs a history"):
        found(items, ITEM, targets={"items": None})
    with pytest.raises(
        ValueError, match=r"`targets` must name sequence .*\['kind'\]; .*\['items'\]"
    ):
        found(items, ITEM, KIND, targets={"kind": "item"})
    with pytest.raises(
        ValueError, match=r"'items': its entry in `targets` .* 'words'; .*\['item'\]"
    ):
        found(items, words, ITEM, targets={"items": "words"})
