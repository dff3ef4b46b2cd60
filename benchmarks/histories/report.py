"""Table of the models over histories."""

import json
import statistics
from pathlib import Path

from benchmarks.histories.settings import SETTINGS


def read_lines(folder: Path) -> list[dict]:
    """All finished runs, those of other processes too."""
    texts = [p.read_text(encoding="utf-8") for p in sorted(folder.glob("histories.*"))]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def markdown_table(lines: list[dict]) -> list[str]:
    """A row a model and data set, of the runs with its present setting."""
    table = [
        "| data | model | runs | GAUC | AUC | epochs | seconds |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for data, models in SETTINGS.items():
        for model, setting in models.items():
            own = json.loads(json.dumps(setting))
            key = (data, model, own)
            mine = [
                line
                for line in lines
                if (line["data"], line["model"], line["setting"]) == key
            ]
            if not mine:
                continue
            cells = [data, f"`{model}`", len(mine)]
            for metric in ("gauc", "auc"):
                values = [line[metric] for line in mine]
                spread = statistics.stdev(values) if len(values) > 1 else 0.0
                cells.append(f"{statistics.mean(values):.4f} ± {spread:.4f}")
            for metric in ("epochs", "seconds"):
                cells.append(f"{statistics.mean(line[metric] for line in mine):.0f}")
            table.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return table
