"""Losses of a positive and sampled negatives, beside loops over positions."""

import math

import keras
import numpy as np
import pytest

from keras_recs.losses import (
    BayesianPersonalizedRanking,
    BPRMax,
    CandidateBinaryCrossentropy,
    GeneralizedBinaryCrossentropy,
    SampledSoftmax,
    Top1,
    Top1Max,
    correct_scores,
    positive_first,
)

LOSSES = {
    "bce": CandidateBinaryCrossentropy(),
    "bce of means": CandidateBinaryCrossentropy(average_negatives=True),
    "gbce": GeneralizedBinaryCrossentropy(21, calibration=0.6),
    "bpr": BayesianPersonalizedRanking(),
    "bpr max": BPRMax(regularization=0.3),
    "top1": Top1(),
    "top1 max": Top1Max(),
    "softmax": SampledSoftmax(temperature=0.5),
}
RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(3, 4, 6), scale=2)  # (B, T, 1 + n)
# 0, 1 and numbers between; some positions are padding, one has no negative that counts.
COUNTS = RNG.choice([0, 0.5, 1, 1], size=(3, 4, 6))
COUNTS[..., 0] = [[1, 1, 0, 0], [0.5, 1, 1, 0], [1, 1, 1, 1]]
COUNTS[2, 3, 1:] = 0


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def position(name, counts, scores):
    """The loss of one position, in Python."""
    if counts[0] == 0:
        return 0.0
    r = scores[0]
    pairs = [(w, s) for w, s in zip(counts[1:], scores[1:]) if w > 0]
    k = len(pairs)
    total = sum(w * math.exp(s) for w, s in pairs)
    shares = [(w * math.exp(s) / total, s) for w, s in pairs]
    negative = sum(-w * math.log(1 - sigmoid(s)) for w, s in pairs)
    if name == "bce":
        loss = -math.log(sigmoid(r)) + negative
    elif name == "bce of means":
        loss = -math.log(sigmoid(r)) + negative / max(k, 1)
    elif name == "gbce":
        alpha, t = k / 20, 0.6
        # With no negative α is 0, and what follows its limit.
        beta = alpha * (t * (1 - 1 / alpha) + 1 / alpha) if k else 1 - t
        loss = (-beta * math.log(sigmoid(r)) + negative) / (k + 1)
    elif name == "softmax":
        own = math.exp(r / 0.5)
        loss = -math.log(own / (own + sum(w * math.exp(s / 0.5) for w, s in pairs)))
    elif not pairs:
        loss = 0.0
    elif name == "bpr":
        loss = -sum(w * math.log(sigmoid(r - s)) for w, s in pairs) / k
    elif name == "bpr max":
        loss = -math.log(sum(share * sigmoid(r - s) for share, s in shares))
        loss += 0.3 * sum(share * s**2 for share, s in shares)
    elif name == "top1":
        loss = sum(w * (sigmoid(s - r) + sigmoid(s**2)) for w, s in pairs) / k
    elif name == "top1 max":
        loss = sum(share * (sigmoid(s - r) + sigmoid(s**2)) for share, s in shares)
    return counts[0] * loss


def positions(name, counts=COUNTS, scores=SCORES):
    flat = zip(counts.reshape(-1, counts.shape[-1]), scores.reshape(-1, 6))
    return np.reshape([position(name, c, s) for c, s in flat], counts.shape[:-1])


def with_reduction(loss, reduction):
    return type(loss).from_config({**loss.get_config(), "reduction": reduction})


