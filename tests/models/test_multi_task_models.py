"""Multi-task models: what is shared, what is not, and over which bottom."""

import dataclasses

import numpy as np
import pytest

import keras_recs
from keras_recs import CategoricalFeature, Label, NumericFeature, Schema, models
from tests import harness, numpy_reference

FUNNEL = [Label("order", given="cart"), Label("click"), Label("cart", given="click")]


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    folder = tmp_path_factory.mktemp("schemas")
    return harness.model_schemas(folder)["every kind of feature, two labels"]


def perturbed(model):
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape, scale=0.4))
    return model


def test_one_gate_for_all_tasks(schema):
    """OMoE: all towers read the one mixture."""
    model = perturbed(harness.build_model("mmoe", schema, shared_gate=True))
    inputs = harness.model_inputs(schema, 4)
    outputs = model.predict_on_batch(inputs)
    gate = np.asarray(model.get_layer("gate").gate.dense.kernel, "float64")
    for row in range(4):
        example = {key: value[row] for key, value in inputs.items()}
        fields = numpy_reference.Stacked(model.get_layer("embedding")).fields(example)
        x = np.concatenate([fields.reshape(-1), [example["price"]]])
        vectors = numpy_reference.experts(model.get_layer("experts"), x)
        mixed = numpy_reference.mixture(numpy_reference.softmax(x @ gate), vectors)
        logits = numpy_reference.task_towers(model.get_layer("towers"), mixed)
        expected = numpy_reference.sigmoid(logits[0]), logits[1]
        np.testing.assert_allclose(outputs["click"][row, 0], expected[0], rtol=2e-5)
        np.testing.assert_allclose(outputs["rating"][row, 0], expected[1], rtol=2e-5)


@pytest.mark.parametrize("name", ["shared_bottom", "mmoe", "ple", "esmm"])
@pytest.mark.parametrize("bottom", ["fm", "dcn_v2", models.deepfm])
def test_a_ranking_model_below(name, bottom, schema):
    """Its features replace the embeddings; all its weights learn."""
    schema = harness.suited(name, schema)
    small = {"hidden_units": (6,)} if bottom != "fm" else {}
    model = harness.build_model(name, schema, bottom=bottom, bottom_arguments=small)
    assert list(model.output) == harness.output_names(name, schema)
    assert [layer.name for layer in model.layers].count("heads") == 1
    inputs = harness.tensors(harness.model_inputs(schema, 4))
    found = harness.gradients(model, lambda: model(inputs), harness.square_loss)
    assert all(gradient is not None for gradient in found.values())
    kernel = {"fm": "linear/kernel", "dcn_v2": "cross_0/dense/kernel"}.get(bottom)
    assert (kernel or "deep/dense_0/kernel") in {w.path for w in model.weights}


def test_the_streams_of_finalmlp_below(schema):
    """What it would fuse into logits; the fusion itself is left out."""
    small = {"hidden_units": (6,), "second_hidden_units": (4,)}
    model = harness.build_model(
        "ple", schema, bottom="finalmlp", bottom_arguments=small
    )
    names = [layer.name for layer in model.layers]
    assert {"first_stream", "second_stream"} <= set(names)
    assert "fusion" not in names
    assert model.get_layer("extraction_0").experts.kernels[0].shape[0] == 6 + 4


@pytest.mark.parametrize("levels", [1, 3])
def test_levels_of_extraction(levels, schema):
    model = harness.build_model("ple", schema, num_layers=levels)
    blocks = [x for x in model.layers if x.name.startswith("extraction_")]
    assert [block.is_last for block in blocks] == [False] * (levels - 1) + [True]


def test_an_expert_of_a_task_learns_from_no_other(schema):
    """At one level; over several, the shared experts pass on what others learn."""
    model = harness.build_model("ple", schema, num_layers=1, num_experts=(2, 1))
    inputs = harness.tensors(harness.model_inputs(schema, 8))
    found = harness.gradients(
        model,
        lambda: {"click": model(inputs)["click"]},
        harness.square_loss,
    )
    kernel = harness.values_of(found["extraction_0/experts/kernel_0"])  # (N, E, H)
    assert np.abs(kernel[:, :2]).max() > 0
    assert np.abs(kernel[:, 2:4]).max() == 0, "experts of the rating"
    assert np.abs(kernel[:, 4]).max() > 0, "the shared one"


