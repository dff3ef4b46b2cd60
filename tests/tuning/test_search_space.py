"""Ranges by argument name, and a model from draws of each builder's."""

import importlib
import json

import keras_tuner
import pytest

from keras_recs import models
from keras_recs.tuning import build_hypermodel, draw, search_space
from tests import harness

WIDTHS = [(4,), (8, 4)]
SMALL = {
    "embedding_dim": [2, 4],
    "hidden_units": WIDTHS,
    "second_hidden_units": WIDTHS,
    "bottom_units": WIDTHS,
    "top_units": WIDTHS,
    "gate_units": WIDTHS,
    "cin_layer_sizes": WIDTHS,
    "block_units": [4, 8],
}


def drawn(hp, seed):
    """Other values for all that a space holds."""
    other = hp.copy()
    for i, each in enumerate(hp.space):
        other.values[each.name] = each.random_sample(seed + i)
    return other


def recorded(ranges, seed):
    hp = keras_tuner.HyperParameters()
    draw(hp, ranges)
    return hp, draw(drawn(hp, seed), ranges)


@pytest.mark.parametrize("name", harness.builders())
def test_a_model_of_two_draws_of_each_builder(name, tmp_path):
    schema = harness.model_schemas(tmp_path)["every kind of feature, one label"]
    schema = harness.suited(name, schema)
    builder = getattr(importlib.import_module("keras_recs.models"), name)
    small = {k: v for k, v in SMALL.items() if k in harness.own_arguments(builder)}
    hypermodel = build_hypermodel(schema, name, space=small)
    assert set(hypermodel.ranges) > {"learning_rate"}, "what its signature takes"
    hp = keras_tuner.HyperParameters()
    hypermodel.build(hp)
    seen = set()
    for seed in (1, 2):
        values = drawn(hp, seed)
        model = hypermodel.build(values)
        assert model(harness.model_inputs(schema, 3))["click"].shape == (3, 1)
        arguments, training = hypermodel.values(values)
        rate = float(model.optimizer.learning_rate)
        assert rate == pytest.approx(training["learning_rate"])
        seen.add(str((arguments, training)))
    assert len(seen) == 2


def test_every_argument_is_decided_on():
    """A new one gets a range, or is named here."""
    held = {"embedding_options", "gate_features", "seed", "targets"}
    held |= {"bottom", "bottom_arguments"}
    undecided = {
        f"{name}: {argument}"
        for name in harness.builders()
        for argument in harness.own_arguments(getattr(models, name))
        if argument not in {"schema", *search_space(getattr(models, name)), *held}
    }
    assert not undecided


def test_a_space_is_what_the_signature_takes():
    assert set(search_space(models.deepfm)) == {
        "embedding_dim",
        "hidden_units",
        "dropout",
        "batch_norm",
        "embeddings_regularizer",
        "learning_rate",
    }
    assert "num_cross_layers" in search_space(models.dcn_v2)
    assert "dropout" not in search_space(models.deepfm, held=("dropout",))
    assert search_space(models.deepfm, {"dropout": 0.3})["dropout"] == 0.3
    own = search_space(lambda schema, my_size=3: None, {"my_size": [1, 2]})
    assert own["my_size"] == [1, 2]


@pytest.mark.parametrize(
    ("given", "kind", "values"),
    [
        ([1, 2], "Choice", {1, 2}),
        ([0, 0.5], "Choice", {0.0, 0.5}),
        (["a", "b"], "Choice", {"a", "b"}),
        ([None, 3], "Choice", {None, 3}),
        ([False, True], "Boolean", {False, True}),
        ([(4,), (4, 2)], "Choice", {(4,), (4, 2)}),
        ({"low": 1, "high": 3}, "Int", {1, 2, 3}),
    ],
)
def test_what_is_drawn(given, kind, values):
    seen = set()
    for seed in range(40):
        hp, result = recorded({"x": given}, seed)
        seen.add(result["x"])
        assert type(result["x"]) in {type(v) for v in values}
    assert seen == values
    assert type(hp.space[0]).__name__ == kind


