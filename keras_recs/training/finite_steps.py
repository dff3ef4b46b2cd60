"""Steps whose gradients are not finite are caught before they are applied."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

from keras_recs.training.late_updates import LateUpdates, graph_here
from keras_recs.training.make_train_function import make_train_function
from keras_recs.training.non_finite_step import NonFiniteStep
from keras_recs.training.workers import Workers

_logger = logging.getLogger(__name__)
POLICIES = ("stop", "skip", "ignore")
_OF_ANOTHER = "the gradients of another worker are not finite, which says more."
_SAID_SECONDS = 5.0
LARGE = 1e6  # of an input that is finite, but may be the reason


class FiniteSteps:
    """Watches the gradients of a model.

    Attributes:
        skipped: int. Steps that were left out.
    """

    skipped = 0

    def __init__(self, policy: str):
        check_policy(policy)
        self.policy = policy
        self._found: str | None = None
        self._is_said = threading.Event()
        self._batch = threading.local()  # of the replica that is being traced

    @contextlib.contextmanager
    def watching(self, model: keras.Model) -> Iterator[None]:
        """Trains a model with the check while the block runs.

        Compiled by XLA, or with a loss scale, which finds such steps itself, a model is
        trained without.
        """
        optimizer = model.optimizer
        scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        if self.policy == "ignore" or model.jit_compile or scaled:
            if self.policy != "ignore" and not scaled:
                _logger.warning(
                    "A model that XLA compiles is trained without on_nonfinite=%r. "
                    "Compile it with `jit_compile=False` to have gradients checked.",
                    self.policy,
                )
            make_train_function(model)
            yield
            return
        apply, train_step = optimizer.apply, model.train_step

        def checked_apply(grads, trainable_variables=None):
            import tensorflow as tf

            grads = list(grads)
            variables = trainable_variables or optimizer._trainable_variables
            check = self._check(grads, variables)
            if _is_in(check, self._batch.graph):  # and not in a branch of the step
                self._batch.checks.append(check)
            # All that the update writes, the count of steps too, comes after it.
            with tf.control_dependencies([check]):
                return apply(grads, trainable_variables)

        def remembering_step(data):
            import tensorflow as tf

            self._batch.data, self._batch.checks = data, []
            self._batch.graph = graph_here()
            with LateUpdates(model.non_trainable_variables) as late:
                logs = train_step(data)
            with tf.control_dependencies(self._batch.checks):
                late.assign()
            return logs

        optimizer.apply, model.train_step = checked_apply, remembering_step
        try:
            make_train_function(model)
            yield
        finally:
            del optimizer.apply, model.train_step
            model.train_function = None  # the next one is made without the check

    def step(self, model: keras.Model, batches: Any, place: str) -> dict[str, Any]:
        """One call of the training function.

        Args:
            model: inside `watching`.
            batches: iterator of batches.
            place: what the step is called in a message.

        Returns:
            Logs; none of a step that was skipped.

        Raises:
            NonFiniteStep: for gradients that are not finite, unless they are skipped.
        """
        import tensorflow as tf

        try:
            return model.train_function(batches)
        except tf.errors.OpError:
            found, self._found = self._found, None
            self._is_said.clear()
            if found is None:
                raise
        message = f"{place}: {found}"
        if self.policy == "stop":
            raise NonFiniteStep(
                f"{message} Nothing of the step was applied. Mend the data or lower "
                "the learning rate; on_nonfinite='skip' leaves such batches out."
            )
        self.skipped += 1
        _logger.warning("%s The batch is left out.", message)
        # A metric may have taken part of the batch.
        model.reset_metrics()
        return {}

    def _check(self, gradients: list, variables: list):
        """An operation that fails where a gradient is not finite."""
        import tensorflow as tf

        places = [i for i, g in enumerate(gradients) if g is not None]
        sums = sums_of(gradients[i] for i in places)
        is_finite = tf.reduce_all(tf.math.is_finite(sums))
        replica = tf.distribute.get_replica_context()
        if replica.strategy.num_replicas_in_sync > 1:  # one keeps all from the step
            bad = tf.cast(tf.logical_not(is_finite), tf.int32)
            is_finite = replica.all_reduce("SUM", bad) == 0
        names = [variables[i].path for i in places]
        structure = self._batch.data
        flat = [t for t in tf.nest.flatten(structure) if t is not None]
        inputs = names_of(structure)

        def report(sums, *tensors):
            found = _describe(names, sums.numpy(), inputs, tensors)
            if found is not None:
                self._found = found
                self._is_said.set()
            elif not here or not self._is_said.wait(_SAID_SECONDS):
                self._found = self._found or _OF_ANOTHER
            raise NonFiniteStep(self._found)

        # Replicas of this process: the one that has the reason says it.
        here = not Workers(replica.strategy).is_multi

        def fail():
            return tf.py_function(report, [sums, *flat], tf.bool)

        # Tables of keys are whole before a step fails.
        with tf.control_dependencies(_scatters()):
            return tf.cond(is_finite, lambda: tf.constant(True), fail)


def _is_in(tensor: Any, graph: Any) -> bool:
    return graph is not None and tensor.graph is graph


def _scatters() -> list:
    """Operations so far that write rows of a variable."""
    graph = graph_here()
    operations = [] if graph is None else graph.get_operations()
    return [op for op in operations if op.type.startswith("ResourceScatter")]


def check_policy(policy: str) -> None:
    """Raises a `ValueError` for an `on_nonfinite` that is none."""
    if policy not in POLICIES:
        raise ValueError(
            f"`on_nonfinite` must be one of {POLICIES}. Received: "
            f"on_nonfinite={policy!r}"
        )


def sums_of(gradients: Iterable) -> Any:
    """The sum of each gradient, sparse or not, float32 `(gradients,)`."""
    import tensorflow as tf

    parts = [getattr(gradient, "values", gradient) for gradient in gradients]
    return tf.stack([tf.cast(tf.reduce_sum(part), tf.float32) for part in parts])


def names_of(structure) -> list[str]:
    """What each tensor of a batch is, such as `"feature 'x'"`."""
    parts = structure if isinstance(structure, tuple) else (structure,)
    names = []
    for kind, part in zip(("feature", "label", "weight of label"), parts):
        if isinstance(part, dict):
            names += [f"{kind} '{name}'" for name in sorted(part)]
        elif part is not None:
            names.append(kind)
    return names


def _describe(names, sums, inputs, tensors) -> str | None:
    """Which gradients are not finite, and what in the batch may be the reason."""
    bad = [name for name, value in zip(names, sums) if not np.isfinite(value)]
    if not bad:
        return None
    shown = ", ".join(f"'{name}'" for name in bad[:3]) + ", …" * (len(bad) > 3)
    message = f"the gradients of {len(bad)} variables are not finite ({shown})."
    reasons = []
    for name, tensor in zip(inputs, tensors):
        if not tensor.dtype.is_floating:
            continue
        values = tensor.numpy().astype("float64")
        strange = ~np.isfinite(values) | (np.abs(values) > LARGE)
        if strange.any():
            row = int(np.argwhere(strange)[0][0])
            value = values[strange].ravel()[0]
            reasons.append(f"{name} is {value:g} in row {row} of the batch")
    if reasons:
        return f"{message} {'; '.join(reasons)}."
    return (
        f"{message} All features, labels and weights of the batch are finite and below "
        f"{LARGE:g}: the model itself diverged."
    )
