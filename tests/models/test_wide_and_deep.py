"""Wide & Deep's own properties."""

import pytest

from keras_recs import CategoricalFeature, CrossedFeature, Label, Schema
from keras_recs.models import wide_and_deep
from tests import harness


def test_crosses_are_wide_alone(click_schema):
    model = harness.build_model("wide_and_deep", click_schema)
    names = [feature.name for feature in click_schema.id_features]
    assert list(model.get_layer("wide").features) == names
    deep = list(model.get_layer("embedding").features)
    assert deep == [name for name in names if name != "user_x_hour"]


def test_the_parts_can_have_an_optimizer_each(click_schema):
    """The paper's FTRL and AdaGrad: every weight is of one part by its path."""
    model = harness.build_model("wide_and_deep", click_schema)
    parts = {weight.path.split("/")[0] for weight in model.weights}
    assert parts == {"wide", "embedding", "deep", "heads"}


def test_only_the_wide_part_sees_a_cross():
    schema = Schema(
        features=[
            CategoricalFeature("a", vocabulary_size=3),
            CategoricalFeature("b", vocabulary_size=3),
            CrossedFeature("ab", keys=("a", "b"), hash_bins=5),
        ],
        labels=[Label("click")],
    )
    model = wide_and_deep(schema, 2, (3,))
    inputs = harness.model_inputs(schema, 2)
    other = {**inputs, "ab": (inputs["ab"] + 1) % 5 + 1}
    # The wide weights start at 0.
    before, after = (model.predict_on_batch(x)["click"] for x in (inputs, other))
    assert before.tolist() == after.tolist()


@pytest.mark.parametrize("name", ["deepfm", "dlrm", "wide_and_deep"])
def test_regularizers_reach_all_tables(click_schema, name):
    model = harness.build_model(name, click_schema, embeddings_regularizer="l2")
    model(harness.tensors(harness.model_inputs(click_schema, 2)))
    tables = [w for w in model.weights if "embeddings" in w.path]
    kernels = [w for w in model.weights if w.path in ("wide/kernel", "linear/kernel")]
    assert len(model.losses) == len(tables) + len(kernels)