def test_ranges_of_numbers():
    for given, sampling in (
        ({"low": 1e-4, "high": 1e-2}, "log"),
        ({"low": 0.0, "high": 0.5}, "linear"),
        ({"low": 1, "high": 5}, "linear"),
        ({"low": 4, "high": 64}, "log"),
    ):
        hp, result = recorded({"x": given}, 3)
        assert hp.space[0].sampling == sampling
        assert given["low"] <= result["x"] <= given["high"]
    hp, result = recorded({"x": 7, "y": {"low": 1, "high": 2}}, 0)
    assert result["x"] == 7
    assert [each.name for each in hp.space] == ["y"], "a single value is held"


def test_the_strength_of_a_regularizer():
    from keras.regularizers import get

    from keras_recs.layers import BatchL2

    _, result = recorded({"embeddings_regularizer": [1e-3]}, 0)
    regularizer = get(json.loads(json.dumps(result["embeddings_regularizer"])))
    assert isinstance(regularizer, BatchL2)
    assert regularizer.l2 == 1e-3
    assert not regularizer.by_count
    assert recorded({"kernel_regularizer": [0.0]}, 0)[1]["kernel_regularizer"] is None
    result = recorded({"kernel_regularizer": ["l1"]}, 0)[1]["kernel_regularizer"]
    assert result["class_name"] == "L1"


@pytest.mark.parametrize("name", ["deepfm", "logistic_regression"])
def test_a_searched_regularizer_leaves_the_gradients_of_tables_sparse(name, tmp_path):
    import tensorflow as tf

    schema = harness.model_schemas(tmp_path)["every kind of feature, one label"]
    builder = getattr(models, name)
    (searched,) = {"embeddings_regularizer", "kernel_regularizer"} & set(
        harness.own_arguments(builder)
    )
    arguments = draw(keras_tuner.HyperParameters(), {searched: [0.1]})
    model = builder(schema, **arguments)
    inputs = harness.model_inputs(schema, 3)

    def loss_of(outputs):
        assert all(float(loss) >= 0 for loss in model.losses)
        return harness.square_loss(outputs) + tf.add_n(model.losses)

    found = harness.gradients(model, lambda: model(inputs, training=True), loss_of)
    tables = [gradient for path, gradient in found.items() if "/tables" in path]
    assert tables
    assert all(isinstance(gradient, tf.IndexedSlices) for gradient in tables)


def test_an_argument_that_needs_another_is_searched_beside_it():
    """The experts of DCN-V2 have low-rank matrices: their number needs a rank."""
    ranges = search_space(models.dcn_v2, {"num_experts": [None, 2]})
    hp = keras_tuner.HyperParameters()
    draw(hp, ranges)
    hp.values["projection_dim"] = "16"  # as a tuner does, to see what depends on it
    draw(hp, ranges)
    seen = set()
    for seed in range(60):
        values = drawn(hp, seed)
        result = draw(values, ranges)
        seen.add((result["projection_dim"], result.get("num_experts", "default")))
    assert seen == {(None, "default"), (16, None), (16, 2), (64, None), (64, 2)}
    assert recorded({"num_experts": [2, 3]}, 0)[1]["num_experts"] in (2, 3)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (
            {"dropuot": [0.1]},
            r"does not take: \['dropuot'\]; it takes \['embedding_dim'",
        ),
        ({"dropout": []}, r"'dropout' must be a list .* Received: dropout=\[\]"),
        ({"dropout": [0.1, 0.1]}, "values that differ"),
        (
            {"dropout": {"low": 0.5, "high": 0.1}},
            r"'dropout' must be .*, \{'low': number, 'high': larger number\} or a single",
        ),
        ({"dropout": {"low": 0.1}}, "larger number"),
        ({"dropout": (0.1, 0.5)}, r"Received: dropout=\(0.1, 0.5\)"),
        ({"dropout": {0.1}}, "larger number"),
        ({"hidden_units": {"low": 1, "high": 2}}, "a list of lists. Received"),
        (
            {"hidden_units": (32, 64)},
            "'hidden_units' must be a list of lists. Received",
        ),
        ({"hidden_units": [32, 64]}, "a list of lists"),
    ],
)
def test_messages(space, message):
    with pytest.raises(ValueError, match=message):
        search_space(models.deepfm, space)


def test_an_argument_is_held_or_searched():
    with pytest.raises(ValueError, match=r"given and so not searched: \['dropout'\]"):
        search_space(models.deepfm, {"dropout": [0.1]}, held=("dropout",))
