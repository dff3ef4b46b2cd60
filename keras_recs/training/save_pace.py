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
        is_early: bool. Whether steps also pass while a checkpoint is written and while
            training comes to its pause. A save then begins as many steps earlier, so
            that no more than `every_steps` lie between what is on the disk and now.
            Until both were seen, and at the earliest, that is after a quarter of them.
            Defaults to `False`.

    Attributes:
        every_steps: int or `None`.
        write_seconds: float. What the last file took to be written.
    """

    def __init__(
        self,
        every_seconds: float,
        every_steps: int | None = None,
        is_early: bool = False,
    ):
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
        self._is_early = is_early
        self._steps_of_write: int | None = None  # the most that were seen
        self._steps_of_pause: int | None = None  # too
        self._is_writing = False
        self._steps = 0
        self._due_at: int | None = None
        self.restart()

    def restart(self, pause_seconds: float | None = None) -> None:
        """Begins to count anew, after a save that paused training for so long."""
        if pause_seconds is not None:
            self._pause = pause_seconds
            self._is_writing = True
        if self._due_at is not None:
            over = self._steps - self._due_at
            self._steps_of_pause = max(self._steps_of_pause or 0, over)
        self._last = time.monotonic()
        self._steps, self._due_at = 0, None

    def count(self, num_steps: int, is_writing: bool = False) -> None:
        """Counts some more steps.

        Args:
            num_steps: int.
            is_writing: bool. Whether the last checkpoint is still being written.
        """
        self._steps += num_steps
        if self._is_writing and not is_writing:
            self._steps_of_write = max(self._steps_of_write or 0, self._steps)
        self._is_writing = is_writing

    def is_due(self) -> bool:
        """Whether it is time."""
        if self.every_steps is None:
            return self._is_time(self._every_seconds)
        threshold = self._threshold()
        if self._steps < threshold:
            return False
        self._due_at = self._due_at or threshold
        return True

    def is_due_after_epoch(self) -> bool:
        """Whether it is time, or a save costs little beside the time since the last."""
        if self.every_steps is not None:
            return self.is_due()
        return not math.isinf(self._every_seconds) and self._is_time(0.0)

    def _threshold(self) -> int:
        """Steps after which a save begins."""
        most = self.every_steps or 1
        if not self._is_early:
            return most
        write, pause = self._steps_of_write, self._steps_of_pause
        write = most if write is None or self._is_writing else write
        pause = most if pause is None else pause
        # With half of them, a write may last until the next save, which waits for it.
        return max(1, most - min(write, -(-most // 2)) - min(pause, most // 4))

    def _is_time(self, seconds: float) -> bool:
        enough = max(
            seconds, self._pause / _PAUSE_SHARE, self.write_seconds / _WRITE_SHARE
        )
        return time.monotonic() - self._last >= enough
