"""Altered sequences: what stays and how much does not, beside loops."""

import numpy as np
import pytest

from keras_recs.data import (
    UniformSampler,
    contrastive_batches,
    crop_events,
    mask_events,
    next_item_batches,
    reorder_events,
    similar_items,
    substitute_events,
)

T = 9
LENGTHS = [0, 1, 2, 3, 5, 8, 9] * 6
# Each item is in one place alone.
ROWS = np.array(
    [[0] * (T - n) + [2 + 10 * i + j for j in range(n)] for i, n in enumerate(LENGTHS)],
    "int32",
)
SIMILAR = np.stack(
    [np.arange(500) + 1000, np.arange(500) + 2000, np.zeros(500, int)], axis=1
)
SIMILAR[::2, 1] = 0
SIMILAR[::5] = 0
ALTERATIONS = {
    "crop": crop_events,
    "mask": mask_events,
    "reorder": reorder_events,
    "substitute": lambda rows, share, rng: substitute_events(rows, share, rng, SIMILAR),
}


def altered(name, share, seed=0):
    return ALTERATIONS[name](ROWS, share, np.random.default_rng(seed))


def events(row):
    return row[row != 0].tolist()


@pytest.mark.parametrize("name", ALTERATIONS)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 1.0])
def test_what_stays(name, share):
    before = ROWS.copy()
    found = altered(name, share)
    np.testing.assert_array_equal(ROWS, before)
    assert found.shape == ROWS.shape and found.dtype == ROWS.dtype
    for old, new in zip(ROWS, found):
        n, k = len(events(old)), int(share * len(events(old)) + 1e-9)
        assert not new[: T - len(events(new))].any(), "padding is on the left"
        differ = np.flatnonzero(old != new)
        if name == "crop":
            kept, whole = events(new), events(old)
            assert len(kept) == min(n, max(1, k))
            if kept:
                start = whole.index(kept[0])
                assert whole[start : start + len(kept)] == kept, "one part"
        elif name == "mask":
            assert len(differ) == k and (new[differ] == 1).all()
        elif name == "reorder":
            assert sorted(new) == sorted(old)
            assert not len(differ) or differ[-1] - differ[0] < k, "one window"
        else:
            assert len(differ) <= k
            if share == 1:
                free = [item for item in events(old) if SIMILAR[item].any()]
                assert len(differ) == len(free)
            for place in differ:
                assert new[place] in SIMILAR[old[place]] and new[place] != 0


@pytest.mark.parametrize("name", ALTERATIONS)
def test_seeds(name):
    np.testing.assert_array_equal(altered(name, 0.6, 3), altered(name, 0.6, 3))
    assert (altered(name, 0.6, 3) != altered(name, 0.6, 4)).any()


def test_all_places_and_orders_come():
    rng = np.random.default_rng(0)
    rows = np.tile([0, 2, 3, 4], (600, 1))
    assert {tuple(row) for row in crop_events(rows, 0.5, rng)} == {
        (0, 0, 0, item) for item in (2, 3, 4)
    }
    masks = mask_events(rows, 0.4, rng) == 1
    counts = masks.sum(0)
    assert counts[0] == 0 and np.abs(counts[1:] - 200).max() < 60
    orders = [tuple(row) for row in reorder_events(rows, 1.0, rng)]
    assert len(set(orders)) == 6
    assert max(orders.count(order) for order in set(orders)) < 140


def test_similar_items():
    rng = np.random.default_rng(0)
    groups = [rng.integers(2, 9, 4) for _ in range(6)]
    found = similar_items(groups, 10, top_k=3)
    sets = [set(group.tolist()) for group in groups]
    for a in range(10):
        scores = {}
        for b in range(2, 10):
            both = sum(a in s and b in s for s in sets)
            if a != b and both:
                own = sum(a in s for s in sets) * sum(b in s for s in sets)
                scores[b] = both / np.sqrt(own)
        best = sorted(scores, key=lambda b: (-round(scores[b], 9), b))[:3]
        assert found[a].tolist() == best + [0] * (3 - len(best))
    with pytest.raises(ValueError, match=r"rows in \[0, 3\).*from 1 to 3"):
        similar_items([[1, 3]], 3)


