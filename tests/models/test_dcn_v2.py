"""DCN-V2's own properties."""

import numpy as np
import pytest

from keras_recs.models import dcn_v2
from tests import harness, numpy_reference


@pytest.mark.parametrize("structure", ["parallel", "stacked"])
@pytest.mark.parametrize(
    ("rank", "num_experts"), [(None, None), (3, None), (3, 1), (3, 2)]
)
def test_forms(click_schema, rank, num_experts, structure):
    model = dcn_v2(click_schema, 4, 2, rank, num_experts, structure, (8, 4))
    rng = np.random.default_rng(0)
    model.set_weights(
        [rng.normal(size=w.shape, scale=0.4) for w in model.get_weights()]
    )
    inputs = harness.model_inputs(click_schema, 3)
    outputs = model.predict_on_batch(inputs)
    for row in range(3):
        example = {key: value[row] for key, value in inputs.items()}
        expected = numpy_reference.dcn_v2(model, click_schema, example)
        for label, value in expected.items():
            np.testing.assert_allclose(outputs[label][row, 0], value, rtol=2e-5)


def test_at_least_one_cross_layer(click_schema):
    with pytest.raises(ValueError, match="`num_cross_layers` must be at least 1"):
        dcn_v2(click_schema, num_cross_layers=0)


def test_structures(click_schema):
    with pytest.raises(ValueError, match="`structure` must be one of"):
        dcn_v2(click_schema, structure="serial")
