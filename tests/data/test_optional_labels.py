"""Labels that may be missing, and labels of a funnel, from raw rows to metrics."""

import json

import numpy as np
import pytest

import keras_recs
from keras_recs import Label, NumericFeature, Schema
from keras_recs.data import array_dataset, prepare, tfrecord_dataset
from keras_recs.evaluation import Predictions
from keras_recs.evaluation.evaluate import measure

LABELS = [
    Label("click"),
    Label("order", given="click"),
    Label("rating", task="regression", optional=True),
]
SCHEMA = Schema(features=[NumericFeature("x")], labels=LABELS)
COLUMNS = {
    "x": [0.0, 1.0, 2.0, 3.0],
    "click": [0, 1, 1, 1],
    "order": [0, 0, 1, 1],
    "rating": [None, 2.5, float("nan"), 4.0],
}
TEXT = "x,click,order,rating\n0,0,0,\n1,1,0,2.5\n2,1,1,nan\n3,1,1,4\n"


def check(batch):
    _, labels, weights = batch
    np.testing.assert_array_equal(labels["rating"][:, 0], [0, 2.5, 0, 4])
    np.testing.assert_array_equal(weights["rating"], [0, 1, 0, 1])
    np.testing.assert_array_equal(weights["click"], [1, 1, 1, 1])
    np.testing.assert_array_equal(labels["order"][:, 0], COLUMNS["order"])


def prepared(folder, text, **options):
    raw = folder / "raw.csv"
    raw.write_text(text)
    output = folder / "prepared"
    options = {"num_shards": 1, "num_processes": 1, **options}
    prepare(raw, SCHEMA, output, **options)
    return output


def test_from_raw_rows_to_a_batch(tmp_path):
    folder = prepared(tmp_path, TEXT)
    schema = Schema.load(folder)
    (batch,) = tfrecord_dataset(folder / "train-*", schema, 4, shuffle=False)
    check(batch)
    statistics = json.loads((folder / "statistics.json").read_text())
    assert statistics["labels"]["rating"]["missing"] == 2


def test_a_row_with_an_order_and_no_click_is_bad(tmp_path):
    text = TEXT.replace("2,1,1,nan", "2,0,1,nan")
    with pytest.raises(
        ValueError, match=r"raw.csv.*4.*'order' is 1 where 'click' is not"
    ):
        prepared(tmp_path, text)
    folder = prepared(tmp_path, text, max_bad_rows=1)
    (line,) = (folder / "quarantine.jsonl").read_text().splitlines()
    assert "'order' is 1 where 'click' is not" in line
    (batch,) = tfrecord_dataset(folder / "train-*", Schema.load(folder), 4)
    assert batch[1]["click"].shape == (3, 1)


def test_a_label_that_is_not_optional_must_be_there(tmp_path):
    with pytest.raises(ValueError, match=r"click.*the value is missing"):
        prepared(tmp_path, TEXT.replace("1,1,0,2.5", "1,,0,2.5"))


def test_missing_labels_weigh_nothing():
    (batch,) = array_dataset(COLUMNS, SCHEMA, 4, shuffle=False)
    check(batch)


FUNNEL = Schema(
    [NumericFeature("x")],
    [
        Label("order", given="cart", optional=True, sample_weight="price"),
        Label("click", optional=True),
        Label("cart", given="click", optional=True),
    ],
)
NAN = float("nan")
# Not clicked, clicked alone, not in the cart, in the cart, ordered, not known at all.
FUNNEL_COLUMNS = {
    "x": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0],
    "price": [2.0, 2.0, 2.0, 2.0, 3.0, 2.0],
    "click": [0, 1, 1, 1, 1, NAN],
    "cart": [NAN, NAN, 0, 1, 1, NAN],
    "order": [NAN, NAN, NAN, NAN, 1, NAN],
}
FUNNEL_TEXT = "x,price,click,cart,order\n0,2,0,,\n1,2,1,,\n2,2,1,0,\n3,2,1,1,\n4,3,1,1,1\n5,2,,,\n"


def test_what_was_not_clicked_was_not_ordered_either(tmp_path):
    """In memory and from files; the third step follows from the first."""
    raw = tmp_path / "raw.csv"
    raw.write_text(FUNNEL_TEXT)
    folder = tmp_path / "prepared"
    prepare(raw, FUNNEL, folder, num_shards=1, num_processes=1)
    schema = Schema.load(folder)
    for dataset in (
        array_dataset(FUNNEL_COLUMNS, FUNNEL, 6, shuffle=False),
        tfrecord_dataset(folder / "train-*", schema, 6, shuffle=False),
    ):
        ((_, labels, weights),) = dataset
        np.testing.assert_array_equal(weights["click"], [1, 1, 1, 1, 1, 0])
        np.testing.assert_array_equal(weights["cart"], [1, 0, 1, 1, 1, 0])
        np.testing.assert_array_equal(weights["order"], [2, 0, 2, 0, 3, 0])
        np.testing.assert_array_equal(labels["click"][:, 0], [0, 1, 1, 1, 1, 0])
        np.testing.assert_array_equal(labels["cart"][:, 0], [0, 0, 0, 1, 1, 0])
        np.testing.assert_array_equal(labels["order"][:, 0], [0, 0, 0, 0, 1, 0])


