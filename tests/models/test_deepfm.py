"""DeepFM's own properties."""

import numpy as np

from tests import harness


def test_factorization_machine_and_tower_share_one_embedding(click_schema):
    model = harness.build_model("deepfm", click_schema)
    tables = [w.path for w in model.weights if w.path.endswith("/embeddings")]
    assert tables == [
        "embedding/tables/embeddings",
        "number_embedding/embeddings",
        "linear/weight_of_value/tables/embeddings",
    ]


def test_the_first_order_is_one_scalar_a_value_and_label(click_schema):
    rows = sum(table.num_rows for table in click_schema.tables.values())
    model = harness.build_model("deepfm", click_schema)
    linear = model.get_layer("linear")
    assert linear.weight_of_value.shards[0].shape == (rows, len(click_schema.labels))
    assert linear.kernel.shape == (1, len(click_schema.labels))


def test_each_of_several_labels_weighs_the_pairs_for_itself(click_schema):
    """The factorization machine must not be one number for all labels."""
    model = harness.build_model("deepfm", click_schema)
    units = harness.SMALL_ARGUMENTS
    width = units["hidden_units"][-1] + units["embedding_dim"]
    assert model.get_layer("heads").dense.kernel.shape == (width, 2)


def test_a_batch_of_one_number(click_schema):
    model = harness.build_model("deepfm", click_schema)
    outputs = model.predict_on_batch(harness.model_inputs(click_schema, 1))
    assert {np.shape(v) for v in outputs.values()} == {(1, 1)}
