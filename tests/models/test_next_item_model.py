"""What models of sequences refuse, and ids that they do not know."""

import keras
import numpy as np
import pytest

from keras_recs import Schema, SequenceFeature, losses
from keras_recs.data import next_item_batches
from keras_recs.models import ItemEvents, bert4rec, gru4rec, s3rec, sasrec

T, V = 4, 9
FEATURE = SequenceFeature("items", vocabulary_size=V, max_length=T, padding="left")
GAP = SequenceFeature("gap", vocabulary_size=3, max_length=T, padding="left")
SCHEMA = Schema([FEATURE], [])
ROWS = np.array([[2, 3, 4, 5], [0, 0, 7, 6]], "int32")


@pytest.mark.parametrize(
    "loss", ["binary_crossentropy", keras.losses.BinaryCrossentropy(from_logits=True)]
)
def test_losses_of_keras_are_refused(loss):
    with pytest.raises(ValueError, match=r"CandidateBinaryCrossentropy\(\)"):
        sasrec(SCHEMA).compile("adam", loss)
    sasrec(SCHEMA).compile("adam", losses.Top1())


def test_metrics_and_weights_of_examples_are_refused():
    model = sasrec(SCHEMA, embedding_dim=4)
    with pytest.raises(ValueError, match="CatalogueMetrics"):
        model.compile("adam", metrics=["accuracy"])
    model.compile("adam")
    targets = {"next_item": ROWS}
    with pytest.raises(ValueError, match="`sample_weight` is not read"):
        model.fit({"items": ROWS}, targets, sample_weight=np.ones(2), verbose=0)


@pytest.mark.parametrize("builder", [sasrec, bert4rec])
def test_histories_longer_than_the_model_are_refused(builder):
    model = builder(SCHEMA, embedding_dim=4)
    longer = np.tile(ROWS, (1, 2))[:, : T + 1]
    with pytest.raises(Exception, match=r"at most 4 places|shape"):
        model.predict({"items": longer}, verbose=0)
    assert model.predict({"items": ROWS[:, 1:]}, verbose=0)["states"].shape[1] == T - 1


@pytest.mark.parametrize("builder", [sasrec, bert4rec, gru4rec])
def test_ids_that_the_table_does_not_have(builder):
    """As an event nothing but a place; as a target nothing to learn."""
    options = {} if builder is gru4rec else {"embedding_dim": 4}
    model = builder(SCHEMA, **options)
    rows, others = np.array([[2, 1000, 3, -5]]), np.array([[2, 2 + V, 3, 2 + V]])
    found = model.predict({"items": rows}, verbose=0)["states"]
    assert np.isfinite(found).all()
    alone = model.predict({"items": others}, verbose=0)["states"]
    np.testing.assert_array_equal(found, alone)
    if builder is sasrec:
        model.compile("sgd")
        targets = np.array([[3, 4, 5, 6], [0, 0, 6, 1000]])
        loss = model.evaluate({"items": ROWS}, {"next_item": targets}, verbose=0)
        assert np.isfinite(loss)


@pytest.mark.parametrize("builder", [gru4rec, s3rec])
def test_events_that_a_model_does_not_read_are_refused(builder):
    schema = Schema([FEATURE, GAP], [])
    with pytest.raises(ValueError, match="reads items alone"):
        builder(schema, ItemEvents("items", features=("gap",)))


def test_contrasts_without_their_targets_are_refused_in_training():
    attributes = np.zeros((2 + V, 1), "int32")
    attributes[2:, 0] = 1 + np.arange(V) % 3
    model = s3rec(SCHEMA, stage="joint", attributes=attributes, embedding_dim=4)
    model.compile("sgd")
    batches = next_item_batches([row[row > 0] for row in ROWS], T, 2)
    with pytest.raises(ValueError, match="no 'views', of which the loss is"):
        model.fit(batches, verbose=0)
    assert np.isfinite(model.evaluate(batches, verbose=0))