def test_rates_of_all_impressions():
    """pCTCVR counts impressions, pCVR clicks with a known end."""
    from keras_recs.evaluation import evaluate

    model = keras_recs.models.esmm(FUNNEL, hidden_units=(2,))
    found = evaluate(model, array_dataset(FUNNEL_COLUMNS, FUNNEL, 4), FUNNEL)
    examples = {name: values["examples"] for name, values in found.items()}
    assert examples == {
        "order": 3,
        "click": 5,
        "cart": 4,
        "order_given_cart": 1,
        "cart_given_click": 3,
    }
    assert found["cart"]["positive_rate"] == pytest.approx(2 / 4)
    assert found["order"]["positive_rate"] == pytest.approx(3 / (2 + 2 + 3))


def test_the_loss_is_the_mean_over_those_that_are_there():
    from keras_recs.losses import LabelledLoss

    losses = keras_recs.losses.losses_of(SCHEMA)
    assert losses["click"] == "binary_crossentropy"
    y = np.array([[0.0], [2.5], [0.0], [4.0]])
    p = np.array([[9.0], [2.0], [9.0], [2.0]])
    there = np.array([0.0, 1.0, 0.0, 1.0])
    assert float(losses["rating"](y, p, there)) == pytest.approx((0.25 + 4) / 2)
    assert float(losses["rating"](y, p, 0 * there)) == 0.0
    assert float(losses["rating"](y, p, 3 * there)) == pytest.approx(3 * 4.25 / 2)
    assert isinstance(losses["rating"], LabelledLoss)


def test_metrics_of_those_that_are_there():
    rng = np.random.default_rng(0)
    click = np.array([0, 1, 1, 1, 1, 0], "float32")
    order = np.array([0, 1, 0, 1, 0, 0], "float32")
    there = np.array([1, 1, 0, 1, 0, 1], "float32")
    scores = {
        name: rng.uniform(size=6).astype("float32") for name in ("click", "order")
    }
    scores["rating"] = rng.normal(size=6).astype("float32")
    scores["order_given_click"] = np.array([0.9, 0.8, 0.3, 0.4, 0.5, 1], "float32")
    rating = np.array([1, 2, 0, 3, 0, 4], "float32")
    found = measure(
        Predictions(
            {"click": click, "order": order, "rating": rating},
            scores,
            {"click": np.ones(6), "order": np.ones(6), "rating": there},
        ),
        SCHEMA,
    )
    kept = there > 0
    expected = np.mean((rating[kept] - scores["rating"][kept]) ** 2)
    assert found["rating"]["mse"] == pytest.approx(expected, rel=1e-6)
    assert found["rating"]["examples"] == 4
    assert found["order"]["examples"] == 6
    # Of the clicked ones: 0.8 and 0.4 were ordered, 0.3 and 0.5 were not.
    assert found["order_given_click"]["examples"] == 4
    assert found["order_given_click"]["auc"] == pytest.approx(3 / 4)
    nothing = Predictions(
        {"click": click, "order": order, "rating": rating},
        scores,
        {"rating": np.zeros(6)},
    )
    assert measure(nothing, SCHEMA)["rating"] == {"examples": 0}


def test_a_schema_keeps_both_in_json():
    again = Schema.from_json(SCHEMA.to_json())
    assert again == SCHEMA
    assert again.given == {"order": "click"}
    stored = json.loads(SCHEMA.to_json())["labels"]
    assert stored[0] == {"name": "click"}
    assert stored[2]["optional"] is True


def test_an_order_without_a_click_is_named():
    wrong = {**COLUMNS, "click": [0, 1, 0, 1]}
    with pytest.raises(ValueError, match=r"'order' cannot be 1 .* in row 2"):
        array_dataset(wrong, SCHEMA, 4)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([Label("a", given="b")], "must name another binary label"),
        ([Label("a"), Label("b", given="a"), Label("c", given="b")], None),
        ([Label("a", given="b"), Label("b", given="a")], "leads in a circle"),
        (
            [Label("a", task="regression"), Label("b", given="a")],
            "must name another binary label",
        ),
        (
            [Label("a"), Label("b", given="a"), Label("b_given_a")],
            "is that of the probability of 'b'",
        ),
    ],
)
def test_funnels_that_cannot_be(labels, message):
    if message is None:
        assert Schema(SCHEMA.features, labels).given == {"b": "a", "c": "b"}
        return
    with pytest.raises(ValueError, match=message):
        Schema(SCHEMA.features, labels)


def test_labels_that_cannot_be():
    with pytest.raises(ValueError, match="only a binary label can have `given`"):
        Label("a", task="regression", given="b")
    with pytest.raises(ValueError, match="`optional` must be True or False"):
        Label("a", optional="yes")
    with pytest.raises(ValueError, match="must differ from each other"):
        Schema(SCHEMA.features, [Label("a"), Label("a")])