SEQUENCES = [np.arange(2, 2 + n) for n in (1, 3, 9, 12, 5)]


def test_views_and_pairs():
    partners = np.array([[0, 0]] * 2 + [[i + 20, i + 40] for i in range(2, 14)])
    partners[5] = 0
    options = {"sampler": UniformSampler(20), "num_negatives": 2}
    batches = contrastive_batches(
        SEQUENCES,
        T,
        4,
        [lambda rows, rng: rows, lambda rows, rng: -rows],
        partners,
        **options,
    )
    plain = next_item_batches(SEQUENCES, T, 4, **options)
    (x, y), (plain_x, plain_y) = batches[0], plain[0]
    np.testing.assert_array_equal(x["items"], plain_x["items"])
    for key in plain_y:
        np.testing.assert_array_equal(y[key], plain_y[key])
    assert y["views"].shape == (4, 2, T) and y["views"].dtype == np.int32
    for row, target, views in zip(x["items"], y["next_item"], y["views"]):
        last = [*events(row), target[-1]][-T:]
        for view in views:
            assert np.abs(view).tolist() == [0] * (T - len(last)) + last
    seen = set()
    for epoch in range(30):
        batches.epoch = epoch
        x, y = batches[0]
        for row, target, (own, other) in zip(
            x["items"], y["next_item"], y["item_pairs"]
        ):
            seen.add((own, other))
            assert (own, other) == (0, 0) or other in (own + 20, own + 40)
            assert own in (0, *events(row), target[-1])
    assert (0, 0) in seen and {(4, 24), (4, 44)} <= seen


def test_options_of_next_items():
    """The batches of `next_item_batches`, and views of the same windows."""
    options = {
        "sampler": UniformSampler(20),
        "num_negatives": 3,
        "lengths": (2,),
        "stride": 3,
        "correct": True,
        "negative_weights": lambda users, targets, negatives: 1.0 + negatives % 2,
        "with_seen": True,
        "seed": 5,
    }
    alterations = [lambda rows, rng: rows]
    batches = contrastive_batches(SEQUENCES, T, 2, alterations, **options)
    plain = next_item_batches(SEQUENCES, T, 2, **options)
    assert batches.num_batches == plain.num_batches > 2
    shapes = set()
    for number in range(plain.num_batches):
        (x, y), (plain_x, plain_y) = batches[number], plain[number]
        np.testing.assert_array_equal(x["items"], plain_x["items"])
        shapes.add(x["items"].shape[1])
        views = y.pop("views")
        assert views.shape[1:] == (2, T) and y.keys() == plain_y.keys()
        for key in plain_y:
            np.testing.assert_array_equal(y[key], plain_y[key])
        targets = y["next_item"]
        last = views[:, 0, T - targets.shape[1] :]  # the first event is no target
        np.testing.assert_array_equal(last[targets > 0], targets[targets > 0])
    assert shapes == {2, T}
    with pytest.raises(TypeError, match=r"`columns` are not read.*\['gap'\]"):
        contrastive_batches(SEQUENCES, T, 4, columns={"gap": SEQUENCES})
    with pytest.raises(TypeError, match="strides"):
        contrastive_batches(SEQUENCES, T, 4, strides=3)


def test_default_views():
    _, y = contrastive_batches(SEQUENCES, T, 4)[0]
    assert "item_pairs" not in y and (y["views"][:, :, -1] > 0).all()


def test_bad_input():
    rng = np.random.default_rng(0)
    for alter in ALTERATIONS.values():
        with pytest.raises(ValueError, match=r"`rows` must be integers.*\(4,\)"):
            alter(np.arange(4), 0.5, rng)
        with pytest.raises(ValueError, match=r"`share` must be.*share=1\.5"):
            alter(ROWS, 1.5, rng)
    with pytest.raises(ValueError, match=r"`alterations` must be.*alterations=\[\]"):
        contrastive_batches(SEQUENCES, T, 4, [])
