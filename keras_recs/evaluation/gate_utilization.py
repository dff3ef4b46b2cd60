"""How much each gate of a multi-task model gives to each expert."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_recs.layers import ExpertGate, ExtractionBlock, MultiGate

# Of an even share, below which an expert counts as collapsed.
_LEAST_SHARE = 0.1
_SHARED = "(shared)"  # which no label is called


def gate_utilization(
    model: keras.Model, dataset: Any, labels: Any, num_batches: int = 20
) -> dict[str, dict[str, Any]]:
    """Measures what the gates of MMoE and PLE weigh their experts with.

    Args:
        model: functional model with `MultiGate`, `ExpertGate` or `ExtractionBlock`
            layers.
        dataset: batches whose first element are the model's inputs.
        labels: names of the labels, in the schema's order.
        num_batches: int. Batches that are looked at. Defaults to `20`.

    Returns:
        dict of layer name to a dict with `gates`: by gate (a label, `"(shared)"`
        or `"all"`) the mean weight of each expert that it sees, by expert; and
        `collapsed`: the experts to which every gate that sees them gives less than a
        tenth of an even share. Empty for a model without gates.

    Raises:
        ValueError: for more or fewer labels than gates, and without a batch.
    """
    kinds = (MultiGate, ExpertGate, ExtractionBlock)
    layers = [layer for layer in model.layers if isinstance(layer, kinds)]
    if not layers:
        return {}
    labels = list(labels)
    for layer in layers:
        wanted = _num_tasks(layer)
        if wanted is not None and wanted != len(labels):
            raise ValueError(
                f"`labels` must name the {wanted} labels that layer '{layer.name}' has "
                f"gates for, in the order of the schema. Received: labels={labels}"
            )
    selectors = {layer.name: _selector(layer) for layer in layers}
    reader = keras.Model(model.input, selectors)
    sums: dict[str, dict[str, np.ndarray]] = {layer.name: {} for layer in layers}
    count = 0
    for number, batch in enumerate(dataset):
        if number == num_batches:
            break
        found = reader.predict_on_batch(batch[0])
        count += len(next(iter(found.values())))
        for layer in layers:
            for gate, weights in _weights(layer, found[layer.name], labels).items():
                total = weights.astype("float64").sum(axis=0)
                before = sums[layer.name].get(gate, 0.0)
                sums[layer.name][gate] = before + total
    if not count:
        raise ValueError(
            "`dataset` must have at least one example, and `num_batches` must be "
            f"positive. Received none, with num_batches={num_batches}"
        )
    result = {}
    for layer in layers:
        gates = {}
        for gate, total in sums[layer.name].items():
            names = _expert_names(layer, gate, labels, len(total))
            shares = (total / count).tolist()
            gates[gate] = dict(zip(names, shares, strict=True))
        result[layer.name] = {"gates": gates, "collapsed": _collapsed(gates)}
    return result


def _num_tasks(layer) -> int | None:
    """How many labels have a gate of their own in a layer; `None` if all share one."""
    if isinstance(layer, MultiGate):
        return layer.num_gates
    return layer.num_tasks if isinstance(layer, ExtractionBlock) else None


def _selector(layer):
    inputs = layer.input
    return inputs[0] if isinstance(inputs, (list, tuple)) else inputs


def _weights(layer, selector, labels) -> dict[str, np.ndarray]:
    """`(B, experts that it sees)` of each gate."""
    if isinstance(layer, ExpertGate):
        return {"all": np.asarray(layer.weigh(selector))}
    if isinstance(layer, MultiGate):
        weights = np.asarray(layer.weigh(selector))  # (B, K, E)
        return {label: weights[:, k] for k, label in enumerate(labels)}
    tasks, shared = layer.weigh(selector)
    found = {label: np.asarray(tasks)[:, k] for k, label in enumerate(labels)}
    if shared is not None:
        found[_SHARED] = np.asarray(shared)
    return found


def _expert_names(layer, gate, labels, count) -> list[str]:
    if not isinstance(layer, ExtractionBlock):
        return [f"expert {i}" for i in range(count)]
    own, shared = layer.num_experts
    common = [f"{_SHARED} {i}" for i in range(shared)]
    if gate == _SHARED:
        return [f"{label} {i}" for label in labels for i in range(own)] + common
    return [f"{gate} {i}" for i in range(own)] + common


def _collapsed(gates: dict[str, dict[str, float]]) -> list[str]:
    best: dict[str, float] = {}
    for shares in gates.values():
        for expert, share in shares.items():
            best[expert] = max(best.get(expert, 0.0), share * len(shares))
    return [expert for expert, share in best.items() if share < _LEAST_SHARE]
