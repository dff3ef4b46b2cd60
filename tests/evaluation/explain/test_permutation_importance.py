"""Importance by permutation: closed forms, and raw columns shuffled by hand."""

import math

import keras
import numpy as np
import pytest

from keras_recs import CategoricalFeature, Label, MultiValuedFeature, Schema
from keras_recs.data import array_dataset
from keras_recs.evaluation import evaluate, permutation_importance, plot_importance
from keras_recs.evaluation.explain.held_examples import HeldExamples
from keras_recs.models import deepfm, logistic_regression
from tests import samples

NUM_ROWS = 60


@pytest.fixture(scope="module")
def columns():
    """With every list three long, so that a shuffle changes no shape."""
    columns = samples.click_columns(NUM_ROWS)
    rng = np.random.default_rng(3)
    columns["genres"] = [
        rng.choice(["a", "b", "c"], 3).tolist() for _ in columns["user"]
    ]
    return columns


@pytest.fixture(scope="module")
def model(click_schema):
    model = deepfm(click_schema, embedding_dim=4, hidden_units=(8,))
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    return model


def dataset(columns, schema, batch_size=16, **options):
    return array_dataset(columns, schema, batch_size, shuffle=False, **options)


def importance(model, columns, schema, **options):
    batches = dataset(columns, schema, with_group=True)
    return permutation_importance(model, batches, schema, progress=False, **options)


# === Against shuffles by hand ===


@pytest.fixture(scope="module")
def before(model, columns, click_schema):
    """Metrics of the columns as they are."""
    batches = dataset(columns, click_schema, with_group=True)
    return evaluate(model, batches, click_schema)


@pytest.mark.parametrize(
    "feature",
    [
        "item",
        "genres",
        "history",
        "price",
        pytest.param("age", marks=pytest.mark.large),
    ],
)
def test_a_feature_is_taken_from_other_examples(
    feature, before, model, columns, click_schema
):
    """The raw column shuffled and evaluated gives the same drops, in each repeat."""
    losses = {}
    for repeat in range(2):
        order = np.random.default_rng([7, repeat]).permutation(NUM_ROWS)
        shuffled = {**columns, feature: [columns[feature][i] for i in order]}
        after = evaluate(
            model, dataset(shuffled, click_schema, with_group=True), click_schema
        )
        for label, name, sign in (
            ("click", "auc", 1),
            ("click", "gauc", 1),
            ("click", "log_loss", -1),
            ("rating", "mse", -1),
        ):
            loss = sign * (before[label][name] - after[label][name])
            losses.setdefault((label, name), []).append(loss)
    results = importance(
        model, columns, click_schema, repeats=2, seed=7, features=[feature]
    )
    assert list(results) == ["click", "rating"]
    assert list(results["click"]["baseline"]) == ["auc", "gauc", "log_loss"]
    for (label, name), (a, b) in losses.items():
        found = results[label]["importance"][feature][name]
        assert found["mean"] == pytest.approx((a + b) / 2, rel=1e-4, abs=1e-5)
        assert found["std"] == pytest.approx(abs(a - b) / 2, rel=1e-4, abs=1e-5)
        assert results[label]["baseline"][name] == pytest.approx(
            before[label][name], abs=1e-6
        )
    assert results["click"]["examples"] == NUM_ROWS
    assert results["click"]["repeats"] == 2


def test_a_cross_moves_alone_or_with_its_key(before, model, columns, click_schema):
    """With all keys it is the cross of the shuffled columns."""
    features = ["user_x_hour", ("user", "hour", "user_x_hour"), ("user", "hour")]
    results = importance(model, columns, click_schema, repeats=1, features=features)
    found = results["rating"]["importance"]
    assert list(found) == ["user_x_hour", "user + hour + user_x_hour", "user + hour"]
    order = np.random.default_rng([0, 0]).permutation(NUM_ROWS)
    shuffled = dict(columns)
    for name in ("user", "hour"):
        shuffled[name] = [columns[name][i] for i in order]
    after = evaluate(model, dataset(shuffled, click_schema), click_schema)["rating"]
    together = found["user + hour + user_x_hour"]["mse"]
    assert together["mean"] == pytest.approx(
        after["mse"] - before["rating"]["mse"], rel=1e-4
    )
    assert together["std"] == 0
    assert found["user + hour"]["mse"] != together


