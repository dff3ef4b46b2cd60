"""Runs a program; a user's error is one line, not a traceback."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from absl import app


def run_program(main: Callable[[list[str]], None]) -> None:
    """Parses the flags and runs `main`.

    A `ValueError`, `OSError` or `RuntimeError`, which the library raises for what a
    user can mend, ends the program with its message and exit status 1; with
    `--verbosity=1` its traceback is shown. An interruption ends it with exit status
    130, as shells have it.

    By itself TensorFlow multiplies by oneDNN on some processors alone; on the others a
    step of a model of sequences takes twice the time. A program does it everywhere,
    unless `TF_ENABLE_ONEDNN_OPTS` says no.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # before it is imported
    name = Path(sys.argv[0]).stem

    def guarded(arguments: list[str]) -> None:
        try:
            main(arguments)
        except (ValueError, OSError, RuntimeError) as error:
            from absl import logging

            if logging.level_debug():
                raise
            sys.exit(f"{name}: {error}")
        except KeyboardInterrupt:
            print(f"{name}: interrupted; the same command goes on", file=sys.stderr)
            sys.exit(130)

    app.run(guarded)
