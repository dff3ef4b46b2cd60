"""Checks of what names users and items."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_recs.evaluation.ranking.item_lists import ItemLists


def checked_count(name: str, value: Any, least: int = 1) -> int:
    """An integer of at least `least`.

    Raises:
        ValueError: for anything else.
    """
    is_integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not is_integer or value < least:
        raise ValueError(
            f"`{name}` must be an integer of at least {least}. Received: "
            f"{name}={value!r}"
        )
    return int(value)


def checked_targets(targets: Any, num_users: int, num_items: int) -> np.ndarray:
    """One row of the catalogue for each user, int64.

    Raises:
        ValueError: for another number of them, and rows that are not there.
    """
    targets = np.asarray(targets)
    if targets.shape != (num_users,) or (
        targets.size and targets.dtype.kind not in "iu"
    ):
        raise ValueError(
            f"`targets` must be an integer for each of {num_users} users. Received: "
            f"shape {targets.shape} and dtype {targets.dtype}"
        )
    outside = (targets < 0) | (targets >= num_items)
    if outside.any():
        user = int(np.argmax(outside))
        raise ValueError(
            f"`targets` must be rows of the catalogue, 0 … {num_items - 1}. Received: "
            f"item {targets[user]} of user {user}"
        )
    return targets.astype("int64")


def checked_lists(
    name: str, lists: Any, num_users: int | None, num_items: int | None
) -> ItemLists:
    """Lists of rows of the catalogue; no list for `None`.

    Args:
        name: of the argument.
        lists: `ItemLists` or `None`.
        num_users: how many there must be, if that is known.
        num_items: of the catalogue, if that is known.

    Raises:
        TypeError: for another class.
        ValueError: for another number of users, and rows that are not there.
    """
    if lists is None:
        return ItemLists(np.empty(0, int), np.zeros((num_users or 0) + 1, int))
    if not isinstance(lists, ItemLists):
        raise TypeError(
            f"`{name}` must be `ItemLists`, as `ItemLists.from_lists` makes them. "
            f"Received: {type(lists).__name__}"
        )
    if num_users is not None and len(lists) != num_users:
        raise ValueError(
            f"`{name}` must have a list for each of {num_users} users. Received: "
            f"{len(lists)} lists"
        )
    if num_items is not None and (lists.items >= num_items).any():
        place = int(np.argmax(lists.items >= num_items))
        raise ValueError(
            f"`{name}` must hold rows of the catalogue, 0 … {num_items - 1}. Received: "
            f"item {lists.items[place]} of user {lists.users[place]}"
        )
    return lists


def checked_top_lists(ids: Any, num_items: int | None = None) -> np.ndarray:
    """What is recommended to each user, int64 `(B, n)`, −1 where nothing is.

    Raises:
        ValueError: for another shape, ids that are no such rows, an item twice in a
            list, and one after a place that is empty.
    """
    ids = np.asarray(ids)
    if ids.ndim != 2 or (ids.size and ids.dtype.kind not in "iu"):
        raise ValueError(
            "`ids` must be integers, a list of recommended items for each user. "
            f"Received: shape {ids.shape} and dtype {ids.dtype}"
        )
    ids = ids.astype("int64")
    outside = ids < -1
    if num_items is not None:
        outside |= ids >= num_items
    in_order = np.sort(ids, axis=1)
    twice = (in_order[:, 1:] == in_order[:, :-1]) & (in_order[:, 1:] >= 0)
    gap = (ids[:, :-1] < 0) & (ids[:, 1:] >= 0)
    for wrong, what in (
        (outside, "rows of the catalogue, −1 where nothing is"),
        (twice, "different items in a list"),
        (gap, "lists with −1 at their ends alone"),
    ):
        if wrong.any():
            user = int(np.argmax(wrong.any(axis=1)))
            raise ValueError(
                f"`ids` must be {what}. Received: {ids[user].tolist()} of user {user}"
            )
    return ids
