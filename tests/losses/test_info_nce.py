"""Contrast between two views, beside loops over pairs."""

import math

import numpy as np
import pytest

from keras_recs.losses import info_nce

RNG = np.random.default_rng(0)
FIRST, SECOND = RNG.normal(size=(2, 6, 4))


def direction(first, second, together, temperature, cosine):
    losses = []
    for i, a in enumerate(first):
        similar = []
        for b in second:
            length = np.linalg.norm(a) * np.linalg.norm(b) if cosine else 1
            similar.append(a @ b / length / temperature)
        others = [s for j, s in enumerate(similar) if j == i or not together[i, j]]
        losses.append(math.log(sum(map(math.exp, others))) - similar[i])
    return np.array(losses)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("cosine", [True, False])
def test_against_loops(symmetric, cosine):
    ids = np.array([3, 5, 3, 7, 8, 5])
    same = np.zeros((6, 6), bool)
    same[0, 4] = same[4, 0] = True
    nothing = np.zeros((6, 6), bool)
    equal = ids[:, None] == ids
    cases = [({}, nothing), ({"ids": ids}, equal), ({"same": same}, same)]
    cases.append(({"ids": ids, "same": same}, equal | same))
    for arguments, together in cases:
        found = info_nce(
            FIRST,
            SECOND,
            temperature=0.5,
            symmetric=symmetric,
            cosine=cosine,
            **arguments,
        )
        expected = direction(FIRST, SECOND, together, 0.5, cosine)
        if symmetric:
            back = direction(SECOND, FIRST, together, 0.5, cosine)
            expected = (expected + back) / 2
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_alone_in_the_batch_nothing_is_to_be_told_apart():
    assert float(info_nce(FIRST[:1], SECOND[:1])[0]) == pytest.approx(0, abs=1e-6)
    found = info_nce(FIRST, SECOND, ids=np.zeros(6))
    np.testing.assert_allclose(found, np.zeros(6), atol=1e-5)


def test_half_precision_zeros_and_large_vectors_are_finite():
    import tensorflow as tf

    for dtype in ("float16", "float32"):
        views = FIRST.astype(dtype)
        views[0] = 0
        views[1] *= 1e3
        views = tf.constant(views)
        with tf.GradientTape() as tape:
            tape.watch(views)
            loss = info_nce(views, views[::-1], temperature=0.05)
        assert loss.dtype == "float32"
        assert np.isfinite(loss).all()
        assert np.isfinite(tape.gradient(loss, views)).all()


def test_batches_of_unknown_size():
    import tensorflow as tf

    graph = tf.function(
        info_nce,
        input_signature=[tf.TensorSpec((None, 4)), tf.TensorSpec((None, 4))],
    )
    views = FIRST.astype("float32"), SECOND.astype("float32")
    np.testing.assert_allclose(graph(*views), info_nce(*views), rtol=1e-5)


def test_errors():
    with pytest.raises(ValueError, match=r"`temperature` must be .* temperature=0"):
        info_nce(FIRST, SECOND, temperature=0)
    with pytest.raises(ValueError, match=r"`first` and `second` must be two views"):
        info_nce(FIRST[0], SECOND)
