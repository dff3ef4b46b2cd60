"""Rates of earlier rows, against a loop over the rows in time order, and no leakage."""

import numpy as np
import pytest

from keras_recs.data import RateTable, historical_rates

PRIOR, STRENGTH = 0.3, 4.0


def by_loop(ids, labels, times):
    """For each row a look at all others."""
    rates = []
    for i in range(len(ids)):
        earlier = [
            labels[j]
            for j in range(len(ids))
            if ids[j] == ids[i] and times[j] < times[i]
        ]
        rates.append((sum(earlier) + STRENGTH * PRIOR) / (len(earlier) + STRENGTH))
    return np.array(rates, "float32")


def problem(seed=0, num_rows=120, num_times=25):
    rng = np.random.default_rng(seed)
    ids = rng.choice(["a", "b", "c", "rare"], num_rows, p=[0.5, 0.3, 0.15, 0.05])
    return ids, rng.integers(2, size=num_rows), rng.integers(num_times, size=num_rows)


def rates_of(ids, labels, times=None, **options):
    return historical_rates(
        ids, labels, times, prior=PRIOR, strength=STRENGTH, **options
    )


@pytest.mark.parametrize("seed", range(3))
def test_only_earlier_rows_count(seed):
    """Rows in any order, many of one time."""
    ids, labels, times = problem(seed)
    rates, table = rates_of(ids, labels, times)
    assert rates.dtype == np.float32
    np.testing.assert_array_equal(rates, by_loop(ids, labels, times))
    for place, name in enumerate(table.ids):
        assert table.views[place] == sum(i == name for i in ids)
        assert table.clicks[place] == sum(
            y for i, y in zip(ids, labels, strict=True) if i == name
        )


def test_without_times_the_rows_are_in_order():
    ids, labels, _ = problem()
    expected = by_loop(ids, labels, np.arange(len(ids)))
    np.testing.assert_array_equal(rates_of(ids, labels)[0], expected)


def test_no_leakage():
    """No label changes the rate of its own row, of one of its time or of an earlier."""
    ids, labels, times = problem()
    rates, _ = rates_of(ids, labels, times)
    later = 0
    for row in range(len(ids)):
        changed = labels.copy()
        changed[row] = 1 - changed[row]
        moved = rates_of(ids, changed, times)[0] != rates
        assert not moved[times <= times[row]].any()
        assert not moved[ids != ids[row]].any()
        later += moved.sum()
    assert later > 0, "and those of later rows do change"
    # Nor does it matter whether there is anything later.
    early = times < 12
    np.testing.assert_array_equal(
        rates_of(ids[early], labels[early], times[early])[0], rates[early]
    )


def test_in_parts_as_at_once():
    ids, labels, times = problem()
    expected, whole = rates_of(ids, labels, times)
    found, state = np.zeros_like(expected), None
    for start in range(0, 25, 6):
        part = (times >= start) & (times < start + 6)
        found[part], state = rates_of(ids[part], labels[part], times[part], state=state)
    np.testing.assert_array_equal(found, expected)
    for name in ("ids", "clicks", "views", "last_timestamp"):
        np.testing.assert_array_equal(getattr(state, name), getattr(whole, name))


def test_what_serving_gets():
    """The rate of the next row, the prior for an id that is new."""
    ids, labels, times = problem()
    _, table = rates_of(ids, labels, times)
    expected = by_loop([*ids, "a", "new"], [*labels, 0, 0], [*times, 99, 99])[-2:]
    np.testing.assert_array_equal(table.rates(["a", "new"]), expected)
    numbers, none = np.array([3, 5]), np.zeros(0, int)
    _, table = rates_of(
        numbers, [1, 0], np.array(["2024-01-01", "2024-01-02"], "M8[D]")
    )
    np.testing.assert_allclose(table.rates(np.array([3, 4, 5])), [0.44, 0.3, 0.24])
    rates, empty = rates_of(none, none)
    assert len(rates) == 0
    np.testing.assert_allclose(empty.rates([7]), [PRIOR])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prior": 1.5}, r"`prior` must be in 0 … 1. Received: prior=1.5"),
        (
            {"strength": 0},
            "`strength` must be above 0 and finite. Received: strength=0",
        ),
        ({"labels": [0, 2]}, "`labels` must be 0 or 1. Received: .*2"),
        ({"labels": [0]}, r"one length. Received shapes: \(2,\), \(1,\), \(2,\)"),
        ({"timestamps": [0.0, float("nan")]}, "must not be missing. Received: .*nan"),
        ({"ids": [0.5, 1.0]}, "`ids` must be integers or strings.*type float64"),
        ({"timestamps": [5, 6]}, "later than those in `state`.*Received: .*5.*5"),
        ({"timestamps": None}, "for all parts of the rows or for none.*none now"),
        ({"prior": 0.4}, "`state` was made with prior=0.3 and strength=4.0.*prior=0.4"),
        ({"ids": ["a", "b"]}, "of the type of those in `state`, int64. Received: <U1"),
    ],
)
def test_messages(arguments, message):
    state = RateTable(np.array([1]), np.array([0]), np.array([1]), PRIOR, STRENGTH, 5)
    values = {
        "ids": [1, 2],
        "labels": [0, 1],
        "timestamps": [6, 7],
        "prior": PRIOR,
        "strength": STRENGTH,
        "state": state,
        **arguments,
    }
    with pytest.raises(ValueError, match=message):
        historical_rates(**values)
