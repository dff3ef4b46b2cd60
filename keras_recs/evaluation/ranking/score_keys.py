"""Scores and ids as integers in the order of a ranking."""

from __future__ import annotations

import numpy as np

MISSING = np.iinfo(np.int64).min
_NAN = np.int64(1 - (1 << 31))  # below the bits of −∞
_LOW = (1 << 32) - 1
MAX_ITEMS = _LOW


def score_keys(scores: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Integers that are the greater the better an item ranks.

    The upper half has the order of the scores, NaN the lowest; the lower half that of
    the ids turned around. `MISSING`, which is no item, is below all.

    Args:
        scores: float32 of any shape.
        ids: int64 of the same shape, 0 … 2³² − 2.
    """
    bits = (scores + np.float32(0)).view("int32")  # −0 is 0
    order = _turned(bits).astype("int64")
    order[np.isnan(scores)] = _NAN
    return (order << 32) + (_LOW - ids)


def ids_of_keys(keys: np.ndarray) -> np.ndarray:
    """The ids, −1 where an item is missing."""
    return np.where(keys == MISSING, -1, _LOW - (keys & _LOW))


def scores_of_keys(keys: np.ndarray) -> np.ndarray:
    """The scores, −∞ where an item is missing."""
    order = keys >> 32
    scores = _turned(order.astype("int32")).view("float32")
    scores[order == _NAN] = np.nan
    scores[keys == MISSING] = -np.inf
    return scores


def _turned(bits: np.ndarray) -> np.ndarray:
    """Bits of floats as integers of their order, and back."""
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)
