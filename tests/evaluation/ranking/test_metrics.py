"""Metrics of ranks and lists beside loops over users and places."""

import itertools
import math

import numpy as np
import pytest

from keras_recs.evaluation import (
    ItemLists,
    catalogue_coverage,
    exposure_gini,
    list_metrics,
    list_values,
    novelty,
    ranking_metrics,
    ranking_values,
    target_ranks,
)


def test_values_of_ranks():
    ranks = [1, 2, 5, 10, 11, 700]
    values = ranking_values(ranks, ks=(1, 10))
    assert list(values) == [
        *("hit_rate@1", "ndcg@1", "mrr@1", "hit_rate@10", "ndcg@10", "mrr@10", "mrr")
    ]
    for user, rank in enumerate(ranks):
        for k in (1, 10):
            hit = rank <= k
            assert values[f"hit_rate@{k}"][user] == hit
            gain = 1 / math.log2(rank + 1) if hit else 0
            assert values[f"ndcg@{k}"][user] == pytest.approx(gain)
            assert values[f"mrr@{k}"][user] == (1 / rank if hit else 0)
        assert values["mrr"][user] == 1 / rank
    means = ranking_metrics(ranks, ks=(1, 10))
    assert means == {n: pytest.approx(sum(v) / 6) for n, v in values.items()}
    assert list(ranking_metrics(ranks)) == ["hit_rate@10", "ndcg@10", "mrr@10", "mrr"]


def test_no_ranks():
    assert all(math.isnan(value) for value in ranking_metrics([]).values())
    assert ranking_values(np.empty(0, int))["mrr"].shape == (0,)


def test_a_random_ranking_has_the_expected_metrics():
    """Of all ranks 1 … V once: hit rate k / V."""
    metrics = ranking_metrics(np.arange(1, 101))
    assert metrics["hit_rate@10"] == pytest.approx(0.1)
    harmonic = sum(1 / rank for rank in range(1, 101))
    assert metrics["mrr"] == pytest.approx(harmonic / 100)


def test_errors_of_ranks():
    with pytest.raises(ValueError, match="Received: 0 of user 1"):
        ranking_values([1, 0])
    with pytest.raises(ValueError, match="`ranks` must be a vector of integers"):
        ranking_values([1.5])
    with pytest.raises(ValueError, match="`ks` must be an integer of at least 1"):
        ranking_metrics([1], ks=(0,))


def by_loop(ids, relevant, k):
    """All metrics of one user."""
    wanted, row = set(relevant), [item for item in ids[:k] if item >= 0]
    hits = gain = precisions = 0
    first = 0.0
    for place, item in enumerate(row, start=1):
        if item in wanted:
            hits += 1
            gain += 1 / math.log2(place + 1)
            precisions += hits / place
            first = first or 1 / place
    most = min(k, len(wanted))
    return {
        f"recall@{k}": hits / len(wanted),
        f"precision@{k}": hits / k,
        f"hit_rate@{k}": float(hits > 0),
        f"map@{k}": precisions / most,
        f"ndcg@{k}": gain / sum(1 / math.log2(i + 2) for i in range(most)),
        f"mrr@{k}": first,
    }


def test_values_of_lists():
    rng = np.random.default_rng(0)
    ids = np.stack([rng.permutation(15)[:8] for _ in range(40)])
    lacking = rng.integers(9, size=40)
    ids[np.arange(8) >= lacking[:, None]] = -1
    relevant = [rng.integers(20, size=rng.integers(7)).tolist() for _ in range(40)]
    lists = ItemLists.from_lists(relevant)  # with duplicates, empty, unknown items
    values = list_values(ids, lists, ks=(1, 3, 8))
    known = [user for user in range(40) if relevant[user]]
    assert 0 < len(known) < 40
    for user in range(40):
        for k in (1, 3, 8):
            if user in known:
                for name, value in by_loop(ids[user], relevant[user], k).items():
                    assert values[name][user] == pytest.approx(value), (user, name)
            else:
                assert math.isnan(values[f"map@{k}"][user])
    means = list_metrics(ids, lists, ks=(1, 3, 8))
    assert list(means) == list(values)
    for name, value in means.items():
        assert value == pytest.approx(np.mean(values[name][known]))


