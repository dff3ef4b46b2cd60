"""What every builder does with a schema or a batch that is not as it should be."""

import keras
import numpy as np
import pytest

from keras_recs import (
    CategoricalFeature,
    Label,
    MultiValuedFeature,
    NumericFeature,
    Schema,
    models,
)
from keras_recs.layers import BatchL2
from tests import harness

LABELS = [Label("click")]
ITEM = CategoricalFeature("item", vocabulary_size=5)
# They need no categorical feature.
TAKE_NUMBERS_ALONE = harness.TAKE_NUMBERS_ALONE
# They read a history, which these schemas do not have.
NEED_A_HISTORY = harness.NEED_HISTORY
BUILDERS = harness.builders()
PLAIN_BUILDERS = [name for name in BUILDERS if name not in NEED_A_HISTORY]


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    folder = tmp_path_factory.mktemp("schema")
    return harness.model_schemas(folder)["every kind of feature, one label"]


def predict(model, schema, batch=4):
    outputs = model(harness.tensors(harness.model_inputs(schema, batch)))
    outputs = {label: values.numpy() for label, values in outputs.items()}
    assert all(np.isfinite(values).all() for values in outputs.values())
    return outputs


@pytest.mark.parametrize("name", PLAIN_BUILDERS)
def test_a_schema_without_a_categorical_feature(name):
    schema = Schema(features=[NumericFeature("price")], labels=LABELS)
    if name in TAKE_NUMBERS_ALONE:
        predict(harness.build_model(name, schema), schema)
        return
    message = r"needs a categorical feature, but .* only the numbers \['price'\]"
    with pytest.raises(ValueError, match=message):
        harness.build_model(name, schema)


@pytest.mark.parametrize("name", PLAIN_BUILDERS)
def test_a_schema_with_one_field(name):
    schema = Schema(features=[ITEM], labels=LABELS)
    if name in ("autoint", "dlrm"):
        with pytest.raises(ValueError, match=r"needs two; .*only \['item'\]"):
            harness.build_model(name, schema)
        return
    predict(harness.build_model(name, schema), schema)


@pytest.mark.parametrize("name", BUILDERS)
def test_numbers_beyond_float16(name):
    keras.config.set_dtype_policy("mixed_float16")
    tags = MultiValuedFeature("tags", hash_bins=3, weights="w", combiner="sum")
    price = NumericFeature("price")
    means = MultiValuedFeature("means", hash_bins=3, weights="m")
    for raw, received in ((price, r"transform=None"), (tags, r"combiner='sum'")):
        schema = Schema(features=[ITEM, means, raw], labels=LABELS)
        message = f"Feature '{raw.name}': .* float16 ends at 65,504.*{received}"
        with pytest.raises(ValueError, match=message):
            harness.build_model(name, schema)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_numbers_that_half_precision_takes(policy):
    transform = "log1p" if policy == "mixed_float16" else None
    number = NumericFeature("price", transform=transform)
    schema = Schema(features=[ITEM, number], labels=LABELS)
    keras.config.set_dtype_policy(policy)
    price = np.array([1e9, -1e5, 0], "float32")
    price = price if transform is None else np.sign(price) * np.log1p(np.abs(price))
    model = harness.build_model("deepfm", schema)
    outputs = model({"item": np.array([1, 2, 3]), "price": price})["click"]
    assert np.isfinite(outputs).all()


@pytest.mark.parametrize("name", NEED_A_HISTORY)
def test_a_schema_without_a_history(name):
    schema = Schema(features=[ITEM], labels=LABELS)
    with pytest.raises(ValueError, match=r"SequenceFeature.*table"):
        harness.build_model(name, schema)


@pytest.mark.parametrize("name", BUILDERS)
def test_a_schema_without_a_label(name, schema):
    without = Schema(features=[ITEM, CategoricalFeature("user", vocabulary_size=4)])
    if name in NEED_A_HISTORY:
        pytest.skip("it needs a history first")
    with pytest.raises(ValueError, match="`tasks` must name at least one label"):
        harness.build_model(name, without)


@pytest.mark.parametrize("name", BUILDERS)
def test_a_batch_without_a_feature(name, schema):
    inputs = harness.model_inputs(schema, 3)
    del inputs["item"]
    with pytest.raises((ValueError, KeyError), match="item"):
        harness.build_model(name, schema).predict_on_batch(inputs)


@pytest.mark.parametrize("name", BUILDERS)
def test_padding_alone(name, schema):
    """A user without any event or tag has finite predictions, alike in any batch."""
    model = harness.build_model(name, schema)
    inputs = harness.model_inputs(schema, 4)
    for feature in ("history", "genres"):
        inputs[feature] = np.zeros_like(inputs[feature])
    outputs = model.predict_on_batch(inputs)["click"]
    assert np.isfinite(outputs).all()
    one = {key: value[:1] for key, value in inputs.items()}
    np.testing.assert_allclose(model.predict_on_batch(one)["click"], outputs[:1], 1e-5)


@pytest.mark.parametrize("name", BUILDERS)
def test_a_history_longer_than_its_padding(name, schema):
    """The input has `max_length` places; the data cut to it, and a model refuses more."""
    inputs = harness.model_inputs(schema, 3)
    history = inputs["history"]
    inputs["history"] = np.concatenate([history, history], axis=1)
    with pytest.raises(ValueError, match="history"):
        harness.build_model(name, schema).predict_on_batch(inputs)


@pytest.mark.parametrize("name", BUILDERS)
def test_arguments_as_a_configuration_holds_them(name, schema):
    """A number for a regularizer, a dict for the options."""
    builder = getattr(models, name)
    (argument,) = {"embeddings_regularizer", "kernel_regularizer"} & set(
        harness.own_arguments(builder)
    )
    arguments = {argument: 0.25, "embedding_options": {"num_shards": 2}}
    model = builder(harness.suited(name, schema), **arguments)
    layers = [layer for layer in model.layers if hasattr(layer, "num_shards")]
    assert layers
    assert all(layer.num_shards == 2 for layer in layers)
    assert all(getattr(layer, argument, BatchL2(0.25)).l2 == 0.25 for layer in layers)


@pytest.mark.parametrize("name", BUILDERS)
def test_arguments_of_the_wrong_type(name, schema):
    builder = getattr(models, name)
    with pytest.raises(TypeError, match=r"`schema` .*Schema.load\(path\).*'s.json'"):
        builder("s.json")
    with pytest.raises(ValueError, match=r"`embedding_options` takes .*'shards': 2"):
        builder(schema, embedding_options={"shards": 2})
    arguments = harness.own_arguments(builder)
    for sizes in set(arguments) & {"hidden_units", "bottom_units", "attention_units"}:
        with pytest.raises(ValueError, match=r"`\w+` must be one or more .*=64"):
            builder(harness.suited(name, schema), **{sizes: 64})
    if "targets" in arguments:
        with pytest.raises(ValueError, match=r"`targets` must be a dict .*='item'"):
            builder(schema, targets="item")
