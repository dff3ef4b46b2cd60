"""Results of several processes, a line of JSON each."""

import json
from pathlib import Path


def result_lines(folder: Path, name: str) -> list[dict]:
    """All finished runs in a folder, those of other processes too."""
    found = []
    for path in sorted(folder.glob(f"{name}.*")):
        text = path.read_text(encoding="utf-8")
        found += [json.loads(line) for line in text.splitlines()]
    return found
