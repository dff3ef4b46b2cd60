"""Which input holds the items, which order users have, by loops."""

import keras
import numpy as np
import pytest

from keras_recs import Schema, SequenceFeature
from keras_recs.data import next_item_batches, session_batches
from keras_recs.evaluation import next_item_queries, next_item_ranks
from keras_recs.models import ItemEvents, gru4rec, sasrec

T, V = 5, 30
RNG = np.random.default_rng(0)
SEQUENCES = [RNG.integers(2, 2 + V, n) for n in RNG.integers(2, 9, 23)]
GAPS = [RNG.integers(1, 4, len(sequence)) for sequence in SEQUENCES]


def make(name, **options):
    """Two features, whose inputs Keras puts in the order of their names."""
    features = [
        SequenceFeature(name, vocabulary_size=V, max_length=T, padding="left"),
        SequenceFeature("gap", vocabulary_size=3, max_length=T, padding="left"),
    ]
    events = ItemEvents(name, features=("gap",))
    keras.utils.set_random_seed(0)
    return sasrec(Schema(features, []), events, embedding_dim=8, **options)


@pytest.mark.parametrize("name", ["aisle", "item"])
def test_items_that_were_seen_are_those_of_the_items_input(name):
    model = make(name)
    batches = next_item_batches(SEQUENCES, T, 4, name, columns={"gap": GAPS})
    ((_, targets, seen),) = next_item_queries(model, batches)
    for user, sequence in enumerate(SEQUENCES):
        np.testing.assert_array_equal(seen[user], sequence[:-1][-T:] - 2)
        assert targets[user] == sequence[-1] - 2


@pytest.mark.parametrize("lengths", [None, (2, 3)])
def test_ranks_are_in_the_order_of_the_users_in_every_epoch(lengths):
    model = make("item")
    options = {"columns": {"gap": GAPS}, "lengths": lengths}
    batches = next_item_batches(SEQUENCES, T, 4, "item", **options)
    ranks = next_item_ranks(model, batches)
    batches.on_epoch_end()
    np.testing.assert_array_equal(next_item_ranks(model, batches), ranks)
    alone = []
    for sequence, gaps in zip(SEQUENCES, GAPS):
        options = {"columns": {"gap": [gaps]}}
        one = next_item_batches([sequence], T, 4, "item", **options)
        alone.extend(next_item_ranks(model, one))
    np.testing.assert_array_equal(ranks, alone)
    assert len(set(alone)) > 5


def test_a_model_with_slots_ranks_histories_whatever_their_name():
    feature = SequenceFeature("track", vocabulary_size=V, max_length=T, padding="left")
    model = gru4rec(Schema([feature], []), num_slots=4, hidden_units=(6,))
    batches = next_item_batches(SEQUENCES, T, 4, "track")
    assert next_item_ranks(model, batches).shape == (len(SEQUENCES),)
    batches = session_batches(SEQUENCES, 4, 2, "track")
    model.compile("sgd")
    model.fit(batches, verbose=0)
