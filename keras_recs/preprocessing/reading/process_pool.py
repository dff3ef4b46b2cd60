"""Work on a stream of items in several processes, results in the items' order."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any


class WorkerError(RuntimeError):
    """A worker process failed or was ended."""


class ProcessPool:
    """Applies a task to items in worker processes.

    A task is a picklable object: it is copied into each worker, called once for an
    item, and may keep state there that its `finish` returns at the end.

    The workers are fresh interpreters that import this package only, not the caller's
    main module: a script needs no `if __name__ == "__main__"`, and what it has loaded
    (TensorFlow, data) is not loaded again. They end with the parent, however it ends.

    Args:
        num_processes: int. Workers. `1` works in this process. Defaults to the number
            of usable CPUs, at most 16.

    Raises:
        ValueError: if `num_processes` is not a positive integer.
    """

    def __init__(self, num_processes: int | None = None):
        if num_processes is None:
            num_processes = min(usable_cpus(), 16)
        if (
            not isinstance(num_processes, int)
            or isinstance(num_processes, bool)
            or num_processes < 1
        ):
            raise ValueError(
                "`num_processes` must be a positive integer. Received: "
                f"num_processes={num_processes!r}"
            )
        self.num_processes = num_processes
        self._workers: list[_Worker] = []

    def __enter__(self) -> ProcessPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(
        self, task: Any, items: Iterable[Any], finals: list[Any] | None = None
    ) -> Iterator[Any]:
        """Yields `task(item)` in the order of the items.

        Items are taken only as fast as results are asked for, so that no more than
        three a worker are in memory.

        Args:
            task: picklable callable; may have `start()` and `finish()`.
            items: iterable of picklable items.
            finals: list to which each worker's `finish()` is appended at the end.

        Raises:
            WorkerError: if a worker is ended from outside.
            ValueError, OSError: those of the task.
        """
        if self.num_processes == 1:
            yield from self._run_here(task, items, finals)
            return
        try:
            yield from self._run_there(task, items, finals)
        except BaseException:
            self.close()  # whatever they are at
            raise

    def close(self) -> None:
        """Ends the workers at once."""
        for worker in self._workers:
            worker.close()
        self._workers = []

    @staticmethod
    def _run_here(task: Any, items: Iterable[Any], finals: list[Any] | None):
        _method(task, "start")()
        for item in items:
            yield task(item)
        final = _method(task, "finish")()
        if finals is not None:
            finals.append(final)

    def _run_there(self, task: Any, items: Iterable[Any], finals: list[Any] | None):
        while len(self._workers) < self.num_processes:
            self._workers.append(_Worker())
        for worker in self._workers:
            worker.send("task", task)
        source = iter(items)
        idle = deque(self._workers)
        busy: dict[Connection, tuple[_Worker, int]] = {}
        results: dict[int, Any] = {}
        taken = given = 0
        exhausted = False
        while True:
            while idle and not exhausted and taken - given < 3 * len(self._workers):
                try:
                    item = next(source)
                except StopIteration:
                    exhausted = True
                    break
                worker = idle.popleft()
                worker.send("item", item)
                busy[worker.answers] = (worker, taken)
                taken += 1
            while given in results:
                yield results.pop(given)
                given += 1
            if exhausted and not busy:
                break
            if not idle or exhausted or taken - given >= 3 * len(self._workers):
                for connection in wait(list(busy)):
                    worker, number = busy.pop(connection)  # type: ignore[call-overload]
                    results[number] = worker.receive()
                    idle.append(worker)
        for worker in self._workers:
            worker.send("finish", None)
            final = worker.receive()
            if finals is not None:
                finals.append(final)


def usable_cpus() -> int:
    """CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _method(task: Any, name: str) -> Callable[[], Any]:
    return getattr(task, name, lambda: None)


class _Worker:
    """A worker process, seen from the parent."""

    def __init__(self) -> None:
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        task_end, requests = os.pipe()
        answers, answer_end = os.pipe()
        self.requests = Connection(requests, readable=False)
        self.answers = Connection(answers, writable=False)
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", _COMMAND],
                stdin=task_end,
                stdout=answer_end,
                env={
                    **os.environ,
                    "PYTHONPATH": path,
                    "KERAS_RECS_WITHOUT_KERAS": "1",
                },
            )
        finally:
            os.close(task_end)
            os.close(answer_end)

    def send(self, kind: str, value: Any) -> None:
        try:
            self.requests.send((kind, value))
        except (BrokenPipeError, ConnectionError):
            self.receive()  # says why
            raise

    def receive(self) -> Any:
        try:
            kind, value = self.answers.recv()
        except (EOFError, ConnectionError):
            code = self.process.wait()
            raise WorkerError(
                f"A worker process was ended with exit code {code}"
                + (", perhaps for want of memory." if code == -9 else ".")
            ) from None
        if kind == "error":
            error, trace = value
            error.add_note(f"In a worker process:\n{trace}")
            raise error
        return value

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.requests.close()
        self.answers.close()


_COMMAND = "from keras_recs.preprocessing.reading.process_pool import serve; serve()"


def serve() -> None:
    """What a worker does: tasks from the standard input until it ends."""
    import signal

    import pyarrow as pa

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    requests = Connection(os.dup(0), writable=False)
    answers = Connection(os.dup(1), readable=False)
    os.dup2(2, 1)  # what anybody prints must not disturb the answers
    task = None
    while True:
        try:
            kind, value = requests.recv()
        except EOFError:
            return
        try:
            if kind == "task":
                task = value
                _method(task, "start")()
                continue
            answer = task(value) if kind == "item" else _method(task, "finish")()  # type: ignore[misc]
        except Exception as error:
            known = isinstance(error, (ValueError, OSError))
            shown = error if known else WorkerError(f"{type(error).__name__}: {error}")
            answers.send(("error", (shown, traceback.format_exc())))
            return
        try:
            answers.send(("answer", answer))
        except (BrokenPipeError, ConnectionError):
            return
