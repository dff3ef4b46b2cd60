import numpy as np
import pytest

from benchmarks.sequential.run import expected_metrics
from keras_recs.evaluation import ranking_metrics


def test_it_is_the_mean_over_draws():
    """Of as many draws as show it, and the spread of one."""
    rng = np.random.default_rng(0)
    above = rng.uniform(0, 0.5, 40)
    ranks = 1 + rng.binomial(20, above, (3000, 40))
    drawn = [ranking_metrics(each, (3,)) for each in ranks]
    expected = expected_metrics(above, draws=20, k=3)
    for name in ("hit_rate@3", "ndcg@3"):
        values = np.array([each[name] for each in drawn])
        spread = expected[f"{name} of one draw"]
        assert values.std() == pytest.approx(spread, rel=0.05)
        assert values.mean() == pytest.approx(
            expected[name], abs=4 * spread / len(drawn) ** 0.5
        )


def test_what_is_certain():
    found = expected_metrics(np.array([0.0, 1.0]))
    assert found["hit_rate@10"] == found["ndcg@10"] == 0.5
    assert found["hit_rate@10 of one draw"] == found["ndcg@10 of one draw"] == 0
