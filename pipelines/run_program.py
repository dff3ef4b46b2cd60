"""Runs a program; a user's error is one line, not a traceback."""

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
    """
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
