"""What a run directory says of its configuration."""

import json
from pathlib import Path
from typing import Any


def stored_config(workdir: Path) -> dict[str, Any]:
    """The arguments of `Config` of a run, or nothing of a folder without them."""
    path = workdir / "config.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
