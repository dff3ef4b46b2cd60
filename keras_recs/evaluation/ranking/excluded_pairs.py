"""Items that are no candidates, as places in a matrix of scores."""

from __future__ import annotations

import numpy as np

from keras_recs.evaluation.ranking.item_lists import ItemLists


def excluded_pairs(
    excluded: ItemLists, targets: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of what is excluded, each once, in the order of the columns.

    Args:
        excluded: the items of each user.
        targets: `(B,)`. They stay candidates. Defaults to `None`.
    """
    users, items = excluded.users, excluded.items
    if targets is not None:
        others = items != targets[users]
        users, items = users[others], items[others]
    places = np.unique(items * max(len(excluded), 1) + users)
    columns, rows = np.divmod(places, max(len(excluded), 1))
    return rows, columns
