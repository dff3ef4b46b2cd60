"""DLRM's own properties."""

import pytest

from keras_recs import CategoricalFeature, Label, NumericFeature, Schema
from keras_recs.models import dlrm
from tests import harness

LABELS = [Label("click")]
ITEM = CategoricalFeature("item", hash_bins=5)


def test_the_size_of_the_interaction(click_schema):
    """d + n(n − 1)/2 with n = 1 + sparse fields, dense first."""
    model = harness.build_model("dlrm", click_schema)
    n = 1 + len(click_schema.id_features)
    assert model.get_layer("dot").output.shape == (None, n * (n - 1) // 2)
    dim = harness.SMALL_ARGUMENTS["embedding_dim"]
    assert model.get_layer("interactions").output.shape == (
        None,
        dim + n * (n - 1) // 2,
    )


def test_one_field_beside_numbers_is_enough():
    schema = Schema(features=[ITEM, NumericFeature("x")], labels=LABELS)
    assert dlrm(schema, 4, (3,), (3,)).get_layer("dot").output.shape == (None, 1)


def test_a_single_field_is_refused():
    with pytest.raises(ValueError, match=r"DLRM interacts fields .* only \['item'\]"):
        dlrm(Schema(features=[ITEM], labels=LABELS))


def test_vectors_side_by_side(click_schema):
    model = dlrm(click_schema, 4, (3,), (3,), interaction="cat")
    n = 1 + len(click_schema.id_features)
    assert model.get_layer("features").output.shape == (None, 4 * n)
    with pytest.raises(ValueError, match="`interaction` must be one of"):
        dlrm(click_schema, interaction="sum")
