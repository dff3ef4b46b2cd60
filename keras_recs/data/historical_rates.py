"""The click rate of an id so far, as a feature."""

from __future__ import annotations

import numpy as np

from keras_recs.data.rate_table import RateTable, checked_ids, smoothed


def historical_rates(
    ids,
    labels,
    timestamps=None,
    *,
    prior: float,
    strength: float = 10.0,
    state: RateTable | None = None,
) -> tuple[np.ndarray, RateTable]:
    """The share of an id's earlier rows whose label is 1, for each row.

    A row's rate depends on the rows before it alone: neither on its own label, nor on
    those of rows of the same time or later. Compute it over all rows in order of time,
    those of validation and test too, and write it as a column of the raw files; serving
    reads the rates of the table that is returned, `table.rates(ids)`.

    Args:
        ids: `(N,)` integers or strings.
        labels: `(N,)` of 0 and 1.
        timestamps: `(N,)` numbers or `datetime64`, in any order; rows of the same time
            do not see each other. Defaults to `None`: the rows are in order of time.
        prior: float in 0 … 1. The rate of an id without earlier rows. Take it from
            earlier data, not from these labels.
        strength: float above 0. Rows that the prior counts for. Defaults to `10.0`.
        state: `RateTable` that the call for the rows before these returned, where the
            rows come in parts. The first row must be later than its last one. Defaults
            to `None`: there were none.

    Returns:
        Pair of float32 `(N,)` rates, (clicks + strength·prior) / (views + strength) of
        the id's earlier rows, and the `RateTable` after all rows.

    Raises:
        ValueError: for lengths that differ, labels other than 0 and 1, a missing time,
            `prior` or `strength` out of range, or a `state` that does not go with them
            or is not before the rows.

    Example:
    >>> rates, table = keras_recs.data.historical_rates(
    ...     ["a", "a", "b", "a"], [1, 0, 1, 1], prior=0.5, strength=2
    ... )
    >>> rates.tolist(), table.rates(["a", "new"]).tolist()
    ([0.5, 0.6666666865348816, 0.5, 0.5], [0.6000000238418579, 0.5])
    """
    ids = checked_ids(ids)
    labels, times = _checked(ids, labels, timestamps, prior, strength)
    if state is None:
        none = np.zeros(0, np.int64)
        state = RateTable(ids[:0], none, none, prior, strength)
    else:
        _check_state(state, ids, times, timestamps is not None, prior, strength)

    num_known = len(state.ids)
    all_ids, codes = np.unique(
        np.concatenate([state.ids, ids]), return_inverse=True
    )  # (K,), (known + N,)
    clicks_of = np.zeros(len(all_ids), np.int64)
    views_of = np.zeros(len(all_ids), np.int64)
    clicks_of[codes[:num_known]] = state.clicks
    views_of[codes[:num_known]] = state.views
    codes = codes[num_known:]  # (N,)

    # By id, and in order of time inside it.
    order = np.lexsort((times, codes))
    code, time = codes[order], times[order]
    clicks_before = np.cumsum(labels[order]) - labels[order]  # (N,) of other ids too
    first_of_id = _run_starts(code[1:] != code[:-1], len(ids))
    first_of_time = _run_starts(
        (code[1:] != code[:-1]) | (time[1:] != time[:-1]), len(ids)
    )
    clicks = clicks_of[code] + clicks_before[first_of_time] - clicks_before[first_of_id]
    views = views_of[code] + first_of_time - first_of_id
    rates = np.empty(len(ids), np.float32)
    rates[order] = smoothed(clicks, views, prior, strength)

    last = state.last_timestamp
    if timestamps is not None and len(ids):
        last = times.max()
    table = RateTable(
        ids=all_ids,
        clicks=clicks_of + np.bincount(codes[labels == 1], minlength=len(all_ids)),
        views=views_of + np.bincount(codes, minlength=len(all_ids)),
        prior=prior,
        strength=strength,
        last_timestamp=last,
    )
    return rates, table


def _run_starts(differs: np.ndarray, length: int) -> np.ndarray:
    """For each place the first one of its run of equal values."""
    starts = np.zeros(length, np.int64)
    starts[1:] = np.where(differs, np.arange(1, length), 0)
    return np.maximum.accumulate(starts)


def _checked(ids, labels, timestamps, prior, strength):
    if not 0 <= prior <= 1:
        raise ValueError(f"`prior` must be in 0 … 1. Received: prior={prior!r}")
    if not 0 < strength < float("inf"):
        raise ValueError(
            f"`strength` must be above 0 and finite. Received: strength={strength!r}"
        )
    labels = np.asarray(labels)
    times = np.arange(len(ids)) if timestamps is None else np.asarray(timestamps)
    if labels.shape != ids.shape or times.shape != ids.shape:
        raise ValueError(
            "`ids`, `labels` and `timestamps` must be of one length. Received shapes: "
            f"{ids.shape}, {labels.shape}, {times.shape}"
        )
    if not ((labels == 0) | (labels == 1)).all():
        wrong = labels[~((labels == 0) | (labels == 1))][0]
        raise ValueError(f"`labels` must be 0 or 1. Received: {wrong!r}")
    if (times != times).any():  # NaN and NaT
        raise ValueError(
            f"`timestamps` must not be missing. Received: {times[times != times][0]!r}"
        )
    return labels.astype(np.int64), times


def _check_state(state, ids, times, has_times, prior, strength):
    if (state.prior, state.strength) != (prior, strength):
        raise ValueError(
            f"`state` was made with prior={state.prior} and strength={state.strength}. "
            f"Received: prior={prior}, strength={strength}"
        )
    if len(state.ids) and len(ids) and (state.ids.dtype.kind != ids.dtype.kind):
        raise ValueError(
            f"`ids` must be of the type of those in `state`, {state.ids.dtype}. "
            f"Received: {ids.dtype}"
        )
    if not len(state.ids) or not len(ids):
        return
    if (state.last_timestamp is not None) != has_times:
        raise ValueError(
            "`timestamps` must be given for all parts of the rows or for none. "
            f"Received: last_timestamp={state.last_timestamp!r} in `state`, and "
            f"{'some' if has_times else 'none'} now"
        )
    if has_times and times.min() <= state.last_timestamp:
        raise ValueError(
            "All rows must be later than those in `state`; keep rows of one time in "
            f"one part. Received: {times.min()!r}, and {state.last_timestamp!r} in "
            "`state`"
        )
