"""Contributions of pairs of fields to explicit interactions."""

from __future__ import annotations

import itertools
from typing import Any

import keras
import numpy as np

from keras_recs.evaluation.explain.held_examples import HeldExamples
from keras_recs.evaluation.explain.layer_calls import layer_calls, run_to
from keras_recs.evaluation.explain.named_fields import named_fields
from keras_recs.evaluation.explain.pair_terms import PairTerms
from keras_recs.layers import CIN, CrossLayer, FMInteraction, VectorCrossLayer

CROSSES = (CrossLayer, VectorCrossLayer)


def pair_contributions(
    model: keras.Model, dataset: Any, max_examples: int = 1_000
) -> dict[str, PairTerms]:
    """Splits the explicit interactions of a model into pairs of fields.

    - `FMInteraction`: the term of fields i < j is ⟨v_i, v_j⟩. All add up to the layer's
      output, with `keep_dim` to the sum of its vector.
    - `CrossLayer`: the term of i and j is x₀,ᵢᵀ W_ij x_j. All add up to the sum of
      x₀ ⊙ W x, which is the output without the bias and without x itself. The weight is
      the norm of the block ‖W_ij‖, as in the paper.
    - `VectorCrossLayer`: the same, with the vector w as each row of W.
    - `CIN`, its first layer: the weight of i ≤ j is the length, over the maps, of
      W_ij + W_ji, and the term is ⟨v_i, v_j⟩ times that.

    Row i of a cross layer's block W_ij belongs to the field of x₀, column j to that of
    the layer below. Weights tell what a pair counts for all examples alike, terms what
    it does in these. The block of a number is one row or column and so has a smaller
    norm than that of two embeddings. How a head weighs the numbers of a cross layer or
    the maps of a CIN is in neither. Mixtures of experts have no one matrix and are left
    out.

    Args:
        model: functional model with such layers at its top level.
        dataset: batches whose first element is the dict of inputs, or one such dict.
        max_examples: int. The data set's first examples are used, at most so many;
            N·F² numbers a layer are held in memory. Defaults to `1_000`.

    Returns:
        dict of layer name to `PairTerms`. Fields have the names of their features.

    Raises:
        ValueError: for a model that is not functional, one without such a layer, or a
            data set without a batch.

    Reference: [Wang et al., 2021](https://arxiv.org/abs/2008.13535), for the norms of
    blocks.
    """
    calls = {
        name: call
        for name, call in layer_calls(model, (FMInteraction, CIN, *CROSSES)).items()
        if getattr(call[0], "num_experts", None) is None
    }
    if not calls:
        raise ValueError(
            "`model` must have an interaction that is a sum over pairs of fields. "
            f"Received: '{model.name}', which has mixtures of cross layers alone"
        )
    examples = HeldExamples.collect(dataset, max_examples)
    tensors = {name: inputs for name, (_, inputs) in calls.items()}
    parts: dict[str, list[np.ndarray]] = {name: [] for name in calls}
    fields, matrices = {}, {}
    for name, (layer, inputs) in calls.items():
        source = inputs[0] if isinstance(layer, CROSSES) else inputs
        fields[name] = named_fields(source)
        matrices[name] = _matrix(layer, sum(width for _, width in fields[name]))
    for arrays in run_to(model, tensors, examples):
        for name, (layer, _) in calls.items():
            widths = [width for _, width in fields[name]]
            parts[name].append(
                _cross_terms(arrays[name], matrices[name], widths)
                if isinstance(layer, CROSSES)
                else _products(arrays[name], matrices[name])
            )
    results = {}
    for name, (layer, _) in calls.items():
        ordered = isinstance(layer, CROSSES)
        weights = matrices[name]
        if ordered:
            weights = _block_norms(weights, [width for _, width in fields[name]])
        results[name] = PairTerms(
            fields=tuple(field for field, _ in fields[name]),
            terms=np.concatenate(parts[name]),
            weights=weights,
            ordered=ordered,
        )
    return results


def _matrix(layer, size) -> np.ndarray | None:
    """Of a cross layer W `(N, N)`, of a CIN a weight a pair, of a FM nothing."""
    array = keras.ops.convert_to_numpy
    if isinstance(layer, CrossLayer):
        kernel = array(layer.dense.kernel)
        if layer.down is not None:
            kernel = array(layer.down.kernel) @ kernel
        return kernel.T
    if isinstance(layer, VectorCrossLayer):
        return np.broadcast_to(array(layer.kernel).T, (size, size))
    if isinstance(layer, CIN):
        kernel = array(layer.kernels[0])  # (F·F, H)
        count = round(len(kernel) ** 0.5)
        square = kernel.reshape(count, count, -1)
        # v_i ∘ v_j and v_j ∘ v_i are the same.
        pairs = square + np.swapaxes(square, 0, 1)
        pairs[np.diag_indices(count)] /= 2
        return np.triu(np.linalg.norm(pairs, axis=-1)).astype("float32")
    return None


def _products(fields: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    products = fields @ np.swapaxes(fields, 1, 2)  # (B, F, F)
    return np.triu(products, 1) if weights is None else products * weights


def _cross_terms(pair, matrix, widths) -> np.ndarray:
    x0, x = pair
    starts = np.cumsum([0, *widths])
    terms = np.empty((len(x), len(widths), len(widths)), "float32")
    for j, (start, end) in enumerate(itertools.pairwise(starts)):
        shares = x0 * (x[:, start:end] @ matrix[:, start:end].T)  # (B, N)
        terms[:, :, j] = np.add.reduceat(shares, starts[:-1], axis=1)
    return terms


def _block_norms(matrix, widths) -> np.ndarray:
    starts = np.cumsum([0, *widths])[:-1]
    squares = np.add.reduceat(matrix.astype("float64") ** 2, starts, axis=0)
    return np.sqrt(np.add.reduceat(squares, starts, axis=1)).astype("float32")
