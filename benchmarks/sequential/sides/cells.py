"""What both sides of the benchmark share: cells, batches, the conversation.

Only numpy and the standard library are imported here, because the sides run in
environments of their own.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

FIRST_ROW, MASK_ROW = 2, 1
LEARNING_RATE, BETA_2, EPSILON = 1e-3, 0.98, 1e-7  # of Adam
NUM_BATCHES = 8  # different ones, again and again
CHECKED_STEPS, CHECK_RATE = 3, 1.0


@dataclasses.dataclass(frozen=True)
class Cell:
    """A model and the shapes of a data set.

    Args:
        model: `"sasrec"`, `"bert4rec"` or `"gru4rec"`.
        loss: `"bce"`, beside one given negative, or `"ce"`, over the whole catalogue.
        length: int. T.
        dim: int. D.
        items: int. V.
        heads: int.
        median_events: int. Of a user's history, whose length is log-normal. 0:
            sessions that fill all places and go on in the next batch.
        masks: int. Places at most that are masked.
        mask_rate: float. Share of a history that is.
        layers: int.
        batch: int. B.
        dropout: float.
    """

    model: str
    loss: str
    length: int
    dim: int
    items: int
    heads: int = 1
    median_events: int = 0
    masks: int = 0
    mask_rate: float = 0.0
    layers: int = 2
    batch: int = 128
    dropout: float = 0.2


_ML_1M: dict[str, Any] = {"length": 200, "items": 3416, "median_events": 96}
_BEAUTY: dict[str, Any] = {"length": 50, "items": 54542, "median_events": 7}
CELLS = {
    "ml-1m sasrec bce": Cell("sasrec", "bce", dim=50, heads=1, **_ML_1M),
    "ml-1m sasrec ce": Cell("sasrec", "ce", dim=64, heads=1, **_ML_1M),
    "ml-1m bert4rec": Cell(
        "bert4rec", "ce", dim=64, heads=2, masks=40, mask_rate=0.2, **_ML_1M
    ),
    "beauty sasrec bce": Cell("sasrec", "bce", dim=50, heads=1, **_BEAUTY),
    "beauty sasrec ce": Cell("sasrec", "ce", dim=64, heads=1, **_BEAUTY),
    "beauty bert4rec": Cell(
        "bert4rec", "ce", dim=64, heads=2, masks=30, mask_rate=0.6, **_BEAUTY
    ),
    "diginetica gru4rec ce": Cell("gru4rec", "ce", length=4, dim=256, items=43097),
    "ml-1m gru4rec ce": Cell("gru4rec", "ce", length=32, dim=128, items=3416, batch=64),
}


def make_batches(cell: Cell) -> list[dict[str, np.ndarray]]:
    """Seeded batches in int32.

    Returns:
        list of dicts: `items` `(B, T)`, padded on the left, and targets, 0 where there
        is none: `next_item` `(B, T)`, for `"bce"` beside `negatives` `(B, T, 1)`; for
        BERT4Rec `(B, M)` at `places` `(B, M)`. For GRU4Rec `starts` `(B, T)` is 1 where
        a session begins, here at the first place alone: `nn.GRU` cannot forget later.
    """
    rng = np.random.default_rng(0)
    last_row = FIRST_ROW + cell.items - 1
    batches = []
    for _ in range(NUM_BATCHES):
        lengths = np.full(cell.batch, cell.length)
        if cell.median_events:
            lengths = cell.median_events * rng.lognormal(0.0, 1.0, cell.batch)
            lengths = np.clip(np.rint(lengths), 2, cell.length).astype("int64")
        shape = (cell.batch, cell.length + 1)
        drawn = FIRST_ROW + cell.items * rng.random(shape) ** 3  # some are popular
        rows = np.minimum(drawn.astype("int32"), last_row)
        rows[np.arange(cell.length, -1, -1) >= lengths[:, None] + 1] = 0
        batch = {"items": rows[:, :-1].copy(), "next_item": rows[:, 1:].copy()}
        batch["next_item"][batch["items"] == 0] = 0
        if cell.loss == "bce":
            shape = (*batch["items"].shape, 1)
            batch["negatives"] = rng.integers(FIRST_ROW, last_row + 1, shape)
        if cell.model == "gru4rec":
            batch["starts"] = np.zeros_like(batch["items"])
            batch["starts"][:, 0] = rng.random(cell.batch) < 0.3
        if cell.masks:
            batch = _masked(batch["items"], lengths, cell, rng)
        batches.append({name: array.astype("int32") for name, array in batch.items()})
    return batches


def _masked(rows, lengths, cell: Cell, rng) -> dict[str, np.ndarray]:
    targets = np.zeros((cell.batch, cell.masks), "int32")
    places = np.zeros_like(targets)
    for user, length in enumerate(lengths):
        count = max(1, min(cell.masks, round(cell.mask_rate * length)))
        chosen = cell.length - 1 - rng.choice(length, count, replace=False)
        places[user, :count], targets[user, :count] = chosen, rows[user, chosen]
        rows[user, chosen] = MASK_ROW
    return {"items": rows, "next_item": targets, "places": places}


def multiplications(cell: Cell) -> int:
    """Multiplications of the matrix products of a forward pass.

    Scores over the catalogue are counted at the places that have a target, all else at
    all places, padding too.
    """
    dim, places = cell.dim, cell.batch * cell.length
    if cell.model == "gru4rec":
        total = places * 6 * dim**2
    else:
        hidden = dim * (4 if cell.model == "bert4rec" else 1)
        matrices = 3 * dim**2 + 2 * dim * hidden
        if cell.model == "bert4rec":
            matrices += dim**2  # over the heads
        total = cell.layers * places * (matrices + 2 * cell.length * dim)
    if cell.loss == "ce":
        batches = make_batches(cell)
        there = np.mean([(batch["next_item"] > 0).sum() for batch in batches])
        total += round(float(there)) * dim * cell.items
    if cell.model == "bert4rec":
        total += cell.batch * cell.masks * dim**2  # the head
    return total


def serve(commands: dict[str, Callable[..., Any]]) -> None:
    """Answers the lines of standard input, `[command, *arguments]` each as JSON.

    Args:
        commands: functions by name.
    """
    # Frameworks write to standard output as well.
    out, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        out.write(json.dumps(commands[name](*arguments)) + "\n")
        out.flush()
