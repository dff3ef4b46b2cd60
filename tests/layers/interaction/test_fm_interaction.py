"""The factorization machine, against all pairs."""

import keras
import numpy as np
import pytest

from keras_recs.layers import FMInteraction
from tests import numpy_reference

FIELDS = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")


def test_eleven():
    """⟨(1, 2), (3, 4)⟩ = 11; over flattened embeddings it would be 35."""
    fields = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    assert FMInteraction()(fields).numpy().tolist() == [[11.0]]
    assert FMInteraction(keep_dim=True)(fields).numpy().tolist() == [[3.0, 8.0]]


def test_all_pairs():
    expected = np.array([numpy_reference.factorization_machine(f) for f in FIELDS])
    np.testing.assert_allclose(
        FMInteraction(keep_dim=True)(FIELDS), expected, rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        FMInteraction()(FIELDS), expected.sum(1, keepdims=True), rtol=1e-4, atol=1e-5
    )


def test_fields_have_no_order_and_a_field_of_zeros_adds_nothing():
    expected = FMInteraction()(FIELDS)
    turned = FMInteraction()(FIELDS[:, [3, 0, 4, 2, 1]])
    np.testing.assert_allclose(turned, expected, rtol=1e-4, atol=1e-5)
    padded = np.concatenate([FIELDS, np.zeros((4, 2, 3), "float32")], axis=1)
    np.testing.assert_allclose(FMInteraction()(padded), expected, rtol=1e-4, atol=1e-5)


def test_one_field_has_no_pair():
    np.testing.assert_allclose(
        FMInteraction()(FIELDS[:, :1]), np.zeros((4, 1)), atol=1e-6
    )


@pytest.mark.parametrize("keep_dim", [False, True])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision(dtype, keep_dim):
    """Of fields in half precision it loses nothing more, and no square is infinite."""
    keras.config.set_dtype_policy(f"mixed_{dtype}")
    fields = keras.ops.cast(300 * FIELDS, dtype)
    outputs = FMInteraction(keep_dim=keep_dim)(fields)
    assert outputs.dtype == "float32"
    exact = np.asarray(keras.ops.cast(fields, "float32"))
    expected = np.array([numpy_reference.factorization_machine(f) for f in exact])
    expected = expected if keep_dim else expected.sum(1, keepdims=True)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=0.1)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4, 5)])
def test_rank(shape):
    with pytest.raises(
        ValueError, match=r"FMInteraction must have shape \(batch, fields, dim\)"
    ):
        FMInteraction()(np.ones(shape))
