"""A model with more room for keys answers as before and learns on."""

import keras
import numpy as np
import pytest

from keras_recs import CategoricalFeature, Label, Schema, SequenceFeature
from keras_recs.layers import BatchL2, QuotientRemainder
from keras_recs.losses import losses_of
from keras_recs.models import (
    EmbeddingOptions,
    build_inputs,
    deepfm,
    shared_bottom,
    table_rows,
)
from keras_recs.models.find_vocabulary import find_vocabulary
from keras_recs.training import (
    DynamicWeightAverage,
    GivenWeights,
    GradNorm,
    MultiTaskModel,
    PCGrad,
    UncertaintyWeights,
    grow_table,
    weigh_tasks,
)
from tests.numpy_reference import hash_key

SCHEMA = Schema(
    features=[
        CategoricalFeature("deep", hash_bins=3),  # as a layer
        CategoricalFeature("item", max_keys=2, num_oov=2, expire_after=4),
        SequenceFeature("history", table="item", max_length=2),
        CategoricalFeature("user", max_keys=4),
    ],
    labels=[Label("click")],
)
KEYS = [hash_key(value) for value in "abcde"]


def inputs(*items):
    count = len(items)
    return {
        "deep": np.full(count, 2, "int32"),
        "item": np.array(items),
        "history": np.zeros((count, 2), "int64"),
        "user": np.full(count, KEYS[0]),
    }


def model_of(schema=SCHEMA, **options):
    model = deepfm(
        schema,
        embedding_dim=3,
        hidden_units=(4,),
        embedding_options=EmbeddingOptions(**options),
    )
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(size=weight.shape, scale=0.4))
    model(inputs(*KEYS[:2]), training=True)
    return model


@pytest.mark.parametrize("num_shards", [1, 3])
def test_rows_and_values_are_kept(num_shards):
    model = model_of(num_shards=num_shards)
    before = model(inputs(*KEYS))["click"].numpy()
    weights = model.get_weights()
    # One more: some of the shards have the same size as before, but other rows.
    new, schema = grow_table(model, SCHEMA, "item", 3)
    assert schema["item"].max_keys == schema["history"].max_keys == 3
    assert schema["user"] == SCHEMA["user"]
    assert new.name == model.name
    np.testing.assert_array_equal(new(inputs(*KEYS))["click"], before)
    for one, other in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)
    # The next key gets the new row, with an initial value of its own.
    new(inputs(KEYS[2], KEYS[3]), training=True)
    layer = find_vocabulary(new, schema, "item")
    assert layer.vocabulary()[0].tolist() == KEYS[:3]
    assert layer.vocabulary()[1].tolist() == [3, 4, 5]
    assert layer.expire_after == 4
    fresh = new.get_layer("embedding").read_rows("item", [5])
    assert (abs(fresh) > 0).all() and (abs(fresh) <= 0.05).all(), "as `uniform` does"
    linear = new.get_layer("linear").weight_of_value.read_rows("item", [4, 5])
    assert linear[0] != 0 and linear[1] == 0
    after = new(inputs(*KEYS))["click"].numpy()
    np.testing.assert_array_equal(after[:2], before[:2])
    assert after[2] != before[2]


def test_it_is_saved_like_any_other(tmp_path):
    model, schema = grow_table(model_of(), SCHEMA, "user", 9)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert find_vocabulary(loaded, schema, "user").max_keys == 9
    expected = model(inputs(*KEYS))["click"]
    np.testing.assert_array_equal(loaded(inputs(*KEYS))["click"], expected)


@pytest.mark.parametrize(
    "weighting",
    [
        GivenWeights({"click": 0.5, "like": 2.0}),
        UncertaintyWeights(),
        DynamicWeightAverage(temperature=1.5),
        GradNorm("shared", alpha=0.5),
        PCGrad(seed=3),
    ],
    ids=lambda weighting: type(weighting).__name__,
)
def test_the_weighting_is_kept(weighting):
    """It goes on from where it is; without its variables it would begin anew."""
    schema = Schema(
        [CategoricalFeature("user", max_keys=2)], [Label("click"), Label("like")]
    )
    base = shared_bottom(schema, embedding_dim=2, hidden_units=(3,), tower_units=(2,))
    model = weigh_tasks(base, schema, weighting)
    for number, weight in enumerate(weighting.weights, start=1):
        weight.assign(np.full(weight.shape, number / 8))
    new, _ = grow_table(model, schema, "user", 3)
    assert isinstance(new, MultiTaskModel)
    assert (new.name, new.tasks) == (model.name, model.tasks)
    assert new.weighting is not weighting
    assert type(new.weighting) is type(weighting)
    assert new.weighting.get_config() == weighting.get_config()
    assert len(new.weighting.weights) == len(weighting.weights)
    for one, other in zip(new.weighting.weights, weighting.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(new.weighting.weigh(0), weighting.weigh(0))
    new.compile("sgd", losses_of(schema), run_eagerly=True)
    y = {label: np.array([[1.0], [0.0]]) for label in schema.label_names}
    history = new.fit({"user": np.array(KEYS[:2])}, y, verbose=0).history
    assert np.isfinite(history["like_weight"]).all()


def test_messages(tmp_path):
    model = model_of()
    with pytest.raises(ValueError, match="`max_keys` must not shrink"):
        grow_table(model, SCHEMA, "item", 1)
    with pytest.raises(ValueError, match="no table 'deep' with `max_keys`"):
        grow_table(model, SCHEMA, "deep", 9)
    model = model_of(compression={"user": QuotientRemainder(2)})
    with pytest.raises(
        ValueError, match=r"'embedding' cannot grow.*'user' .*Received: compression="
    ):
        grow_table(model, SCHEMA, "item", 9)
    model = model_of(hot_rows={"user": 4}, folder=str(tmp_path))
    with pytest.raises(
        ValueError, match=r"'embedding' cannot grow.*'user' .*Received: hot_rows=4"
    ):
        grow_table(model, SCHEMA, "item", 9)
    counted = deepfm(
        SCHEMA,
        embedding_dim=3,
        hidden_units=(4,),
        embeddings_regularizer=BatchL2(0.1, by_count=True),
    )
    with pytest.raises(ValueError, match=r"'embedding' cannot grow: .*row_counts"):
        grow_table(counted, SCHEMA, "item", 9)


def test_a_model_of_ones_own():
    schema = Schema(features=[CategoricalFeature("user", max_keys=2)])
    symbols = build_inputs(schema)
    model = keras.Model(symbols, table_rows(schema, symbols))
    model({"user": np.array(KEYS[:3])}, training=True)
    new, schema = grow_table(model, schema, "user", 3)
    rows = new({"user": np.array(KEYS[:3])}, training=True)["user"]
    assert rows.numpy().tolist() == [2, 3, 4]
