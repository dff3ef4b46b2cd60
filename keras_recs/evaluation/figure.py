"""A figure that becomes a file."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def figure(path: str | os.PathLike, **options: Any) -> Iterator[Any]:
    """Yields the axes of a new figure and writes it as PNG, whole or not at all.

    It draws without a display and leaves the global state of matplotlib alone.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(6, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(drawing)
    yield drawing.subplots(**options)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    drawing.savefig(temporary, format="png")
    os.replace(temporary, path)
