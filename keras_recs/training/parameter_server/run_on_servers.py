"""The chief's loop: workers train chunks, the chief does all the rest."""

from __future__ import annotations

import contextlib
import re
import signal
import time
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from keras_recs.data.record_source import Chunk
from keras_recs.training.non_finite_step import NonFiniteStep
from keras_recs.training.parameter_server.check_trainable import (
    check_trainable,
    source_of,
)
from keras_recs.training.parameter_server.chunk_function import (
    chunk_arguments,
    chunk_function,
)
from keras_recs.training.parameter_server.finite_chunks import MARK, FiniteChunks
from keras_recs.training.parameter_server.progress import Progress
from keras_recs.training.parameter_server.server_recovery import (
    ServerPosition,
    ServerRecovery,
)
from keras_recs.training.parameter_server.server_watch import ServerWatch
from keras_recs.training.run_epochs import build, remembering
from keras_recs.training.stop_requests import stop_requests

_POLL = 0.05  # seconds
_LOGS_SECONDS = 1.0  # between two looks at the metrics
_QUEUED = 2  # chunks a worker, so that none waits for the chief


def run_on_servers(
    model: keras.Model,
    train: Any,
    recovery: ServerRecovery,
    on_nonfinite: str,
    *,
    epochs: int,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
    round_steps: int | None = None,
) -> keras.callbacks.History:
    """What `run_epochs` does, by the workers of a ParameterServerStrategy.

    The callbacks of an epoch run when all its steps are done; those of a batch hear of
    the last one that was done every now and then.

    Args:
        model: compiled `keras.Model`, made in the strategy's scope.
        train: of `tfrecord_dataset`.
        recovery: saves, and knows where to begin.
        on_nonfinite: `"stop"`, `"skip"` or `"ignore"`.
        epochs: int.
        callbacks: Keras callbacks.
        verbose: as in `model.fit`. Defaults to `"auto"`.
        round_steps: int. Steps of a round, which all end before the next one begins, so
            that no gradient is older than that. Defaults to `None`: no rounds.

    Returns:
        `keras.callbacks.History` of all epochs, those of earlier clusters too.

    Raises:
        ValueError: for data or a model that cannot be trained so. `NonFiniteStep` for
            gradients that are not finite.
        ConnectionError: when a parameter server is lost; the same call goes on.
        SystemExit: after SIGTERM; the same call goes on.
    """
    source = source_of(train)
    check_trainable(model, round_steps)
    strategy = model.distribute_strategy
    import tensorflow as tf

    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    with strategy.scope():
        build(model, train)
    if hasattr(strategy, "placement"):  # else it is not of `make_strategy`
        strategy.placement.check(model)
    with _lost_servers(coordinator):
        calls = keras.callbacks.CallbackList(
            list(callbacks),
            add_history=True,
            add_progbar=verbose != 0,
            verbose=verbose,
            epochs=epochs,
            steps=_num_steps(source.chunks(strategy.extended._num_workers)),
            model=model,
        )
        model.stop_training = False
        calls.on_train_begin()
        position = recovery.begin(model, remembering(calls))
        num_workers = position.num_workers or strategy.extended._num_workers
        chunks = source.chunks(num_workers)
        progress = Progress(len(chunks))
        finite = FiniteChunks(on_nonfinite, progress.add_skipped)
        function = chunk_function(model, strategy, source, progress, finite)
        job = _Job(
            model, coordinator, function, chunks, progress, recovery, calls, round_steps
        )
        job.num_workers, job.skipped_before = num_workers, position.skipped
        job.shuffle, job.seed = source.shuffle, source.seed
        with stop_requests() as request, recovery.finished_at_last():
            while position.epoch < epochs and not model.stop_training:
                position = job.run_epoch(position, request)
                if position.epoch < epochs and not model.stop_training:
                    if request.received:
                        job.leave(position)
                    recovery.after_epoch(position)
        model.optimizer.finalize_variable_values(model.trainable_variables)
        calls.on_train_end(job.logs)
    return model.history


