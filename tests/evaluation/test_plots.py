"""Pictures: a whole PNG, no display, nothing global."""

import struct

import numpy as np
import pytest

from keras_recs.evaluation import (
    plot_ranks,
    plot_reliability,
    plot_roc,
    plot_training_curves,
)
from keras_recs.evaluation.figure import figure

Y = np.array([0, 1, 0, 1, 1, 0])
P = np.array([0.1, 0.8, 0.3, 0.4, 0.9, 0.4])
NAN = float("nan")


def check_png(path):
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    assert width > 300
    assert height > 300
    assert data[-8:-4] == b"IEND"
    assert [p.name for p in path.parent.iterdir()] == [path.name], "a file is left"


@pytest.mark.parametrize("plot", [plot_roc, plot_reliability])
@pytest.mark.parametrize(
    ("y", "p"),
    [
        (Y, P),
        (Y.tolist(), P.tolist()),
        (Y * 0, P),
        (Y, P * 0),
        (Y, [NAN, *P[1:]]),
        (Y, [NAN] * 6),
    ],
    ids=["arrays", "lists", "one class", "ties", "a NaN", "all NaN"],
)
def test_curves(tmp_path, plot, y, p):
    path = tmp_path / "new" / "folder" / "plot.png"
    plot(y, p, path, "a title")
    check_png(path)
    plot(y, p, path)  # again, over the first
    check_png(path)


def test_the_roc_curve_is_that_of_the_auc(tmp_path, monkeypatch):
    """The area under the drawn points is the AUC in the legend."""
    import matplotlib.axes

    lines = []
    draw = matplotlib.axes.Axes.plot
    monkeypatch.setattr(
        matplotlib.axes.Axes,
        "plot",
        lambda self, x, y, *rest, **options: (
            lines.append((x, y, options)),
            draw(self, x, y, *rest, **options),
        )[1],
    )
    plot_roc(Y, P, tmp_path / "roc.png")
    x, y, options = lines[0]
    area = sum((b - a) * (c + d) / 2 for a, b, c, d in zip(x, x[1:], y, y[1:]))
    assert options["label"] == f"AUC {area:.4f}"
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)


def test_ranks(tmp_path):
    path = tmp_path / "plots" / "ranks.png"
    plot_ranks([1, 3, 12, 900, 2], path, "a title")
    check_png(path)


def test_training_curves(tmp_path):
    history = tmp_path / "history.csv"
    path = tmp_path / "plots" / "training.png"
    for text in (
        "epoch,loss,val_click_auc,val_click_log_loss\n0,0.7,0.5,0.7\n1,0.6,0.7,0.65\n",
        "epoch,loss,val_buy_auc\n0,0.7,\n1,nan,0.5\n",
        "epoch,loss\n",
        "",
    ):
        history.write_text(text)
        plot_training_curves(history, path, "title")
        check_png(path)


def test_a_failure_leaves_no_file(tmp_path):
    with pytest.raises(RuntimeError), figure(tmp_path / "plot.png"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_no_global_state(tmp_path):
    import matplotlib
    from matplotlib import pyplot

    settings, figures = dict(matplotlib.rcParams), pyplot.get_fignums()
    plot_roc(Y, P, tmp_path / "plot.png")
    assert dict(matplotlib.rcParams) == settings
    assert pyplot.get_fignums() == figures
