"""Heat map of pairs of fields."""

import os

import numpy as np

from keras_recs.evaluation.explain.pair_terms import PairTerms
from keras_recs.evaluation.figure import figure

VALUES = {
    "weights": "size of the weights",
    "strength": "mean |term|",
    "mean": "mean term",
}


def plot_pairs(
    result: PairTerms,
    path: str | os.PathLike,
    title: str = "",
    values: str | None = None,
) -> None:
    """Draws the pairs of fields of one layer as a heat map and writes a PNG.

    Args:
        result: that of one layer, as `pair_contributions` returns it.
        path: file that is written.
        title: string. Defaults to `""`.
        values: `"weights"`, `"strength"` or `"mean"`: what is drawn of `result`.
            Defaults to `None`: weights of a layer that has any, else strength.

    Raises:
        ValueError: for other values, or weights of a layer that has none.
    """
    if values is None:
        values = "strength" if result.weights is None else "weights"
    matrix = getattr(result, values) if values in VALUES else None
    if matrix is None:
        raise ValueError(
            f"`values` must be one of {list(VALUES)}, and 'weights' only of a layer "
            f"that has some. Received: values={values!r}"
        )
    matrix = np.array(matrix, "float64")
    if not result.ordered:
        # A pair stands there once, and a field is none with itself in some layers.
        matrix[np.tril_indices(len(matrix), -bool(matrix.diagonal().any()))] = np.nan
    draw_matrix(
        matrix,
        result.fields,
        path,
        title,
        VALUES[values],
        ("field of x₀", "field of the layer below") if result.ordered else ("", ""),
        signed=values == "mean",
    )


def draw_matrix(matrix, names, path, title, scale, labels, signed=False) -> None:
    """Writes a heat map of fields by fields.

    Args:
        matrix: `(F, F)`; NaN is left blank.
        names: of the fields.
        path: file that is written.
        title: string.
        scale: string. What the colours are.
        labels: pair of strings: of the rows and of the columns.
        signed: bool. Colours that part at 0. Defaults to `False`.
    """
    limit = float(np.nanmax(np.abs(matrix), initial=0)) or 1.0
    options = {"cmap": "viridis", "vmin": 0, "vmax": limit}
    if signed:
        options = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    side = 3 + 0.22 * len(names)
    with figure(path) as axes:
        axes.figure.set_size_inches(max(6, side + 1), max(4.5, side))
        image = axes.imshow(matrix, **options)
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize="small")
        axes.set_yticks(range(len(names)), names, fontsize="small")
        axes.set(title=title, ylabel=labels[0], xlabel=labels[1])
        axes.figure.colorbar(image, label=scale)
