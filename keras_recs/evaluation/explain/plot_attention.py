"""Heat maps of attention."""

import os
from collections.abc import Sequence

import numpy as np

from keras_recs.evaluation.explain.attention import Attention
from keras_recs.evaluation.explain.plot_pairs import draw_matrix
from keras_recs.evaluation.figure import figure


def plot_attention(
    result: Attention,
    path: str | os.PathLike,
    title: str = "",
    examples: Sequence[int] = range(8),
    items: Sequence[Sequence[str]] | None = None,
    candidates: Sequence[str] | None = None,
) -> None:
    """Draws what one layer attends to and writes a PNG.

    Between fields: field by field, the mean over all examples and heads. To a history:
    one row an example, one cell an event, blank where none is.

    Args:
        result: that of one layer, as `attention_weights` returns it.
        path: file that is written.
        title: string. Defaults to `""`.
        examples: numbers of the examples whose histories are drawn; those beyond the
            result are left out. Defaults to the first 8.
        items: `(N, T)` names of the events, which are written into the cells; what is
            beyond the result is left out. Defaults to `None`.
        candidates: `(N,)` names of what is attended for, likewise, at the rows. They
            default to the example's number.

    Raises:
        ValueError: for no example, or `items` and `candidates` of another shape.
    """
    if result.mask is None:
        mean = result.weights.mean(axis=(0, 1))
        labels = ("field that reads", "field that is read")
        draw_matrix(mean, result.fields, path, title, "mean weight", labels)
        return
    size, length = result.weights.shape
    for name, names, shape in (
        ("items", items, (size, length)),
        ("candidates", candidates, (size,)),
    ):
        found = shape if names is None else np.shape(names)
        if len(found) != len(shape) or found[0] < size or found[1:] != shape[1:]:
            raise ValueError(
                f"`{name}` must have the shape {shape}, or more rows. Received: {found}"
            )
    rows = [row for row in examples if 0 <= row < size]
    if not rows:
        raise ValueError(
            f"`examples` must name some of the {size} examples. Received: {examples!r}"
        )
    weights = np.where(result.mask[rows], result.weights[rows], np.nan)
    used = np.flatnonzero(result.mask[rows].any(axis=0))
    columns = slice(used[0], used[-1] + 1) if len(used) else slice(0, 1)
    weights = weights[:, columns]
    texts = None if items is None else np.asarray(items)[rows][:, columns]
    names = [f"example {row}" for row in rows]
    if candidates is not None:
        names = [str(candidates[row]) for row in rows]
    _draw_histories(weights, names, texts, path, title, ", ".join(result.fields))


def _draw_histories(weights, names, texts, path, title, events) -> None:
    limit = float(np.nanmax(np.abs(weights), initial=0)) or 1.0
    options = {"cmap": "viridis", "vmin": 0, "vmax": limit}
    if np.nanmin(weights, initial=0) < 0:
        options = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    width = 3 + (0.3 if texts is None else 0.9) * weights.shape[1]
    with figure(path) as axes:
        axes.figure.set_size_inches(min(max(6, width), 40), 2 + 0.4 * len(names))
        image = axes.imshow(weights, aspect="auto", **options)
        axes.set_yticks(range(len(names)), names, fontsize="small")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set(title=title, xlabel=f"event of {events}, oldest first")
        axes.figure.colorbar(image, label="weight")
        if texts is None:
            return
        for (row, column), weight in np.ndenumerate(weights):
            if not np.isnan(weight):
                colour = image.cmap(image.norm(weight))
                dark = np.dot(colour[:3], (0.3, 0.6, 0.1)) < 0.5
                axes.text(
                    column,
                    row,
                    str(texts[row, column]),
                    ha="center",
                    va="center",
                    fontsize="x-small",
                    color="white" if dark else "black",
                )
