"""What several workers must agree about."""

from __future__ import annotations

import time
from typing import Any

from keras_recs.training.is_parameter_server import is_parameter_server


class Workers:
    """The workers of a model's strategy; one, where it has one machine.

    Methods that agree must be called by all workers at the same step.

    Args:
        strategy: `tf.distribute.Strategy`.

    Attributes:
        num_workers: int.
        index: int. Of this one.
    """

    def __init__(self, strategy: Any):
        self._strategy = strategy
        self.num_workers, self.index = 1, 0
        resolver = getattr(strategy, "cluster_resolver", None)
        # Behind parameter servers the chief alone runs the program.
        if resolver is not None and not is_parameter_server(strategy):
            spec = resolver.cluster_spec().as_dict()
            chiefs = len(spec.get("chief", ()))
            self.num_workers = max(1, chiefs + len(spec.get("worker", ())))
            is_worker = resolver.task_type == "worker"
            self.index = int(resolver.task_id or 0) + chiefs * is_worker
        self._poll_steps, self._steps = 1, 0
        self._polled = time.monotonic()

    @property
    def is_multi(self) -> bool:
        """Whether there are others."""
        return self.num_workers > 1

    @property
    def is_chief(self) -> bool:
        """Whether this one writes what the run leaves behind."""
        return self.index == 0

    def gather(self, value: float) -> list[float]:
        """The value of each worker, in their order."""
        if not self.is_multi:
            return [value]
        import tensorflow as tf

        own = self._strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant([value], tf.float64)
        )
        values = self._strategy.gather(own, axis=0).numpy().tolist()
        return values[:: len(values) // self.num_workers]

    def any_of(self, *flags: bool, num_steps: int = 1) -> tuple[bool, ...]:
        """Whether each flag is set at one of the workers.

        Asked after every step, it asks the others about once a second; in between all
        answers are `False`.
        """
        if not self.is_multi:
            return flags
        self._steps += num_steps
        if self._steps < self._poll_steps:
            return (False,) * len(flags)
        now = time.monotonic()
        code = sum(flag << place for place, flag in enumerate(flags))
        codes = [int(value) for value in self.gather(code)]
        seconds = max(self.gather(now - self._polled))
        self._poll_steps = max(1, min(int(self._steps / max(seconds, 1e-3)), 10_000))
        self._steps, self._polled = 0, time.monotonic()
        return tuple(any(c >> place & 1 for c in codes) for place in range(len(flags)))

    def barrier(self) -> None:
        """Returns when all are here."""
        self.gather(0)

    def distribute(self, dataset: Any, batch_size: int) -> Any:
        """Batches for the replicas of this machine, which share each batch.

        Of several workers each has data of its own. One that has fewer batches than
        others trains empty ones at the end.

        Args:
            dataset: batches of this worker.
            batch_size: int. Of them, but for the last.

        Raises:
            ValueError: for a size that the replicas do not divide.
        """
        strategy = self._strategy
        local = strategy.num_replicas_in_sync // self.num_workers
        if batch_size % local:
            raise ValueError(
                f"The {local} replicas of a machine share each batch equally: its size "
                f"must be a multiple of {local}. Received: batches of {batch_size}"
            )
        if not self.is_multi:
            return strategy.experimental_distribute_dataset(dataset)
        if local > 1:
            dataset = dataset.rebatch(batch_size // local)
        return strategy.distribute_datasets_from_function(lambda context: dataset)
