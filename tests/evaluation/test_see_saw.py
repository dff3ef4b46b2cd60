"""Who loses in a multi-task model, which experts gates use, how gradients lie."""

import keras
import numpy as np
import pytest

from keras_recs import Label, NumericFeature, Schema, models
from keras_recs.evaluation import gate_utilization, plot_see_saw, see_saw
from keras_recs.training import TaskCosines
from tests import harness

SCHEMA = Schema(
    features=[NumericFeature("a"), NumericFeature("b")],
    labels=[Label("click"), Label("rating", task="regression"), Label("like")],
)


def test_the_worst_task_comes_first():
    together = {
        "click": {"auc": 0.7, "examples": 9},
        "rating": {"mse": 1.5, "examples": 9},
        "like": {"auc": 0.8, "examples": 4},
        "like_given_click": {"auc": 0.5, "examples": 2},
    }
    alone = {
        "click": {"auc": 0.69, "examples": 9},
        "rating": {"mse": 1.25, "examples": 9},
        "like": {"auc": 0.8, "examples": 4},
    }
    worst, same, best = see_saw(together, alone, SCHEMA)
    assert (worst.label, worst.metric, worst.gain) == ("rating", "mse", -0.25)
    assert str(worst) == "rating is worse than alone: mse 1.5 against 1.25 (+0.25)"
    assert (same.label, same.gain) == ("like", 0)
    assert str(same) == "like is as good as alone: auc 0.8"
    nothing = {**together, "like": {"examples": 4}}
    *known, unknown = see_saw(nothing, alone, SCHEMA)
    assert [change.label for change in known] == ["rating", "click"]
    assert str(unknown) == "like cannot be compared: auc is not known"
    assert best.label == "click"
    assert best.gain == pytest.approx(0.01)
    with pytest.raises(ValueError, match="'like' has no single-task model"):
        see_saw(together, {k: alone[k] for k in ("click", "rating")}, SCHEMA)
    other = {**alone, "click": {"auc": 0.7, "examples": 8}}
    with pytest.raises(ValueError, match="9 and 8 examples"):
        see_saw(together, other, SCHEMA)


def batches(rows=12, size=4):
    import tensorflow as tf

    rng = np.random.default_rng(0)
    x = {name: rng.normal(size=rows).astype("float32") for name in "ab"}
    y = harness.model_labels(SCHEMA, rows)
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(size)


@pytest.mark.parametrize(
    ("name", "options", "layers"),
    [
        ("mmoe", {"num_experts": 3}, {"gates": ["click", "rating", "like"]}),
        ("mmoe", {"num_experts": 3, "shared_gate": True}, {"gate": ["all"]}),
        (
            "ple",
            {"num_layers": 2, "num_experts": (2, 1)},
            {
                "extraction_0": ["click", "rating", "like", "(shared)"],
                "extraction_1": ["click", "rating", "like"],
            },
        ),
        ("shared_bottom", {}, {}),
    ],
)
def test_gates_share_out_one(name, options, layers):
    model = harness.build_model(name, SCHEMA, **options)
    found = gate_utilization(model, batches(), SCHEMA.label_names)
    assert {layer: list(entry["gates"]) for layer, entry in found.items()} == layers
    for entry in found.values():
        for shares in entry["gates"].values():
            assert sum(shares.values()) == pytest.approx(1)
        assert entry["collapsed"] == []
    if name == "ple":
        gates = found["extraction_0"]["gates"]
        assert list(gates["like"]) == ["like 0", "like 1", "(shared) 0"]
        assert len(gates["(shared)"]) == 7