class _Job:
    """Epochs of chunks, on the workers of a coordinator."""

    num_workers, skipped_before = 1, 0
    shuffle, seed = False, 0

    def __init__(
        self,
        model: keras.Model,
        coordinator: Any,
        function: Any,
        chunks: list[Chunk],
        progress: Progress,
        recovery: ServerRecovery,
        calls: keras.callbacks.CallbackList,
        round_steps: int | None,
    ):
        self.model, self.coordinator, self.function = model, coordinator, function
        self.chunks, self.progress, self.recovery = chunks, progress, recovery
        self.calls, self.round_steps = calls, round_steps
        resolver = model.distribute_strategy._cluster_resolver
        self.watch = ServerWatch(resolver.cluster_spec().as_dict()["ps"])
        self.steps = np.array([chunk.num_steps for chunk in chunks], "int64")
        self.logs: dict[str, Any] = {}
        calls.set_params({**calls.params, "steps": _num_steps(chunks)})

    def run_epoch(self, position: ServerPosition, request: Any) -> ServerPosition:
        """Trains what is left of an epoch."""
        epoch, model = position.epoch, self.model
        self._told, self._looked = 0, 0.0
        if not self.recovery.resumes_epoch:
            model.reset_metrics()
        self.calls.on_epoch_begin(epoch)
        self.recovery.begin_epoch()
        done = np.array(position.done or np.zeros(len(self.chunks)), "int64")
        self.progress.write(done)
        while (done < self.steps).any() and not model.stop_training:
            done = self._run_some(epoch, done, request)
            if (done >= self.steps).all():
                break
            if request.received:
                self.leave(self._position(epoch, done))
        self.logs = dict(model.get_metrics_result())
        skipped = self.progress.skipped() + self.skipped_before
        if skipped:
            self.logs["skipped_steps"] = skipped
        self.calls.on_epoch_end(epoch, self.logs)
        return self._position(epoch + 1)

    def leave(self, position: ServerPosition) -> None:
        """Saves and ends the process."""
        self.recovery.save(position)
        raise SystemExit(128 + signal.SIGTERM)

    def _run_some(self, epoch: int, done: np.ndarray, request: Any) -> np.ndarray:
        """Trains until the epoch, or a round, is through or a checkpoint is due."""
        queue = self._queue(epoch, done)
        goal = self.steps
        if self.round_steps is not None:
            goal = done.copy()
            for number, limit in queue:
                goal[number] = min(self.steps[number], done[number] + limit)
        scheduled: list[int] = []
        while True:
            self.watch.look()
            now = self.progress.read()
            self._tell(now)
            is_due = self.recovery.is_due(int((now - done).sum()))
            done = now
            if self.model.stop_training or request.received or is_due:
                return self._pause(epoch, is_due and not request.received)
            open_ones = sum(done[number] < goal[number] for number in scheduled)
            while queue and open_ones < _QUEUED * self.num_workers:
                number, limit = queue.pop(0)
                arguments = chunk_arguments(self.chunks[number], number, epoch, limit)
                self.coordinator.schedule(self.function, args=arguments)
                scheduled.append(number)
                open_ones += 1
            if not queue and self.coordinator.done():
                now = self.progress.read()
                self.recovery.is_due(int((now - done).sum()))
                self._tell(now)
                return now
            time.sleep(_POLL)

    def _queue(self, epoch: int, done: np.ndarray) -> list[tuple[int, int]]:
        """Numbers of chunks that are not through, and the steps that each may take."""
        order = np.arange(len(done))
        if self.shuffle:
            order = np.random.default_rng([self.seed, epoch]).permutation(order)
        left = [int(number) for number in order if done[number] < self.steps[number]]
        if self.round_steps is None:
            return [(number, int(self.steps[number])) for number in left]
        left = left[: min(self.num_workers, self.round_steps)]
        share, more = divmod(self.round_steps, len(left))
        return [(number, share + (i < more)) for i, number in enumerate(left)]

    def _pause(self, epoch: int, save: bool) -> np.ndarray:
        """All workers return after a step, and the state between them is saved."""
        start = time.monotonic()
        self.progress.pause(True)
        while not self.coordinator.done():
            self.watch.look()
            time.sleep(_POLL / 10)
        done = self.progress.read()
        self._tell(done)
        if save and (done < self.steps).any():
            self.recovery.save(self._position(epoch, done), start)
        self.progress.pause(False)
        return done

    def _position(self, epoch: int, done: np.ndarray | None = None) -> ServerPosition:
        return ServerPosition(
            epoch,
            () if done is None else tuple(int(n) for n in done),
            self.num_workers,
            self.progress.skipped() + self.skipped_before,
        )

    def _tell(self, done: np.ndarray) -> None:
        """Callbacks hear of the batches that are done."""
        count = int(done.sum())
        if count <= self._told:
            return
        self.calls.on_train_batch_begin(self._told)
        if time.monotonic() - self._looked > _LOGS_SECONDS:
            self.logs = dict(self.model.get_metrics_result())
            self._looked = time.monotonic()
        self._told = count
        self.calls.on_train_batch_end(count - 1, self.logs)


def _num_steps(chunks: list[Chunk]) -> int:
    return sum(chunk.num_steps for chunk in chunks)


@contextlib.contextmanager
def _lost_servers(coordinator: Any) -> Iterator[None]:
    """Says what TensorFlow's error of a lost server means, and tidies up."""
    import tensorflow as tf

    try:
        yield
    except (
        ConnectionError,
        tf.errors.UnavailableError,
        tf.errors.AbortedError,
    ) as error:
        _let_go(coordinator)
        raise ConnectionError(
            "A parameter server was lost. Start all processes again: the same call "
            f"goes on from the last checkpoint. ({str(error)[:300]})"
        ) from None
    except tf.errors.InvalidArgumentError as error:
        _let_go(coordinator)
        if MARK not in error.message:
            raise
        found = re.search(r"assertion failed: \[(.*?\.)\]\s", error.message)
        said = _plain(found[1] if found else error.message)
        raise NonFiniteStep(
            f"{said} Nothing of the step was applied. Mend the data or lower the "
            "learning rate; on_nonfinite='skip' leaves such batches out."
        ) from None
    except BaseException:
        _let_go(coordinator)
        raise


def _plain(text: str) -> str:
    """Without what TensorFlow puts before quotes."""
    return text.replace("\\'", "'").replace('\\"', '"')


def _let_go(coordinator: Any) -> None:
    """Keeps its destructor from waiting for workers that will not answer."""
    coordinator._cluster.stop = lambda: None
