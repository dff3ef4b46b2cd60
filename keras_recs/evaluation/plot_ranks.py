"""Where what came next stands in the catalogue."""

import os

import numpy as np

from keras_recs.evaluation.figure import figure
from keras_recs.evaluation.ranking.bootstrap_interval import bootstrap_interval
from keras_recs.evaluation.ranking.ranking_values import ranking_values


def plot_ranks(
    ranks, path: str | os.PathLike, title: str = "", most: int = 100
) -> None:
    """Draws hit rate and NDCG by the length of a list, and writes a PNG.

    The bands are 95% bootstrap intervals over users.

    Args:
        ranks: `(U,)` integers from 1, as `next_item_ranks` gives them.
        path: file that is written.
        title: string. Defaults to `""`.
        most: int. Longest list. Defaults to `100`.
    """
    ks = np.unique(np.geomspace(1, most, 15).round().astype(int)).tolist()
    values = ranking_values(ranks, ks)
    with figure(path) as axes:
        for metric, label in (("hit_rate", "hit rate"), ("ndcg", "NDCG")):
            found = [values[f"{metric}@{k}"] for k in ks]
            (line,) = axes.plot(ks, [v.mean() for v in found], "o-", label=label)
            low, high = zip(*(bootstrap_interval(v) for v in found), strict=True)
            axes.fill_between(ks, low, high, alpha=0.2, color=line.get_color())
        axes.set(xscale="log", xlabel="k", ylabel="at k", title=title, ylim=(0, None))
        axes.grid(linewidth=0.3)
        axes.legend()
