"""FinalMLP's own properties."""

import numpy as np
import pytest

from keras_recs.models import EmbeddingOptions, finalmlp
from tests import harness, numpy_reference
from tests.samples import frappe_schema

GATES = [((), ()), (("user",), ("item", "genres")), ((), ("history", "user"))]


@pytest.mark.parametrize("gate_features", GATES)
@pytest.mark.parametrize("gate_units", [(), (5,)])
def test_forms(click_schema, gate_units, gate_features):
    model = finalmlp(click_schema, 4, (6,), (5, 3), 3, gate_units, gate_features)
    rng = np.random.default_rng(0)
    model.set_weights(
        [rng.normal(size=w.shape, scale=0.4) for w in model.get_weights()]
    )
    inputs = harness.model_inputs(click_schema, 3)
    outputs = model.predict_on_batch(inputs)
    for row in range(3):
        example = {key: value[row] for key, value in inputs.items()}
        expected = numpy_reference.finalmlp(model, click_schema, example)
        for label, value in expected.items():
            np.testing.assert_allclose(outputs[label][row, 0], value, rtol=1e-4)


def test_as_many_weights_as_published_for_frappe():
    """Whose two streams have a bias each where ours have one together."""
    model = finalmlp(
        frappe_schema(), 10, (400,), (100,), 5, (400,), (("user",), ("item",)),
        batch_norm=True,
    )  # fmt: skip
    moving = sum(np.prod(w.shape) for w in model.non_trainable_weights)
    assert model.count_params() - moving + 1 == 253_392


def test_a_gate_reads_the_features_named_for_it_and_nothing_else(click_schema):
    """Another user changes the gates of the first stream and none of the second."""
    model = finalmlp(
        click_schema, 4, (6,), (6,), 1, (5,), (("user",), ("item", "history"))
    )
    first = model.get_layer("first_gate_embedding")
    assert first.field_names == ["user"]
    assert [table.name for table in first.tables] == ["user"]
    second = model.get_layer("second_gate_embedding")
    assert second.field_names == ["item", "history"]
    assert [table.name for table in second.tables] == ["item"]


def test_gates_of_a_table_of_smaller_dimension_and_of_one_in_files(
    click_schema, tmp_path
):
    """The tables of the gates are others, and so are their files."""
    options = EmbeddingOptions(
        embedding_dims={"user": 2},
        hot_rows={"item": 4},
        folder=str(tmp_path / "tables"),
    )
    model = finalmlp(
        click_schema, 4, (6,), (6,), 1, (5,), (("user",), ("item",)),
        embedding_options=options,
    )  # fmt: skip
    assert model.get_layer("first_condition").output.shape == (None, 2)
    assert model.get_layer("features").output.shape[1] % 4 == 0
    folders = [
        table.folder
        for name in ("embedding", "second_gate_embedding")
        for table in model.get_layer(name).tables
        if table.name == "item"
    ]
    ends = ("tables/item", "tables.second_gate/item")
    assert folders == [str(tmp_path / end) for end in ends]
    outputs = model.predict_on_batch(harness.model_inputs(click_schema, 3))
    assert all(np.isfinite(values).all() for values in outputs.values())


def test_messages(click_schema):
    with pytest.raises(
        ValueError, match=r"`gate_features` names .* \['price', 'who'\]"
    ):
        finalmlp(click_schema, gate_features=(("who",), ("price",)))
    for wrong in ((("user",),), ("user", "item")):
        with pytest.raises(ValueError, match="`gate_features` must be a pair of seq"):
            finalmlp(click_schema, gate_features=wrong)
