"""Every model against its NumPy twin, example by example."""

import numpy as np
import pytest

from tests import harness, numpy_reference


@pytest.fixture(scope="module")
def schemas(tmp_path_factory):
    return harness.model_schemas(tmp_path_factory.mktemp("schemas"))


@pytest.mark.parametrize(("name", "schema_name"), harness.builders_and_schemas())
def test_the_numbers_of_a_model(name, schema_name, schemas):
    twin = getattr(numpy_reference, name, None)
    assert twin is not None, f"write {name} in tests/numpy_reference.py"
    schema = harness.suited(name, schemas[schema_name])
    model = harness.build_model(name, schema)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        value = rng.normal(size=weight.shape, scale=0.4)
        weight.assign(np.abs(value) if "variance" in weight.path else value)
    inputs = harness.model_inputs(schema, 6)
    # The graph computes the same: see `test_common`.
    outputs = model(harness.tensors(inputs))
    for row in range(6):
        example = {key: value[row] for key, value in inputs.items()}
        for label, expected in twin(model, schema, example).items():
            np.testing.assert_allclose(
                outputs[label][row, 0], expected, rtol=2e-5, atol=1e-6, err_msg=label
            )


@pytest.mark.parametrize("name", harness.builders())
def test_padding_and_the_order_of_examples_change_nothing(name, schemas):
    schema = harness.suited(name, schemas["every kind of feature, two labels"])
    model = harness.build_model(name, schema)
    inputs = harness.model_inputs(schema, 5)
    outputs = model(harness.tensors(inputs))
    wider = {**inputs, "genres": np.pad(inputs["genres"], ((0, 0), (2, 3)))}
    history = inputs["history"]
    turned = {
        **inputs,
        "history": history[:, ::-1],
    }  # pooled: no order, any padding side
    ordered = name in harness.READ_THE_ORDER
    for same in (wider,) if ordered else (wider, turned):
        for label, values in model(harness.tensors(same)).items():
            np.testing.assert_allclose(values, outputs[label], rtol=1e-5)
    order = [3, 0, 4, 1, 2]
    shuffled = {key: value[order] for key, value in inputs.items()}
    for label, values in model(harness.tensors(shuffled)).items():
        np.testing.assert_allclose(values, outputs[label].numpy()[order], rtol=1e-5)


@pytest.mark.parametrize("name", harness.builders())
def test_table_gradients_stay_sparse(name, schemas):
    import tensorflow as tf

    schema = harness.suited(name, schemas["every kind of feature, two labels"])
    model = harness.build_model(name, schema)
    inputs = harness.tensors(harness.model_inputs(schema, 4))
    found = harness.gradients(model, lambda: model(inputs), harness.square_loss)
    tables = {path: g for path, g in found.items() if path.endswith("/embeddings")}
    tables.pop("number_embedding/embeddings", None)
    assert tables
    assert all(isinstance(g, tf.IndexedSlices) for g in tables.values()), list(tables)


@pytest.mark.parametrize("name", harness.builders())
def test_messages(name, schemas):
    from keras_recs import NumericFeature, Schema
    from tests.samples import unfitted_schema

    with pytest.raises(ValueError, match="A model needs a fitted schema"):
        harness.build_model(name, unfitted_schema())
    unlabelled = Schema(features=schemas["histories"].features)
    with pytest.raises(ValueError, match="`tasks` must name at least one label"):
        harness.build_model(name, unlabelled)
    labels = schemas["no numbers"].labels
    numbers = Schema(features=[NumericFeature("a"), NumericFeature("b")], labels=labels)
    if name in harness.TAKE_NUMBERS_ALONE:
        model = harness.build_model(name, numbers)
        if name == "logistic_regression":
            assert model.count_params() == 3 * len(labels)
    else:
        with pytest.raises(
            ValueError, match=r"needs a categorical feature.*\['a', 'b'\]"
        ):
            harness.build_model(name, numbers)
