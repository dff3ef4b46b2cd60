"""Threads that run requests beside the event loop."""

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from grpc import StatusCode

from serving.errors import ServingError

_T = TypeVar("_T")


class RequestPool:
    """Runs the blocking part of requests: decode, compute, encode.

    Args:
        num_threads: int. Requests computed at once; TensorFlow releases Python's lock
            meanwhile.
        max_pending: int. Requests running or waiting; one more is refused, because a
            queue that only grows answers nobody in time.
    """

    def __init__(self, num_threads: int, max_pending: int):
        self._threads = concurrent.futures.ThreadPoolExecutor(
            num_threads, thread_name_prefix="request"
        )
        self._max_pending = max_pending
        self._pending = 0
        self._lock = threading.Lock()

    async def run(
        self,
        function: Callable[..., _T],
        *args: Any,
        timeout: float | None = None,
    ) -> _T:
        """Runs `function(*args)` in a thread and returns its result.

        Args:
            function: callable.
            *args: its arguments.
            timeout: optional float. Seconds after which the caller is told so; a
                request that already runs keeps its thread until it is done.

        Raises:
            ServingError: RESOURCE_EXHAUSTED if the queue is full, DEADLINE_EXCEEDED
                after `timeout`; otherwise what `function` raised, as `ServingError`.
        """
        with self._lock:
            if self._pending >= self._max_pending:
                raise ServingError(
                    StatusCode.RESOURCE_EXHAUSTED,
                    f"The server's queue of {self._max_pending} requests is full.",
                )
            self._pending += 1
        future = self._threads.submit(function, *args)
        future.add_done_callback(self._done)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), timeout)
        except TimeoutError as error:
            if future.done() and not future.cancelled():
                raise ServingError.of(error) from error
            raise ServingError(
                StatusCode.DEADLINE_EXCEEDED,
                f"The request took more than {timeout} seconds.",
            ) from error
        except Exception as error:
            raise ServingError.of(error) from error

    def close(self) -> None:
        """Waits for running requests and ends the threads."""
        self._threads.shutdown(cancel_futures=True)

    def _done(self, _: Any) -> None:
        with self._lock:
            self._pending -= 1