@pytest.mark.parametrize("name", LOSSES)
def test_each_position_as_a_loop_computes_it(name):
    found = with_reduction(LOSSES[name], None)(COUNTS, SCORES)
    np.testing.assert_allclose(found, positions(name), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_the_mean_is_over_positions_that_are_no_padding(name):
    expected = positions(name)
    count = (COUNTS[..., 0] > 0).sum()
    for reduction in ("sum_over_batch_size", "mean"):
        found = float(with_reduction(LOSSES[name], reduction)(COUNTS, SCORES))
        assert found == pytest.approx(expected.sum() / count, rel=1e-5)
    found = float(with_reduction(LOSSES[name], "sum")(COUNTS, SCORES))
    assert found == pytest.approx(expected.sum(), rel=1e-5)
    # More padding changes nothing, and padding alone is 0.
    padded = [np.pad(a, ((0, 2), (3, 0), (0, 0))) for a in (COUNTS, SCORES)]
    found = float(LOSSES[name](*padded))
    assert found == pytest.approx(expected.sum() / count, rel=1e-5)
    assert float(LOSSES[name](0 * COUNTS, SCORES)) == 0


@pytest.mark.parametrize("name", LOSSES)
def test_sample_weights(name):
    loss, expected = LOSSES[name], positions(name)
    count = (COUNTS[..., 0] > 0).sum()
    users, each = RNG.uniform(size=3), RNG.uniform(size=(3, 4))
    for weight in (users, users[:, None], each, each[..., None]):
        spread = np.reshape(weight, (3, -1))
        found = float(loss(COUNTS, SCORES, weight))
        total = (expected * spread).sum()
        assert found == pytest.approx(total / count, rel=1e-5)
        found = with_reduction(loss, "mean_with_sample_weight")(COUNTS, SCORES, weight)
        there = (COUNTS[..., 0] > 0) * spread
        assert float(found) == pytest.approx(total / there.sum(), rel=1e-5)


def value_and_gradient(loss, counts, scores):
    import tensorflow as tf

    scores = tf.constant(scores)
    with tf.GradientTape() as tape:
        tape.watch(scores)
        value = loss(counts, scores)
    return float(value), tape.gradient(value, scores).numpy()


@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_is_the_slope(name):
    _, found = value_and_gradient(LOSSES[name], COUNTS, SCORES.astype("float32"))
    count = (COUNTS[..., 0] > 0).sum()
    for at in [(0, 0, 0), (0, 1, 2), (1, 0, 3), (1, 2, 5), (2, 0, 1)]:
        step = np.zeros_like(SCORES)
        step[at] = 1e-6
        rise = positions(name, scores=SCORES + step) - positions(
            name, scores=SCORES - step
        )
        assert found[at] == pytest.approx(rise.sum() / 2e-6 / count, rel=1e-4, abs=1e-6)
    assert (found[COUNTS == 0] == 0).all() and (found[COUNTS[..., 0] == 0] == 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_what_does_not_count_may_be_anything(name):
    scores = np.where((COUNTS == 0) | (COUNTS[..., :1] == 0), np.nan, SCORES)
    scores = scores.astype("float32")
    found, gradient = value_and_gradient(LOSSES[name], COUNTS, scores)
    assert found == pytest.approx(float(LOSSES[name](COUNTS, SCORES)), rel=1e-6)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("scale", [1e2, 3e4])
@pytest.mark.parametrize("name", LOSSES)
def test_large_scores_have_a_finite_loss_and_gradient(name, scale):
    for dtype in ("float16", "float32"):
        scores = (np.sign(SCORES) * scale).astype(dtype)
        found, gradient = value_and_gradient(LOSSES[name], COUNTS, scores)
        assert np.isfinite(found) and np.isfinite(gradient).all()


@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_is_computed_in_float32(name):
    scores = SCORES.astype("float16")
    for policy in ("mixed_float16", "mixed_bfloat16"):
        keras.config.set_dtype_policy(policy)
        found = LOSSES[name](COUNTS, keras.ops.convert_to_tensor(scores, "float16"))
        assert found.dtype == "float32"
        expected = float(LOSSES[name](COUNTS, scores.astype("float32")))
        assert float(found) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_the_order_of_negatives_does_not_matter(name):
    order = [0, 3, 1, 5, 2, 4]
    found = float(LOSSES[name](COUNTS[..., order], SCORES[..., order]))
    assert found == pytest.approx(float(LOSSES[name](COUNTS, SCORES)), rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_labels_of_any_dtype_and_batches_of_unknown_size(name):
    import tensorflow as tf

    loss, counts = LOSSES[name], COUNTS > 0
    expected = float(loss(counts.astype("float32"), SCORES))
    for dtype in ("bool", "int32", "int64"):
        assert float(loss(counts.astype(dtype), SCORES)) == pytest.approx(expected)
    shape = tf.TensorSpec((None, None, 6))
    graph = tf.function(loss, input_signature=[shape, shape])
    found = graph(tf.cast(counts, "float32"), tf.cast(SCORES, "float32"))
    assert float(found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["gbce", "softmax"])
def test_in_fit_with_a_mask_of_the_model(name):
    """Padding counts once, though Keras's mask would leave it out, too."""
    ids = np.array([[0, 0, 1, 2], [0, 1, 2, 3]])
    model = keras.Sequential(
        [keras.layers.Embedding(4, 3, mask_zero=True), keras.layers.Dense(6)]
    )
    counts = np.repeat((ids > 0)[..., None], 6, axis=-1).astype("float32")
    model.compile("sgd", loss=LOSSES[name])
    expected = positions(name, counts, np.asarray(model(ids), "float64")).sum() / 5
    history = model.fit(ids, counts, epochs=3, verbose=0).history["loss"]
    assert history[0] == pytest.approx(expected, rel=1e-4)
    assert history[-1] < history[0]


@pytest.mark.parametrize("name", LOSSES)
def test_config(name):
    loss = with_reduction(LOSSES[name], "sum")
    config = keras.losses.serialize(loss)
    assert config["registered_name"] == f"keras_recs>{type(loss).__name__}"
    copy = keras.losses.deserialize(config)
    assert copy.get_config() == loss.get_config()
    assert float(copy(COUNTS, SCORES)) == float(loss(COUNTS, SCORES))


@pytest.mark.parametrize(
    "true, pred", [((2, 3), (2, 4)), ((2,), (2, 4)), ((2, 1), (2, 1)), ((), ())]
)
def test_shapes_that_do_not_fit(true, pred):
    with pytest.raises(ValueError, match=r"`y_true` and `y_pred` must have one shape"):
        Top1()(np.ones(true), np.ones(pred))


def test_arguments_out_of_range():
    with pytest.raises(
        ValueError, match=r"`num_items` must be .* Received: num_items=1"
    ):
        GeneralizedBinaryCrossentropy(1)
    with pytest.raises(ValueError, match=r"`calibration` must be .* calibration=1.5"):
        GeneralizedBinaryCrossentropy(9, calibration=1.5)
    with pytest.raises(ValueError, match=r"`regularization` must .* regularization=-1"):
        BPRMax(-1)
    for make in (SampledSoftmax, lambda t: correct_scores([1.0], [0.0], t)):
        with pytest.raises(ValueError, match=r"`temperature` must be .* temperature=0"):
            make(0)


# === What the losses are for ===


def test_calibrated_gbce_finds_the_probability():
    """The positive of a fifth of the rows, beside k of V − 1 others: σ(r) is 1/5."""
    num_items, k, share = 101, 10, 0.2
    logits = np.linspace(-4, 4, 801)

    def expected(loss):
        # As a positive it has a negative far below; as a negative it is drawn with k/V.
        rows = np.full((2, 801, 1 + k), -50.0)
        rows[0, :, 0] = logits
        rows[1, :, 0], rows[1, :, 1] = 50, logits
        ones = np.ones_like(rows)
        own, drawn = np.asarray(loss(ones, rows))
        return share * own + (1 - share) * k / (num_items - 1) * drawn

    for calibration, rate in ((1.0, share), (0.0, share / (share + 0.8 * 0.1))):
        loss = GeneralizedBinaryCrossentropy(num_items, calibration, reduction=None)
        best = logits[np.argmin(expected(loss))]
        assert sigmoid(best) == pytest.approx(rate, abs=0.01)


def test_a_sample_without_calibration_is_binary_cross_entropy():
    plain = GeneralizedBinaryCrossentropy(9, calibration=0.0, reduction=None)
    found = np.asarray(plain(np.ones((4, 3)), SCORES[0, :, :3])) * 3
    bce = CandidateBinaryCrossentropy(reduction=None)
    expected = bce(np.ones((4, 3)), SCORES[0, :, :3])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_corrected_scores_estimate_the_whole_softmax():
    """Σ_j e^{r_j/τ}/q_j over draws with q is k times the sum over all items."""
    scores = RNG.normal(size=7)
    q = RNG.dirichlet(np.ones(7))
    drawn = RNG.choice(7, size=200_000, p=q)
    logits = np.asarray(correct_scores(scores[drawn], np.log(q[drawn]), 0.5))
    assert np.exp(logits).mean() == pytest.approx(np.exp(scores / 0.5).sum(), rel=0.02)


def test_corrected_scores():
    scores, q = SCORES[0].astype("float16"), RNG.uniform(0.1, 1, size=(4, 6))
    valid = RNG.random((4, 6)) < 0.7
    found = np.asarray(correct_scores(scores, np.log(q), 0.25, valid))
    for i, j in np.ndindex(4, 6):
        expected = (
            float(scores[i, j]) / 0.25 - math.log(q[i, j]) if valid[i, j] else -1e9
        )
        assert found[i, j] == pytest.approx(expected, rel=1e-5, abs=1e-5)
    # Masked before or by the labels, a candidate is as if it were not there.
    valid[:, 0], ones = True, np.ones((4, 6))
    found = np.asarray(correct_scores(scores, np.log(q), 0.25, valid))
    loss = SampledSoftmax(reduction=None)
    plain = np.asarray(correct_scores(scores, np.log(q), 0.25))
    np.testing.assert_allclose(loss(ones, found), loss(valid, plain), rtol=1e-5)
    # No correction where all are as likely.
    loss = SampledSoftmax(0.25)
    same = float(SampledSoftmax()(ones, correct_scores(scores, np.log(0.1), 0.25)))
    assert same == pytest.approx(float(loss(ones, scores)), rel=1e-5)


def test_the_diagonal_comes_first():
    scores = RNG.normal(size=(3, 5))
    found = np.asarray(positive_first(scores))
    for i in range(3):
        expected = [scores[i, (i + j) % 3] for j in range(3)] + [*scores[i, 3:]]
        np.testing.assert_allclose(found[i], expected, rtol=1e-6)


def test_in_batch_softmax_is_the_cross_entropy_of_the_diagonal():
    scores = RNG.normal(size=(5, 5))
    expected = [
        -math.log(math.exp(row[i]) / np.exp(row).sum()) for i, row in enumerate(scores)
    ]
    found = SampledSoftmax()(np.ones((5, 5)), positive_first(scores))
    assert float(found) == pytest.approx(np.mean(expected), rel=1e-5)
