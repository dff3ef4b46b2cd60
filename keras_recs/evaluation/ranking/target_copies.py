"""Items of a catalogue that equal users' targets."""

from __future__ import annotations

import dataclasses

import numpy as np

from keras_recs.evaluation.ranking.catalogue_products import CatalogueProducts


@dataclasses.dataclass(frozen=True)
class TargetCopies:
    """Items that stand several times in a catalogue, of which one is a target.

    Their scores are equal but for their last digits, which depend on where a matrix
    product has them; so whether they tie is not left to the scores. Without this the
    rank of a model that gives all items one embedding would be drawn by lot.

    Attributes:
        ids: int64 `(M,)`, in increasing order.
        groups: int64 `(M,)`: equal items have one number.
        target_groups: int64 `(U,)`: the numbers of the targets.
    """

    ids: np.ndarray
    groups: np.ndarray
    target_groups: np.ndarray

    @classmethod
    def find(cls, products: CatalogueProducts, targets: np.ndarray) -> TargetCopies:
        """Compares all items with the targets.

        Args:
            products: with the items.
            targets: int64 `(U,)`.
        """
        distinct = np.unique(targets)
        hashes, first, group = np.unique(
            _in_chunks(products, distinct), return_index=True, return_inverse=True
        )
        found_ids, found_groups = [np.empty(0, "int64")], [np.empty(0, "int64")]
        for start in range(
            0, products.num_items if len(hashes) else 0, products.columns
        ):
            chunk = np.arange(start, min(start + products.columns, products.num_items))
            rows = products.item_rows(chunk)
            found = _hashes(rows)
            place = np.minimum(np.searchsorted(hashes, found), len(hashes) - 1)
            same = np.flatnonzero(hashes[place] == found)
            others = products.item_rows(distinct[first[place[same]]])
            same = same[(rows[same] == others).all(axis=1)]
            found_ids.append(chunk[same])
            found_groups.append(place[same])
        ids, groups = np.concatenate(found_ids), np.concatenate(found_groups)
        several = np.bincount(groups, minlength=len(hashes))[groups] > 1
        target_groups = group[np.searchsorted(distinct, targets)]
        return cls(ids[several], groups[several], target_groups)


def _in_chunks(products, ids):
    parts = [
        _hashes(products.item_rows(ids[start : start + products.columns]))
        for start in range(0, len(ids), products.columns)
    ]
    return np.concatenate([np.empty(0, "uint64"), *parts])


def _hashes(rows: np.ndarray) -> np.ndarray:
    """A number for each row of floats, equal for equal rows."""
    bits = (rows + np.float32(0)).view("uint32")  # −0 is 0
    size = rows.shape[1]
    rng = np.random.default_rng(0)
    factors = rng.integers(1 << 62, size=(size,)).astype("uint64")
    hashes = np.zeros(len(rows), "uint64")
    for column in range(size):
        hashes += bits[:, column] * factors[column]
    return hashes