def test_the_other_features_do_not_matter(model, columns, click_schema):
    few = importance(model, columns, click_schema, features=["item"])
    all_ = importance(model, columns, click_schema)
    assert set(all_["click"]["importance"]) == set(click_schema.feature_names)
    assert few["click"]["importance"]["item"] == all_["click"]["importance"]["item"]
    other = importance(model, columns, click_schema, features=["item"], seed=1)
    assert other["click"]["importance"] != few["click"]["importance"]


def test_weights_move_with_their_values():
    """A model that reads weight · value alone: else its products would change."""
    schema = Schema(
        [
            MultiValuedFeature("tags", vocabulary_size=4, weights="w", combiner="sum"),
            CategoricalFeature("other", vocabulary_size=3),
        ],
        [Label("y", task="regression")],
    )
    rng = np.random.default_rng(0)
    size = 40
    tags = [rng.integers(0, 4, rng.integers(1, 5)).tolist() for _ in range(size)]
    weights = [rng.uniform(1, 2, len(row)).tolist() for row in tags]
    columns = {"tags": tags, "w": weights, "other": rng.integers(0, 3, size).tolist()}
    model = logistic_regression(schema)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    columns["y"] = [0.0] * size
    (batch,) = array_dataset(columns, schema, size, shuffle=False)
    scores = model.predict_on_batch(batch[0])["y"][:, 0]
    columns["y"] = scores.tolist()  # without error
    batches = array_dataset(columns, schema, 7, shuffle=False)
    results = permutation_importance(
        model, batches, schema, features=["tags"], repeats=2, progress=False
    )["y"]
    assert results["baseline"]["mse"] == pytest.approx(0, abs=1e-9)
    rises = []
    for repeat in range(2):
        order = np.random.default_rng([0, repeat]).permutation(size)
        shuffled = {**columns, "tags": [tags[i] for i in order]}
        shuffled["w"] = [weights[i] for i in order]
        (batch,) = array_dataset(shuffled, schema, size, shuffle=False)
        after = model.predict_on_batch(batch[0])["y"][:, 0]
        rises.append(np.mean((after - scores) ** 2))
    assert results["importance"]["tags"]["mse"]["mean"] == pytest.approx(
        np.mean(rises), rel=1e-4
    )


# === Closed forms ===


def two_features(signal):
    """A model whose logit is `signal` of the row of `a`; `b` is not looked at."""
    schema = Schema(
        [
            CategoricalFeature("a", vocabulary_size=2),
            CategoricalFeature("b", vocabulary_size=2),
        ],
        [Label("y")],
    )
    inputs = {name: keras.Input((), name=name, dtype="int32") for name in "ab"}
    logit = keras.ops.cast(inputs["a"] - 2, "float32") * signal
    y = keras.ops.sigmoid(keras.ops.expand_dims(logit, -1))
    return schema, keras.Model(inputs, {"y": y})


def test_the_feature_alone_that_matters():
    """A perfect model loses all of it: E[AUC] is ½; b is worth exactly nothing."""
    schema, model = two_features(4.0)
    rng = np.random.default_rng(0)
    a = rng.integers(0, 2, 4000)
    columns = {"a": a, "b": rng.integers(0, 2, 4000), "y": a.astype("float32")}
    results = permutation_importance(
        model, dataset(columns, schema, 512), schema, progress=False
    )["y"]
    assert results["baseline"]["auc"] == 1
    assert results["importance"]["a"]["auc"]["mean"] == pytest.approx(0.5, abs=0.02)
    assert 0 < results["importance"]["a"]["auc"]["std"] < 0.02
    assert results["importance"]["a"]["log_loss"]["mean"] > 1
    assert results["importance"]["b"]["auc"] == {"mean": 0, "std": 0}