def test_a_longer_funnel(schema):
    """Each step is that of the one before times its own; in any order of labels."""
    schema = dataclasses.replace(schema, labels=FUNNEL)
    model = perturbed(harness.build_model("esmm", schema))
    outputs = model.predict_on_batch(harness.model_inputs(schema, 5))
    assert list(outputs) == [
        "order",
        "click",
        "cart",
        "order_given_cart",
        "cart_given_click",
    ]
    cart = outputs["click"] * outputs["cart_given_click"]
    np.testing.assert_allclose(outputs["cart"], cart, rtol=1e-5)
    order = cart * outputs["order_given_cart"]
    np.testing.assert_allclose(outputs["order"], order, rtol=1e-5)


def test_conversions_learn_from_impressions_without_a_click():
    """And the click's tower from the conversions, through the product."""
    import keras
    import tensorflow as tf

    labels = [Label("click"), Label("conversion", given="click")]
    schema = Schema([CategoricalFeature("item", vocabulary_size=5)], labels)
    model = harness.build_model("esmm", schema)
    inputs = {"item": np.array([2, 3, 4, 5], "int32")}
    nothing = np.zeros((4, 1), "float32")  # nobody clicked

    def gradient_of(label):
        kernel = model.get_layer("towers").hidden.kernels[0]
        with tf.GradientTape() as tape:
            p = model(inputs)[label]
            loss = tf.reduce_mean(keras.losses.binary_crossentropy(nothing, p))
        return np.abs(np.asarray(tape.gradient(loss, kernel.value))).max(axis=(0, 2))

    click, conversion = gradient_of("click")
    assert click > 0
    assert conversion == 0
    click, conversion = gradient_of("conversion")
    assert click > 0
    assert conversion > 0


def test_tiny_probabilities_are_products_still():
    """Of 1e-20 each; the logarithms are added."""
    heads = keras_recs.layers.PredictionHeads(
        {"click": "binary", "order": "binary"}, {"order": "click"}
    )
    logits = np.array([[-40.0, -40.0], [60.0, 3.0]], "float32")
    outputs = heads([], logits=[logits])
    np.testing.assert_allclose(
        np.asarray(outputs["order"])[:, 0],
        [np.exp(-80.0), 1 / (1 + np.exp(-3.0))],
        rtol=1e-5,
    )


@pytest.mark.parametrize("name", ["shared_bottom", "mmoe", "ple", "esmm"])
def test_numbers_alone(name):
    labels = [Label("click"), Label("order", given="click")]
    schema = Schema([NumericFeature("a"), NumericFeature("b")], labels)
    model = harness.build_model(name, schema)
    outputs = model.predict_on_batch({k: np.ones(3, "float32") for k in "ab"})
    assert outputs["click"].shape == (3, 1)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("mmoe", {"bottom": "dnn"}, r"`bottom` must be a ranking model.*'dcn_v2'"),
        ("ple", {"bottom": "logistic_regression"}, "are logits alone"),
        ("ple", {"bottom": "mmoe"}, "are logits alone"),
        ("mmoe", {"bottom_arguments": {"dropout": 0.1}}, "are those of a `bottom`"),
        (
            "mmoe",
            {"bottom": "fm", "bottom_arguments": {"dropout": 0.1}},
            r"what fm does not take: \['dropout'\]",
        ),
        ("ple", {"num_layers": 0}, "`num_layers` must be"),
        ("ple", {"num_experts": (2,)}, "`num_experts` must be the number"),
        ("mmoe", {"num_experts": 0}, "`num_experts` must be"),
        ("esmm", {}, 'Label."conversion", given="click".*none with `given`'),
    ],
)
def test_what_is_wrong_is_said(name, arguments, message, schema):
    builder = getattr(models, name)
    with pytest.raises(ValueError, match=message):
        builder(schema, **arguments)
