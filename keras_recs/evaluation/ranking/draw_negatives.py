"""Candidates that are drawn for each user."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_recs.evaluation.ranking.checked_ids import checked_count, checked_lists
from keras_recs.evaluation.ranking.item_lists import ItemLists

METHODS = ("uniform", "popularity")
_USERS = 4096  # drawn for at once
_ROUNDS = 8  # after them few users are left, with few items to draw


def draw_negatives(
    positives: ItemLists,
    num_items: int,
    num_negatives: int = 100,
    method: str = "uniform",
    counts: Any = None,
    distinct: bool = True,
    seed: int = 0,
) -> np.ndarray:
    """Draws items for each user that are none of the user's own.

    Items are drawn one after the other, uniformly or with probability proportional to
    `counts`; one of the user's `positives` is put back and drawn anew, and so is with
    `distinct` one that was drawn for the user before. Together with `candidate_ranks`
    these are the sampled protocols of papers:

    - SASRec's authors: `distinct=False`, `positives` the items of training alone (the
      target may be drawn), and `ties="optimistic"`;
    - BERT4Rec: `method="popularity"` with the counts of all data, `positives` the whole
      history with the target;
    - without favours: the default here, with the whole history and the target.

    Args:
        positives: `ItemLists`: what is not drawn, of each user.
        num_items: int. Of the catalogue.
        num_negatives: int. Of each user. Defaults to `100`.
        method: `"uniform"` or `"popularity"`. Defaults to `"uniform"`.
        counts: `(num_items,)` of at least 0, for `"popularity"`; an item of count 0 is
            not drawn. Defaults to `None`.
        distinct: bool. Whether a user's items differ. Defaults to `True`.
        seed: int. Defaults to `0`.

    Returns:
        int64 `(B, num_negatives)`, in the order in which they were drawn.

    Raises:
        TypeError: for `positives` of another class.
        ValueError: for a user for whom too few items remain, items outside the
            catalogue, and counts that are missing, not needed or negative.

    Example:
    >>> history = keras_recs.evaluation.ItemLists.from_lists([[0, 1], [3]])
    >>> drawn = keras_recs.evaluation.draw_negatives(history, 4, num_negatives=2)
    >>> sorted(drawn[0].tolist())
    [2, 3]
    """
    num_items = checked_count("num_items", num_items)
    size = checked_count("num_negatives", num_negatives)
    positives = checked_lists("positives", positives, None, num_items)
    weights = _checked_weights(method, counts, num_items)
    rng = np.random.default_rng(seed)
    drawn = np.empty((len(positives), size), "int64")
    for start in range(0, len(positives), _USERS):
        part = positives.part(start, min(start + _USERS, len(positives)))
        _check_enough(part, weights, size if distinct else 1, start)
        drawn[start : start + len(part)] = _draw(part, weights, size, distinct, rng)
    return drawn


def _checked_weights(method, counts, num_items) -> np.ndarray:
    if method not in METHODS:
        raise ValueError(
            f"`method` must be one of {METHODS}. Received: method={method!r}"
        )
    if (counts is None) == (method == "popularity"):
        given = "None" if counts is None else f"of type {type(counts).__name__}"
        raise ValueError(
            "`counts` must be given for method='popularity', and for it alone. "
            f"Received: method={method!r}, counts {given}"
        )
    if counts is None:
        return np.ones(num_items)
    weights = np.asarray(counts, "float64")
    if weights.shape != (num_items,):
        raise ValueError(
            f"`counts` must be a number for each of {num_items} items. Received: shape "
            f"{weights.shape}"
        )
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        item = int(np.argmax(wrong))
        raise ValueError(
            f"`counts` must be finite and at least 0. Received: {weights[item]} of "
            f"item {item}"
        )
    return weights


def _check_enough(positives, weights, least, first_user):
    """Raises an error that names the first user with too few items."""
    places = np.unique(positives.users * len(weights) + positives.items)
    users, items = np.divmod(places, len(weights))
    own = np.bincount(users[weights[items] > 0], minlength=len(positives))
    left = np.count_nonzero(weights) - own
    if (left < least).any():
        user = int(np.argmax(left < least))
        raise ValueError(
            "`num_negatives` must not exceed the items that are left to draw. "
            f"Received: user {first_user + user} has {left[user]} left of {least}"
        )


def _draw(positives, weights, size, distinct, rng) -> np.ndarray:
    """Items for some users."""
    num_items = len(weights)
    own = np.unique(positives.users * num_items + positives.items)
    cumulative = np.cumsum(weights)
    uniform = weights.min() == weights.max()
    found = np.full((len(positives), size), -1)
    missing = np.arange(len(positives))
    for _ in range(_ROUNDS):
        shape = len(missing), size
        if uniform:
            drawn = rng.integers(num_items, size=shape)
        else:
            point = rng.random(shape) * cumulative[-1]
            drawn = np.searchsorted(cumulative, point, side="right")
        both = np.concatenate([found[missing], drawn], axis=1)
        wrong = (both < 0) | _is_in(missing[:, None] * num_items + both, own)
        if distinct:
            wrong |= _repeats(both)
        # What was accepted first stands first.
        order = np.argsort(wrong, axis=1, kind="stable")[:, :size]
        both = np.take_along_axis(both, order, axis=1)
        both[np.take_along_axis(wrong, order, axis=1)] = -1
        found[missing] = both
        missing = missing[both[:, -1] < 0]
        if not len(missing):
            break
    for user in missing:
        _complete(found[user], weights, positives[user], distinct, rng)
    return found


def _is_in(values: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """Which values are among others, which are in order."""
    if not len(ordered):
        return np.zeros(values.shape, bool)
    place = np.searchsorted(ordered, values)
    return ordered[np.minimum(place, len(ordered) - 1)] == values


def _repeats(rows: np.ndarray) -> np.ndarray:
    """Which values stand further to the left in the same row, too."""
    order = np.argsort(rows, axis=1, kind="stable")
    in_order = np.take_along_axis(rows, order, axis=1)
    same = np.zeros(rows.shape, bool)
    same[:, 1:] = in_order[:, 1:] == in_order[:, :-1]
    repeats = np.empty(rows.shape, bool)
    np.put_along_axis(repeats, order, same, axis=1)
    return repeats


def _complete(found, weights, own, distinct, rng) -> None:
    """Draws what one user lacks from what is left, without putting back."""
    weights = weights.copy()
    weights[own] = 0
    places = np.flatnonzero(found < 0)
    if not distinct:
        found[places] = rng.choice(
            len(weights), size=len(places), p=weights / weights.sum()
        )
        return
    weights[found[found >= 0]] = 0
    left = np.flatnonzero(weights)
    # The greatest sums of a log weight and a Gumbel variable are successive draws.
    order = np.argsort(-np.log(weights[left]) - rng.gumbel(size=len(left)))
    found[places] = left[order[: len(places)]]
