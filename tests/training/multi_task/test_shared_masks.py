"""Which weights tasks share: those that the gradients of two of them reach."""

import numpy as np
import pytest

from keras_recs import CategoricalFeature, Label, NumericFeature, Schema
from keras_recs.training.multi_task.shared_masks import shared_masks
from tests import harness

SCHEMA = Schema(
    features=[
        NumericFeature("a"),
        NumericFeature("b"),
        CategoricalFeature("item", vocabulary_size=4),
    ],
    labels=[Label("x", task="regression"), Label("y", task="regression")],
)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("shared_bottom", {}),
        ("mmoe", {"num_experts": 3}),
        ("ple", {"num_layers": 1, "num_experts": (2, 1)}),
        ("ple", {"num_layers": 2, "num_experts": (1, 1), "bottom": "fm"}),
        ("ple", {"num_layers": 12, "num_experts": (1, 1), "hidden_units": (2,)}),
        ("dcn_v2", {}),
        ("deepfm", {}),
        ("finalmlp", {}),
    ],
)
def test_masks_are_what_gradients_say(name, options):
    import tensorflow as tf

    model = harness.build_model(name, SCHEMA, **options)
    rng = np.random.default_rng(0)
    for weight in model.weights:  # positive: no unit of a ReLU is off
        weight.assign(rng.uniform(0.5, 1, size=weight.shape))
    inputs = {k: rng.uniform(0.5, 1, size=8).astype("float32") for k in "ab"}
    inputs["item"] = np.arange(8, dtype="int32") % 6
    reached = []
    for label in ("x", "y"):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(model(inputs)[label] + 5.0))
        variables = [weight.value for weight in model.trainable_weights]
        zero = tf.UnconnectedGradients.ZERO
        gradients = tape.gradient(loss, variables, unconnected_gradients=zero)
        dense = [tf.convert_to_tensor(gradient) for gradient in gradients]
        reached.append([np.asarray(gradient) != 0 for gradient in dense])
    masks = shared_masks(model)
    for weight, by_x, by_y in zip(model.trainable_weights, *reached):
        mask = masks.get(id(weight), np.float32(1))
        both = by_x & by_y
        np.testing.assert_array_equal(
            both, np.broadcast_to(mask == 1, both.shape) & (by_x | by_y), weight.path
        )
        assert (by_x | by_y).mean() > 0.25, weight.path


def test_a_click_is_shared_with_the_conversion_that_needs_it():
    labels = [Label("order", given="click"), Label("click")]
    schema = Schema(SCHEMA.features, labels)
    model = harness.build_model("esmm", schema)
    towers = model.get_layer("towers")
    masks = shared_masks(model)
    np.testing.assert_array_equal(masks[id(towers.kernel)], [0, 1])
    np.testing.assert_array_equal(masks[id(towers.hidden.biases[0])], [[0], [1]])
