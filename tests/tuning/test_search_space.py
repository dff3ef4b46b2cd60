"""Ranges by argument name, and a model from draws of each builder's."""

import importlib

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
    held = {"embedding_options", "gate_features", "num_experts", "seed", "targets"}
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
        ((1, 3), "Int", {1, 2, 3}),
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
        ((1e-4, 1e-2), "log"),
        ((0.0, 0.5), "linear"),
        ((1, 5), "linear"),
        ((4, 64), "log"),
    ):
        hp, result = recorded({"x": given}, 3)
        assert hp.space[0].sampling == sampling
        assert given[0] <= result["x"] <= given[1]
    hp, result = recorded({"x": 7, "y": (1, 2)}, 0)
    assert result["x"] == 7
    assert [each.name for each in hp.space] == ["y"], "a single value is held"


def test_the_strength_of_a_regularizer():
    from keras.regularizers import L2, get

    _, result = recorded({"embeddings_regularizer": [1e-3]}, 0)
    regularizer = get(result["embeddings_regularizer"])
    assert isinstance(regularizer, L2)
    assert float(regularizer.l2) == pytest.approx(1e-3)
    assert recorded({"kernel_regularizer": [0.0]}, 0)[1]["kernel_regularizer"] is None
    assert recorded({"kernel_regularizer": ["l1"]}, 0)[1]["kernel_regularizer"] == "l1"


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (
            {"dropuot": [0.1]},
            r"does not take: \['dropuot'\]; it takes \['embedding_dim'",
        ),
        ({"dropout": []}, r"'dropout' must be a list .* Received: dropout=\[\]"),
        ({"dropout": [0.1, 0.1]}, "values that differ"),
        ({"dropout": (0.5, 0.1)}, r"a pair \(low, high\) of numbers"),
        ({"dropout": (0, 1, 2)}, "a pair"),
        ({"dropout": {0.1}}, "a pair"),
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
