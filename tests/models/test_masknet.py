"""MaskNet's own properties."""

import numpy as np
import pytest

from keras_recs.models import masknet
from tests import harness, numpy_reference
from tests.samples import frappe_schema


@pytest.mark.parametrize("structure", ["parallel", "serial"])
@pytest.mark.parametrize("hidden_units", [(), (8, 4)])
@pytest.mark.parametrize("num_blocks", [1, 3])
def test_forms(click_schema, num_blocks, hidden_units, structure):
    model = masknet(
        click_schema, 4, structure, num_blocks, 5, 1.5, hidden_units=hidden_units
    )
    rng = np.random.default_rng(0)
    model.set_weights(
        [rng.normal(size=w.shape, scale=0.4) for w in model.get_weights()]
    )
    inputs = harness.model_inputs(click_schema, 3)
    outputs = model.predict_on_batch(inputs)
    for row in range(3):
        example = {key: value[row] for key, value in inputs.items()}
        expected = numpy_reference.masknet(model, click_schema, example)
        for label, value in expected.items():
            np.testing.assert_allclose(outputs[label][row, 0], value, rtol=1e-4)


def test_only_the_first_of_serial_blocks_masks_the_embeddings(click_schema):
    model = masknet(click_schema, 4, "serial", 3, 5)
    over = [model.get_layer(f"block_{i}").field_norm is not None for i in range(3)]
    assert over == [True, False, False]


def test_as_many_weights_as_published_for_frappe():
    """Three serial blocks of 400, whose tables have no padding row: ten rows less."""
    model = masknet(
        frappe_schema(), 10, "serial", 3, 400, 1, layer_norm=False, hidden_units=()
    )
    assert model.count_params() - 10 * 10 == 836_291


def test_messages(click_schema):
    with pytest.raises(ValueError, match="`structure` must be one of"):
        masknet(click_schema, structure="stacked")
    with pytest.raises(ValueError, match="`num_blocks` must be at least 1"):
        masknet(click_schema, num_blocks=0)