def test_one_class_gives_nan():
    schema, model = two_features(1.0)
    columns = {"a": [0, 1], "b": [0, 0], "y": [1.0, 1.0]}
    results = permutation_importance(
        model, dataset(columns, schema), schema, progress=False
    )["y"]
    assert math.isnan(results["importance"]["a"]["auc"]["mean"])


# === What is held in memory ===


def test_the_first_examples_are_held():
    """Lists grow to the widest; the last batch is cut; more is not read."""

    def batches():
        yield {"x": np.ones((2, 1))}, {"y": np.ones((2, 1))}, {}, np.array(["u", "v"])
        yield {"x": np.full((3, 2), 2)}, {"y": np.zeros((3, 1))}, {}, np.arange(3)
        raise RuntimeError("it reads on")

    held = HeldExamples.collect(batches(), 4)
    assert held.inputs["x"].tolist() == [[1, 0], [1, 0], [2, 2], [2, 2]]
    assert held.targets[0]["y"].tolist() == [[1], [1], [0], [0]]
    assert held.groups.tolist() == ["u", "v", "0", "1"]
    assert len(held) == 4
    assert [len(batch[3]) for batch in held.batches()] == [2, 2]
    (first, _) = held.batches(["x"], np.array([2, 0, 1, 3]))
    assert first[0]["x"].tolist() == [[2, 2], [1, 0]]
    assert first[1]["y"].tolist() == [[1], [1]]


def test_a_limit(model, columns, click_schema):
    results = importance(
        model, columns, click_schema, max_examples=20, repeats=1, features=["item"]
    )
    first = {name: values[:20] for name, values in columns.items()}
    assert results == importance(
        model, first, click_schema, repeats=1, features=["item"]
    )
    assert results["click"]["examples"] == 20


def test_a_progress_bar(columns, capsys):
    schema, model = two_features(1.0)
    data = {"a": [0, 1], "b": [0, 0], "y": [0.0, 1.0]}
    permutation_importance(model, dataset(data, schema), schema)
    assert "importance: 100%" in capsys.readouterr().err


# === Errors ===


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repeats": 0}, "`repeats` must be a positive integer. Received: repeats=0"),
        ({"max_examples": 0}, "`max_examples` must be .* Received: max_examples=0"),
        ({"features": ["usr"]}, r"`features` must name .* Received: \['usr'\]; there"),
        ({"features": [()]}, r"`features` must name .* Received: \(\); there"),
        ({"features": "user"}, "`features` must be a list .* features='user'"),
    ],
)
def test_errors(options, message, model, columns, click_schema):
    with pytest.raises(ValueError, match=message):
        importance(model, columns, click_schema, **options)


def test_no_batch(model, columns, click_schema):
    empty = dataset(columns, click_schema).take(0)
    with pytest.raises(ValueError, match="`dataset` must have at least one batch"):
        permutation_importance(model, empty, click_schema, progress=False)


# === The plot ===


def drawn(monkeypatch):
    import matplotlib.axes

    bars = []
    draw = matplotlib.axes.Axes.barh
    monkeypatch.setattr(
        matplotlib.axes.Axes,
        "barh",
        lambda self, names, widths, **options: (
            bars.append((names, widths)),
            draw(self, names, widths, **options),
        )[1],
    )
    return bars


def test_plot(tmp_path, monkeypatch):
    bars = drawn(monkeypatch)
    values = {"a": 0.1, "b": math.nan, "c": 0.3, "d": -0.1}
    result = {
        "baseline": {"auc": 0.7, "log_loss": 0.5},
        "importance": {
            name: {
                "auc": {"mean": value, "std": 0.01},
                "log_loss": {"mean": -value, "std": 0.0},
            }
            for name, value in values.items()
        },
    }
    plot_importance(result, tmp_path / "a.png", "title")
    assert bars.pop()[0] == ["c", "a", "d", "b"]
    plot_importance(result, tmp_path / "b.png", metric="log_loss", top=2)
    assert bars.pop() == (["d", "a"], [0.1, -0.1])
    for name in ("a.png", "b.png"):
        assert (tmp_path / name).read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(ValueError, match=r"`metric` must be .* Received: metric='mse'"):
        plot_importance(result, tmp_path / "c.png", metric="mse")
