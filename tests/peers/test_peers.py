"""Our numbers beside those of other libraries with the same weights.

A peer runs in an environment of its own. Where it does what the paper says, ours must
give its numbers; where it does not, the test says what it does instead.
"""

import numpy as np
import pytest

from tests.peers import ours, paper
from tests.peers.problems import problems

pytestmark = pytest.mark.peers

FOLLOWS_THE_PAPER = {
    "deepctr": (
        "fm",
        "fm_of_two",
        "cross_vector",
        "cross_matrix",
        "cross_mixture",
        "cross_mixture_of_one_example",
        "cin",
        "cin_split_half",
        "field_attention",
        "target_attention",
        "target_attention_softmax",
        "dice",
        "dice_of_a_batch",
        "deepfm",
        "wide_and_deep",
        "dcn",
        "dcn_v2",
        "xdeepfm",
        "shared_bottom",
        "mmoe",
        "ple",
    ),
    "fuxictr": (
        "fm",
        "fm_of_two",
        "cross_vector",
        "cross_matrix",
        "cross_mixture",
        "cin",
        "target_attention",
        "target_attention_softmax",
        "dice",
        "dice_of_a_batch",
    ),
    "keras_rs": ("cross_matrix", "cross_low_rank", "dot"),
    "torch_rechub": (
        "fm",
        "fm_of_two",
        "cross_vector",
        "cross_matrix_without_bias",
        "cross_mixture",
        "augru",
        "augru_without_attention",
        "shared_bottom",
        "mmoe",
        "ple",
    ),
    "torchrec": ("cross_vector", "cross_matrix", "cross_low_rank", "cross_mixture"),
}
CASES = [(peer, name) for peer, names in FOLLOWS_THE_PAPER.items() for name in names]


def wide(name):
    """A problem in float64."""
    return {
        key: value if value.dtype.kind == "i" else value.astype("float64")
        for key, value in problems()[name].items()
    }


def by_the_paper(name):
    return getattr(paper, name)(**wide(name))


def by_us(name):
    return np.asarray(getattr(ours, name)(**problems()[name]))


def assert_equal(a, b):
    assert a.shape == b.shape, (a.shape, b.shape)
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def assert_differ(a, b):
    assert a.shape != b.shape or np.abs(a - b).max() > 0.01


@pytest.mark.parametrize(("peer", "name"), CASES)
def test_same_numbers(peer, name, answers_of):
    theirs = answers_of(peer)[name]
    assert_equal(theirs, by_the_paper(name))
    if hasattr(ours, name):
        assert_equal(by_us(name), theirs)


@pytest.mark.parametrize(
    "name",
    [name for name in problems() if hasattr(ours, name) and hasattr(paper, name)],
)
def test_ours_follow_the_paper(name):
    assert_equal(by_us(name), by_the_paper(name))


# === The same numbers in another order ===


@pytest.mark.parametrize("peer", ["fuxictr", "torchrec"])
def test_pairs_of_the_upper_triangle(peer, answers_of):
    """They come (0, 1), (0, 2), …; ours are the paper's lower triangle."""
    dense, pairs = np.split(by_us("dot"), [4], axis=1)
    pairs = pairs[:, paper.upper_triangle(fields=6)]
    assert_equal(answers_of(peer)["dot"], np.concatenate([dense, pairs], 1))


def test_dlrm_with_pairs_of_the_upper_triangle(answers_of):
    """The rows of the first top matrix in their order, and the models are equal."""
    arrays = dict(problems()["dlrm"])
    assert_differ(by_us("dlrm"), answers_of("torchrec")["dlrm"])
    rows = [0, 1, 2, 3, *(4 + np.argsort(paper.upper_triangle(fields=4)))]
    arrays["kernel_0"] = arrays["kernel_0"][rows]
    assert_equal(ours.dlrm(**arrays), answers_of("torchrec")["dlrm"])


def test_esmm_with_outputs_in_another_order(answers_of):
    """torch-rechub's come (conversion given a click, click, both)."""
    theirs = answers_of("torch_rechub")["esmm"][:, [1, 2, 0]]
    assert_equal(theirs, by_the_paper("esmm"))
    assert_equal(by_us("esmm"), theirs)


# === What differs from the papers ===


def test_esmm_without_the_rate_of_conversion(answers_of):
    """DeepCTR gives click and both, and not what ESMM is for."""
    theirs = answers_of("deepctr")["esmm"]
    assert_equal(theirs, by_the_paper("esmm")[:, :2])
    assert_equal(by_us("esmm")[:, :2], theirs)


def test_fm_over_flat_embeddings(answers_of):
    """TorchRec takes every number for a field: 35 for (1, 2), (3, 4), which have 11."""
    assert answers_of("torchrec")["fm_of_two"] == 35
    assert paper.fm_of_flat_fields(**wide("fm_of_two")) == 35
    assert by_the_paper("fm_of_two") == by_us("fm_of_two") == 11


