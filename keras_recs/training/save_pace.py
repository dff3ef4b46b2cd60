"""When it is time for a checkpoint."""

from __future__ import annotations

import math
import time

# A save pauses training, and writing takes a core from it: at most so much of its time.
_PAUSE_SHARE, _WRITE_SHARE = 0.01, 0.03


class SavePace:
    """Counts steps and seconds since the last checkpoint.

    Args:
        every_seconds: float. Least time between two of them within an epoch. Where they
            cost more than a few percent of the time, they come less often. Infinity:
            never.
        every_steps: int. Save after so many steps in the place of that, whatever it
            costs. Defaults to `None`.

    Attributes:
        every_steps: int or `None`.
        write_seconds: float. What the last file took to be written.
    """

    def __init__(self, every_seconds: float, every_steps: int | None = None):
        if not every_seconds > 0:
            raise ValueError(
                "`checkpoint_seconds` must be above 0. Received: "
                f"checkpoint_seconds={every_seconds!r}"
            )
        if every_steps is not None and (
            not isinstance(every_steps, int) or every_steps < 1
        ):
            raise ValueError(
                "`checkpoint_steps` must be a positive integer or None. Received: "
                f"checkpoint_steps={every_steps!r}"
            )
        self.every_steps = every_steps
        self.write_seconds = 0.0
        self._every_seconds = every_seconds
        self._pause = 0.0
        self.restart()

    def restart(self, pause_seconds: float | None = None) -> None:
        """Begins to count anew, after a save that paused training for so long."""
        if pause_seconds is not None:
            self._pause = pause_seconds
        self._last = time.monotonic()
        self._steps = 0

    def is_due(self, num_steps: int) -> bool:
        """Whether it is time, after some more steps."""
        self._steps += num_steps
        if self.every_steps is not None:
            return self._steps >= self.every_steps
        return self._is_time(self._every_seconds)

    def is_due_after_epoch(self) -> bool:
        """Whether it is time, or a save costs little beside the time since the last."""
        if self.every_steps is not None:
            return self._steps >= self.every_steps
        return not math.isinf(self._every_seconds) and self._is_time(0.0)

    def _is_time(self, seconds: float) -> bool:
        enough = max(
            seconds, self._pause / _PAUSE_SHARE, self.write_seconds / _WRITE_SHARE
        )
        return time.monotonic() - self._last >= enough