def test_an_expert_that_no_gate_uses_is_named():
    model = harness.build_model("mmoe", SCHEMA, num_experts=3)
    kernel = model.get_layer("gates").dense.kernel
    # Both inputs are 1, so expert 1 has the logit −20 at every gate.
    value = np.zeros(kernel.shape)
    value[:, 1::3] = -10
    kernel.assign(value)
    ones = [({"a": np.ones(5, "float32"), "b": np.ones(5, "float32")}, {})]
    found = gate_utilization(model, ones, SCHEMA.label_names)["gates"]
    assert found["collapsed"] == ["expert 1"]
    assert found["gates"]["like"]["expert 0"] == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("name", ["mmoe", "ple"])
def test_gates_of_other_labels(name):
    model = harness.build_model(name, SCHEMA)
    names = [*SCHEMA.label_names]
    for wrong in (names[:2], [*names, "share"], []):
        with pytest.raises(
            ValueError, match=r"`labels` must name the 3 labels .*Received: labels=\["
        ):
            gate_utilization(model, batches(), wrong)
    for dataset, number in (([], 20), (batches(), 0)):
        with pytest.raises(ValueError, match="`dataset` must have at least one exam"):
            gate_utilization(model, dataset, names, number)


def test_cosines_of_gradients():
    """Against flat gradients of each label."""
    import tensorflow as tf

    model = harness.build_model("shared_bottom", SCHEMA)
    callback = TaskCosines(batches(8, 8), SCHEMA, num_batches=1)
    callback.set_model(model)
    logs = {}
    callback.on_epoch_end(0, logs)
    x, y = next(iter(batches(8, 8)))
    shared = model.get_layer("shared").trainable_weights
    flat = []
    for label, loss in harness.losses(SCHEMA).items():
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(keras.losses.get(loss)(y[label], model(x)[label]))
        gradients = tape.gradient(value, [w.value for w in shared])
        flat.append(np.concatenate([np.ravel(g) for g in gradients]))
    lengths = [np.linalg.norm(g) for g in flat]
    for (i, one), (j, other) in (
        ((0, "click"), (1, "rating")),
        ((0, "click"), (2, "like")),
        ((1, "rating"), (2, "like")),
    ):
        cosine = flat[i] @ flat[j] / (lengths[i] * lengths[j])
        assert logs[f"{one}_{other}_cosine"] == pytest.approx(cosine, abs=1e-5)
    with pytest.raises(ValueError, match=r"two labels or more.*task_cosines=False"):
        TaskCosines(batches(), SCHEMA.with_labels("click"))


def test_the_picture(tmp_path):
    history = tmp_path / "history.csv"
    history.write_text("epoch,loss,click_like_cosine\n0,1.0,0.5\n1,0.9,-0.1\n")
    together = {k: {"auc": 0.7, "mse": 1.0, "examples": 9} for k in SCHEMA.label_names}
    changes = see_saw(together, together, SCHEMA)
    model = models.mmoe(SCHEMA, num_experts=2, hidden_units=(3,))
    gates = gate_utilization(model, batches(), SCHEMA.label_names)
    plot_see_saw(changes, tmp_path / "plot.png", history, gates, "title")
    assert (tmp_path / "plot.png").read_bytes()[:4] == b"\x89PNG"
    plot_see_saw(changes, tmp_path / "bare.png")
    # Without twins there is no gain to draw, and without anything no picture.
    for number, (cosines, shares) in enumerate([(history, gates), (history, None)]):
        path = tmp_path / f"{number}.png"
        plot_see_saw([], path, cosines, shares)
        assert path.read_bytes()[:4] == b"\x89PNG"
    plot_see_saw([], tmp_path / "nothing.png", None, {})
    assert not (tmp_path / "nothing.png").exists()


def test_a_schema_with_some_of_its_labels():
    funnel = Schema(
        SCHEMA.features, [Label("click"), Label("cart", given="click"), Label("x")]
    )
    assert funnel.with_labels(["cart", "click"]).given == {"cart": "click"}
    (alone,) = funnel.with_labels("cart").labels
    assert alone == Label("cart")
    for names in ([], ["nothing"]):
        with pytest.raises(ValueError, match="must be of labels of the schema"):
            funnel.with_labels(names)