def test_a_linear_term_of_the_embeddings(answers_of):
    """torch-rechub takes the first order of DeepFM from the embeddings, not a table."""
    name = "deepfm_linear_in_embeddings"
    assert_equal(answers_of("torch_rechub")[name], by_the_paper(name))
    arrays = problems()[name]
    # Ours says the same when each scalar is the value's vector times these weights.
    weights = arrays.pop("linear").reshape(3, 4)
    scalars = np.einsum("frd,fd->fr", arrays["tables"], weights)
    ours_too = ours.deepfm(scalars=scalars, **arrays)[:, 0]
    assert_equal(answers_of("torch_rechub")[name], ours_too)


def test_bias_outside_of_the_cross(answers_of):
    """torch-rechub adds the bias of DCN-V2 after the product with x₀."""
    theirs = answers_of("torch_rechub")["cross_matrix"]
    assert_equal(theirs, paper.cross_matrix_with_bias_outside(**wide("cross_matrix")))
    assert_differ(theirs, by_the_paper("cross_matrix"))
    assert_equal(by_us("cross_matrix"), by_the_paper("cross_matrix"))


def test_a_batch_of_one_example(answers_of):
    """torch-rechub squeezes the batch away."""
    name = "cross_mixture_of_one_example"
    assert answers_of("torch_rechub")[name].shape == (7,)
    assert by_us(name).shape == by_the_paper(name).shape == (1, 7)
    assert_equal(answers_of("torch_rechub")[name], by_the_paper(name)[0])


@pytest.mark.parametrize("split_half", [False, True])
def test_cin_with_relu_and_one_output(split_half, answers_of):
    """torch-rechub has a ReLU, which the paper has not, and lets the other half on."""
    name = "cin_split_half" if split_half else "cin"
    expected = paper.cin_of_relu(split_half=split_half, **wide(name))
    assert_equal(answers_of("torch_rechub")[name], expected)
    assert_differ(expected, by_the_paper(name).sum(1, keepdims=True))
    if not split_half:
        fields, *maps = problems()[name].values()
        maps = {f"map_{i}": kernel for i, kernel in enumerate(maps)}
        ours_too = np.sum(ours.compress(fields, maps, activation="relu"), 1)
        assert_equal(answers_of("torch_rechub")[name][:, 0], ours_too)


def test_scaled_scores_of_fields(answers_of):
    """torch-rechub divides the scores by √D; the paper of AutoInt does not."""
    name = "field_attention_scaled"
    theirs = answers_of("torch_rechub")[name]
    assert_equal(theirs, by_us(name))
    assert_equal(theirs, by_the_paper(name))
    assert_differ(theirs, paper.field_attention(**wide(name)))
    assert_differ(theirs, ours.field_attention(**problems()[name]))


@pytest.mark.parametrize("normalized", [False, True])
def test_attention_over_padding(normalized, answers_of):
    """torch-rechub's DIN also sums what fills up a short history."""
    name = "target_attention_softmax" if normalized else "target_attention"
    arrays = wide(name)
    theirs = answers_of("torch_rechub")[name]
    over_padding = paper.target_attention_over_padding(normalized=normalized, **arrays)
    assert_equal(theirs, over_padding)
    full = arrays["lengths"] == 5
    assert_equal(theirs[full], by_the_paper(name)[full])
    assert_differ(theirs[~full], by_the_paper(name)[~full])
    assert_equal(by_us(name), by_the_paper(name))


def test_dice_of_each_example(answers_of):
    """torch-rechub's Dice normalizes over the channels of an example, by their sum."""
    theirs = answers_of("torch_rechub")["dice_one_alpha"]
    assert_equal(theirs, paper.dice_of_each_example(**wide("dice_one_alpha")))
    assert_differ(theirs, by_the_paper("dice_one_alpha"))
    assert_equal(by_us("dice_one_alpha"), by_the_paper("dice_one_alpha"))


def test_inverted_gate(answers_of):
    """DeepCTR's AUGRU moves most where the attention is least."""
    theirs = answers_of("deepctr")["augru"]
    assert_equal(theirs, paper.augru_with_inverted_gate(**wide("augru")))
    assert_differ(theirs, by_the_paper("augru"))
    assert_equal(by_us("augru"), by_the_paper("augru"))
    # Without attention the state is to stay where it starts, at 0.
    assert not by_the_paper("augru_without_attention").any()
    assert not by_us("augru_without_attention").any()
    assert (answers_of("deepctr")["augru_without_attention"] != 0).all()


def test_weights_that_build_does_not_make(answers_of):
    """KerasRS's FeatureCross has none before it is called."""
    assert answers_of("keras_rs")["weights_after_build"] == 0
    assert by_us("weights_after_build") == 2
