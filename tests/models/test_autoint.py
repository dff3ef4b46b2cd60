"""AutoInt's own properties."""

import keras
import numpy as np
import pytest

from keras_recs.models import autoint
from tests import harness, numpy_reference
from tests.samples import frappe_schema


@pytest.mark.parametrize("hidden_units", [None, (), (8, 4)])
@pytest.mark.parametrize(("use_residual", "scaled"), [(True, False), (False, True)])
def test_forms(click_schema, hidden_units, use_residual, scaled):
    model = autoint(
        click_schema, 4, 2, 2, 3, use_residual, scaled, hidden_units=hidden_units
    )
    rng = np.random.default_rng(0)
    model.set_weights(
        [rng.normal(size=w.shape, scale=0.4) for w in model.get_weights()]
    )
    inputs = harness.model_inputs(click_schema, 3)
    outputs = model.predict_on_batch(inputs)
    for row in range(3):
        example = {key: value[row] for key, value in inputs.items()}
        expected = numpy_reference.autoint(model, click_schema, example)
        for label, value in expected.items():
            np.testing.assert_allclose(outputs[label][row, 0], value, rtol=2e-5)


def test_as_many_weights_as_published_for_frappe():
    """6 layers of 4 heads of 32, whose tables have no padding row: ten rows less."""
    model = autoint(frappe_schema(), 10, 6, 4, 32)
    assert model.count_params() - 10 * 10 == 306_051


def test_attention_of_an_example(click_schema):
    """What each field reads, from the layers of a trained model."""
    model = autoint(click_schema, 4, 1, 2, 3)
    inputs = harness.model_inputs(click_schema, 3)
    fields = keras.Model(model.input, model.get_layer("attention_0").input)(inputs)
    _, weights = model.get_layer("attention_0")(fields, return_attention_scores=True)
    names = [*model.get_layer("embedding").field_names, "price"]
    assert weights.shape == (3, 2, len(names), len(names))


def test_at_least_one_layer(click_schema):
    with pytest.raises(ValueError, match="`num_attention_layers` must be at least 1"):
        autoint(click_schema, num_attention_layers=0)
