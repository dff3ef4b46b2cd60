"""The chief's loop: workers train chunks, the chief does all the rest."""

from __future__ import annotations

import contextlib
import logging
import re
import signal
import time
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from keras_recs.data.record_source import RecordSource
from keras_recs.training.non_finite_step import NonFiniteStep
from keras_recs.training.parameter_server.chunk_function import (
    chunk_arguments,
    chunk_function,
)
from keras_recs.training.parameter_server.finite_chunks import MARK, FiniteChunks
from keras_recs.training.parameter_server.lost_servers import is_lost, lost_servers
from keras_recs.training.parameter_server.progress import Progress
from keras_recs.training.parameter_server.server_recovery import (
    ServerPosition,
    ServerRecovery,
)
from keras_recs.training.parameter_server.server_watch import ServerWatch
from keras_recs.training.parameter_server.source_of import source_of
from keras_recs.training.run_epochs import remembering
from keras_recs.training.stop_requests import stop_requests

_logger = logging.getLogger(__name__)
_POLL = 0.05  # seconds
_LEAVE_SECONDS = 20.0  # to return after SIGTERM; Kubernetes kills after 30
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
        model: `keras.Model` that `prepare` got.
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
        ValueError: for a checkpoint of another run; `NonFiniteStep` for gradients that
            are not finite.
        ConnectionError: when a parameter server is lost; the same call goes on.
        SystemExit: after SIGTERM; the same call goes on.
    """
    import tensorflow as tf

    source = source_of(train)
    strategy = model.distribute_strategy
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    with _tidy(coordinator), lost_servers():
        calls = keras.callbacks.CallbackList(
            list(callbacks),
            add_history=True,
            add_progbar=verbose != 0,
            verbose=verbose,
            epochs=epochs,
            steps=sum(
                c.num_steps for c in source.chunks(strategy.extended._num_workers)
            ),
            model=model,
        )
        model.stop_training = False
        calls.on_train_begin()
        position = recovery.begin(model, remembering(calls))
        job = _Job(
            model,
            coordinator,
            source,
            position,
            recovery,
            calls,
            round_steps,
            on_nonfinite,
        )
        with (
            stop_requests() as request,
            recovery.finished_at_last(),
            job.stopped_at_last(),
        ):
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
    """Epochs of chunks, on the workers of a coordinator.

    Attributes:
        logs: dict. What the callbacks heard last.
    """

    def __init__(
        self,
        model: keras.Model,
        coordinator: Any,
        source: RecordSource,
        position: ServerPosition,
        recovery: ServerRecovery,
        calls: keras.callbacks.CallbackList,
        round_steps: int | None,
        on_nonfinite: str,
    ):
        self.model, self.coordinator, self.source = model, coordinator, source
        self.recovery, self.calls, self.round_steps = recovery, calls, round_steps
        strategy = model.distribute_strategy
        # Those of now; the chunks are those of the cluster that began the run.
        self.num_workers = strategy.extended._num_workers
        self.planned_workers = position.num_workers or self.num_workers
        self.skipped_before = position.skipped
        source.tell_shares(self.num_workers)
        self.chunks = source.chunks(self.planned_workers)
        if position.done and len(position.done) != len(self.chunks):
            raise ValueError(
                f"The checkpoint is of a run with {len(position.done)} chunks of data, "
                f"and here are {len(self.chunks)}. Give the files of that run, or "
                f"remove '{recovery.checkpoints.folder}' to start anew."
            )
        self.steps = np.array([chunk.num_steps for chunk in self.chunks], "int64")
        self.progress = Progress(len(self.chunks))
        finite = FiniteChunks(on_nonfinite, self.progress.add_skipped)
        self.function = chunk_function(model, strategy, source, self.progress, finite)
        cluster = strategy._cluster_resolver.cluster_spec().as_dict()
        self.watch = ServerWatch(cluster["ps"])
        self.logs: dict[str, Any] = {}
        calls.set_params({**calls.params, "steps": int(self.steps.sum())})

    def run_epoch(self, position: ServerPosition, request: Any) -> ServerPosition:
        """Trains what is left of an epoch."""
        epoch, model = position.epoch, self.model
        done = np.array(position.done or np.zeros(len(self.chunks)), "int64")
        self._told, self._looked = int(done.sum()), 0.0
        if not self.recovery.resumes_epoch:
            model.reset_metrics()
        self.calls.on_epoch_begin(epoch)
        self.recovery.begin_epoch()
        self.progress.begin(epoch, done)
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

    @contextlib.contextmanager
    def stopped_at_last(self) -> Iterator[None]:
        """Has the workers return where the block fails on this side.

        They would go on, and push to what the next call makes of the servers.
        """
        try:
            yield
        except SystemExit:
            raise  # they have, or do not answer
        except BaseException as error:
            if not is_lost(error) and not self._all_returned():
                _logger.warning("Workers go on with what they had. Start them again.")
            raise

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
            self.recovery.count(int((now - done).sum()))
            done = now
            is_due = self.recovery.is_due()
            if self.model.stop_training or request.received or is_due:
                return self._pause(epoch, done, is_due, request)
            open_ones = sum(done[number] < goal[number] for number in scheduled)
            while queue and open_ones < _QUEUED * self.num_workers:
                number, limit = queue.pop(0)
                arguments = chunk_arguments(self.chunks[number], number, epoch, limit)
                self.coordinator.schedule(self.function, args=arguments)
                scheduled.append(number)
                open_ones += 1
            if not queue and self.coordinator.done():
                now = self.progress.read()
                self.recovery.count(int((now - done).sum()))
                self._tell(now)
                return now
            time.sleep(_POLL)

    def _queue(self, epoch: int, done: np.ndarray) -> list[tuple[int, int]]:
        """Numbers of chunks that are not through, and the steps that each may take."""
        order = np.arange(len(done))
        if self.source.shuffle:
            order = np.random.default_rng([self.source.seed, epoch]).permutation(order)
        left = [int(number) for number in order if done[number] < self.steps[number]]
        if self.round_steps is None:
            return [(number, int(self.steps[number])) for number in left]
        left = left[: min(self.num_workers, self.round_steps)]
        share, more = divmod(self.round_steps, len(left))
        return [(number, share + (i < more)) for i, number in enumerate(left)]

    def _pause(
        self, epoch: int, before: np.ndarray, save: bool, request: Any
    ) -> np.ndarray:
        """All workers return after a step, and the state between them is saved."""
        start = time.monotonic()
        while not self._await_pause(_LEAVE_SECONDS):
            if request.received:
                _logger.warning(
                    "A worker did not return within %d seconds: the process ends, and "
                    "what was trained since the last checkpoint is lost.",
                    _LEAVE_SECONDS,
                )
                raise SystemExit(128 + signal.SIGTERM)
        done = self.progress.read()
        self.recovery.count(int((done - before).sum()))
        self._tell(done)
        if save and not request.received and (done < self.steps).any():
            self.recovery.save(self._position(epoch, done), start)
        self.progress.pause(False)
        return done

    def _await_pause(self, seconds: float) -> bool:
        """Asks the workers to return; whether all did within so many seconds."""
        end = time.monotonic() + seconds
        self.progress.pause(True)
        while not self.coordinator.done():
            self.watch.look()
            if time.monotonic() > end:
                return False
            time.sleep(_POLL / 10)
        return True

    def _all_returned(self) -> bool:
        """`_await_pause`, whatever goes wrong with the workers' steps meanwhile."""
        import tensorflow as tf

        for _ in range(self.num_workers):
            with contextlib.suppress(tf.errors.OpError):
                return self._await_pause(_LEAVE_SECONDS)
        return False

    def _position(self, epoch: int, done: np.ndarray | None = None) -> ServerPosition:
        return ServerPosition(
            epoch,
            () if done is None else tuple(int(n) for n in done),
            self.planned_workers,
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


@contextlib.contextmanager
def _tidy(coordinator: Any) -> Iterator[None]:
    """Lets go of a cluster that failed, and says what was not finite."""
    import tensorflow as tf

    try:
        yield
    except BaseException as error:
        # Its destructor would wait for workers that do not answer.
        coordinator._cluster.stop = lambda: None
        if not isinstance(error, tf.errors.InvalidArgumentError):
            raise
        if MARK not in error.message:
            raise
        found = re.search(r"assertion failed: \[(.*?\.)\]\s", error.message)
        said = _plain(found[1] if found else error.message)
        raise NonFiniteStep(
            f"{said} Nothing of the step was applied. Mend the data or lower the "
            "learning rate; on_nonfinite='skip' leaves such batches out."
        ) from None


def _plain(text: str) -> str:
    """Without what TensorFlow puts before quotes."""
    return text.replace("\\'", "'").replace('\\"', '"')