def test_one_relevant_item_has_the_metrics_of_its_rank():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(30, 12))
    targets = rng.integers(12, size=30)
    of_rank = ranking_metrics(target_ranks(scores, targets), ks=(4,))
    ids = np.argsort(-scores, axis=1)
    of_list = list_metrics(ids, ItemLists.from_lists(targets[:, None]), ks=(4,))
    for name in ("hit_rate@4", "ndcg@4", "mrr@4"):
        assert of_list[name] == pytest.approx(of_rank[name])
    assert of_list["recall@4"] == of_list["hit_rate@4"]
    assert of_list["map@4"] == pytest.approx(of_list["mrr@4"])


def test_the_best_list_has_ndcg_and_map_1():
    relevant = ItemLists.from_lists([[0, 1, 2], [5]])
    best = list_metrics([[2, 0, 1, 7], [5, 6, 7, 8]], relevant, ks=(2, 4))
    for name in ("ndcg@2", "ndcg@4", "map@2", "map@4", "recall@4"):
        assert best[name] == pytest.approx(1)


def test_no_lists():
    nobody = ItemLists.from_lists([])
    means = list_metrics(np.empty((0, 3), int), nobody, ks=(3,))
    assert all(math.isnan(value) for value in means.values())
    nothing = list_metrics([[-1, -1]], ItemLists.from_lists([[3]]), ks=(2,))
    assert all(value == 0 for value in nothing.values())


def test_errors_of_lists():
    relevant = ItemLists.from_lists([[1], [2]])
    with pytest.raises(
        ValueError, match=r"different items in a list.*\[3, 3\] of user 1"
    ):
        list_values([[1, 2], [3, 3]], relevant, ks=(2,))
    with pytest.raises(
        ValueError, match=r"−1 at their ends alone.*\[-1, 2\] of user 0"
    ):
        list_values([[-1, 2], [3, 4]], relevant, ks=(2,))
    with pytest.raises(ValueError, match=r"`ids` must be rows.*\[-2, 2\] of user 0"):
        list_values([[-2, 2], [3, 4]], relevant, ks=(2,))
    with pytest.raises(ValueError, match="`ids` must be integers, a list"):
        list_values([1, 2], relevant)
    with pytest.raises(ValueError, match=r"length of the lists, 2\. Received: 3"):
        list_values([[1, 2], [3, 4]], relevant, ks=(1, 3))
    with pytest.raises(ValueError, match="`relevant` must have a list for each of 1"):
        list_values([[1, 2]], relevant, ks=(1,))
    with pytest.raises(TypeError, match="`relevant` must be `ItemLists`"):
        list_metrics([[1, 2]], [[1]], ks=(1,))


# === What is recommended ===

IDS = [[3, 0, 1], [3, 1, -1], [3, -1, -1]]


def test_coverage():
    assert catalogue_coverage(IDS, 6) == 3 / 6
    assert catalogue_coverage([[-1]], 6) == 0
    assert catalogue_coverage(np.empty((0, 3), int), 6) == 0


def test_novelty():
    counts = [2, 8, 1, 5]
    shown = [3, 0, 1, 3, 1, 3]
    expected = np.mean([-math.log2(counts[item] / 16) for item in shown])
    assert novelty(IDS, counts) == pytest.approx(expected)
    assert math.isnan(novelty([[-1]], counts))


def test_gini():
    """The mean difference of all pairs over twice the mean."""
    for ids, num_items in ((IDS, 4), (IDS, 9), ([[0, 1], [2, 3]], 4), ([[2]], 5)):
        shown = np.bincount(
            [i for row in ids for i in row if i >= 0], minlength=num_items
        )
        pairs = [abs(a - b) for a, b in itertools.product(shown.tolist(), repeat=2)]
        expected = np.mean(pairs) / (2 * np.mean(shown))
        assert exposure_gini(ids, num_items) == pytest.approx(expected)
    assert exposure_gini([[0, 1], [2, 3]], 4) == 0
    assert exposure_gini([[2]], 5) == pytest.approx(4 / 5)
    assert math.isnan(exposure_gini([[-1]], 5))


def test_errors_of_exposure():
    for function in (catalogue_coverage, exposure_gini):
        with pytest.raises(
            ValueError, match=r"rows of the catalogue.*\[3, 0, 1\] of user 0"
        ):
            function(IDS, 3)
        with pytest.raises(ValueError, match="`num_items` must be an integer"):
            function(IDS, 0)
    with pytest.raises(ValueError, match=r"add 1 to all.*Received: 0 for item 3"):
        novelty(IDS, [1, 1, 1, 0])
    with pytest.raises(ValueError, match="`counts` must be a vector of finite"):
        novelty(IDS, [1, 1, 1, -1])
    with pytest.raises(ValueError, match="`ids` must be rows of the catalogue"):
        novelty(IDS, [1, 1])
