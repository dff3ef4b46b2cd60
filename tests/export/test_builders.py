"""Every builder's model answers every signature as it does in Keras."""

import numpy as np
import pytest

import keras_recs
from keras_recs.export.signature_plan import signature_plan
from keras_recs.export.write_saved_model import write_saved_model
from keras_recs.preprocessing import SchemaPreprocessor
from tests import harness
from tests.export.test_saved_model import ROWS, raw_arrays, serialized

# Unlike one another; each builder's graph of inference has a test in `test_common`.
USUAL = ("dcn_v2", "deepfm", "dien", "din", "finalmlp")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in USUAL else pytest.mark.large)
        for name in harness.builders()
    ],
)
def test_all_signatures(name, schema, ask, signature_defs, tmp_path):
    from keras import ops

    model = getattr(keras_recs.models, name)(schema)
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(weight + rng.normal(0.0, 0.1, weight.shape))
    preprocessor = SchemaPreprocessor(schema)
    write_saved_model(model, schema, preprocessor, tmp_path)
    raw = raw_arrays(ROWS)
    inputs = preprocessor({key: ops.convert_to_tensor(v) for key, v in raw.items()})
    expected = {key: np.asarray(value) for key, value in model(inputs).items()}
    assert np.ptp(expected["click"]) > 1e-3

    def near(actual, wanted):
        np.testing.assert_allclose(actual, wanted, rtol=2e-5, atol=1e-6)

    plan = signature_plan(schema)
    assert {planned.key for planned in plan} == set(signature_defs(tmp_path))
    for planned in plan:
        arrays = raw
        if planned.examples_input is not None:
            arrays = {planned.examples_input: serialized(ROWS)}
        answer = ask(tmp_path, planned.key, arrays)
        if planned.method == "predict":
            assert set(answer) == set(schema.label_names)
            for label, values in answer.items():
                near(values, expected[label])
        elif planned.method == "classify":
            near(answer["scores"][:, 1:], expected[planned.label])
        else:
            near(answer["outputs"], expected[planned.label])
