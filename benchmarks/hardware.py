"""What a figure was measured on."""

import datetime
import os
import platform
import sys
from typing import Any


def hardware() -> dict[str, Any]:
    """Processor, cores, memory, versions, command and date of this process."""
    import keras
    import tensorflow as tf

    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line for line in file if line.startswith("model name")]
            model = names[0].partition(":")[2].strip() if names else model
    except OSError:
        pass
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "memory_gb": round(pages / 2**30, 1),
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "command": "python -m " + " ".join([_module_name(), *sys.argv[1:]]),
        "date": datetime.date.today().isoformat(),
    }


def _module_name() -> str:
    """Of the program, as `python -m` takes it."""
    spec = sys.modules["__main__"].__spec__
    if spec is None:  # not begun by `-m`
        return "benchmarks." + os.path.splitext(os.path.basename(sys.argv[0]))[0]
    return spec.name.removesuffix(".__main__")
