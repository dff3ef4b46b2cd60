"""A model whose tasks are weighed while it trains."""

import keras
import numpy as np
from keras import ops

from keras_recs.layers import MLP, Experts, ExtractionBlock
from keras_recs.register import register
from keras_recs.training.multi_task.end_epoch import EndEpoch
from keras_recs.training.multi_task.gradient_products import gradient_products
from keras_recs.training.multi_task.shared_masks import shared_masks
from keras_recs.training.multi_task.task_loss import TaskLoss
from keras_recs.training.multi_task.task_weighting import TaskWeighting


@register
class MultiTaskModel(keras.Model):
    """A functional model that trains several labels under a weighting.

    All else is as before: inputs, outputs, layers, export. The weighting is saved with
    the model, its variables are in each checkpoint, and the weight of each task is
    logged as `<label>_weight`. In a batch where a label is missing its task adds 0.
    `val_loss` has the weights of the moment; under PCGrad, which reads gradients, all
    count 1 in it.

    Args:
        inputs: of a functional `keras.Model`.
        outputs: dict of label name to output; further outputs have no loss.
        tasks: dict of label name to its task, as `schema.tasks`.
        weighting: `TaskWeighting`, such as `UncertaintyWeights()`.

    Raises:
        ValueError: for tasks without an output, for a layer of `GradNorm` that is none,
            and on another backend than TensorFlow.
        TypeError: for what is no weighting, and for outputs that are no dict.

    `weigh_tasks` makes one of a model.
    """

    def __init__(self, inputs, outputs, tasks, weighting, **kwargs):
        super().__init__(inputs, outputs, **kwargs)
        if not isinstance(weighting, TaskWeighting):
            raise TypeError(
                "`weighting` must be one of keras_recs.training, such as "
                f"UncertaintyWeights(). Received: weighting={weighting!r}"
            )
        if not isinstance(outputs, dict):
            raise TypeError(
                "`outputs` must be a dict of label name to output, as the builders of "
                f"keras_recs.models make it. Received: {type(outputs).__name__}"
            )
        missing = sorted(set(tasks) - set(outputs))
        if missing:
            raise ValueError(
                f"`tasks` names {missing}, which are no outputs of the model. It has: "
                f"{sorted(outputs)}"
            )
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                "Tasks are weighed under the backend 'tensorflow'. Received: "
                f"{keras.backend.backend()!r}"
            )
        names = [layer.name for layer in self.layers]
        name = getattr(weighting, "shared_layer", None)
        if name is not None and name not in names:
            raise ValueError(
                f"`shared_layer` must be a layer of the model. Received: '{name}'; it "
                f"has {names}"
            )
        self.tasks = dict(tasks)
        self.weighting = weighting
        self.weighting.bind(self.tasks)
        self.weight_trackers = [
            keras.metrics.Mean(name=f"{label}_weight") for label in self.tasks
        ]
        self._task_losses = []

    def compile(self, optimizer="rmsprop", loss=None, loss_weights=None, **kwargs):
        """As `keras.Model.compile`.

        Args:
            optimizer: Keras optimizer.
            loss: dict of label name to its loss, or one for all.
            loss_weights: `None`: the weighting says them.
            **kwargs: as `keras.Model.compile` takes them.

        Raises:
            ValueError: for `loss_weights`, for labels without a loss, and for a loss of
                an output that is no task.
        """
        if loss_weights is not None:
            raise ValueError(
                "The weighting says how much tasks count: leave out `loss_weights`, or "
                "take GivenWeights. Received: loss_weights="
                f"{loss_weights!r}"
            )
        if not isinstance(loss, dict):
            loss = dict.fromkeys(self.tasks, loss)
        absent = [label for label in self.tasks if loss.get(label) is None]
        if absent:
            raise ValueError(
                f"`loss` must have one for each label, such as losses_of(schema). None "
                f"for: {absent}"
            )
        others = [name for name in loss if name not in self.tasks and loss[name]]
        if others:
            raise ValueError(
                f"`loss` has one for {others}, which are no tasks of the weighting and "
                f"would not be trained: leave them out. Tasks: {list(self.tasks)}"
            )
        wrapped = {
            label: value if isinstance(value, TaskLoss | None) else TaskLoss(value)
            for label, value in loss.items()
        }
        self._task_losses = [wrapped[label] for label in self.tasks]
        super().compile(optimizer=optimizer, loss=wrapped, **kwargs)

    def compile_from_config(self, config):
        """Compiles as saved."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """Returns the weighted sum, with the penalty of the weighting."""
        losses, extra = self._losses_by_task(x, y, y_pred, sample_weight, training)
        weights = self.weighting.weigh(self._step())
        self._track(weights)
        if training:
            self.weighting.observe(losses * _replicas())
        penalty = self.weighting.penalty(self._is_there(sample_weight))
        return ops.sum(weights * losses) + penalty / _replicas() + extra

    def train_step(self, data):
        """A step; where the weighting reads gradients, with those of each task."""
        if not self.weighting.reads_gradients:
            return super().train_step(data)
        import tensorflow as tf

        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape(persistent=True) as tape:
            y_pred = self(x, training=True)
            losses, extra = self._losses_by_task(x, y, y_pred, sample_weight, True)
            weights = self.weighting.weigh(self._step())
            scale = self.optimizer.scale_loss(1.0)  # of half precision
            scaled = [scale * loss for loss in tf.unstack(losses)]
            weighted = [scale * loss for loss in tf.unstack(weights * losses)]
            rest = scale * extra
            total = tf.add_n(weighted) + rest
        variables = self.trainable_weights
        if hasattr(self.weighting, "coefficients"):
            by_task = [tape.gradient(loss, variables) for loss in weighted]
            others = tape.gradient(rest, variables) if self.losses else None
            known = shared_masks(self)
            masks = [known.get(id(variable)) for variable in variables]
            weights = self.weighting.coefficients(
                gradient_products(by_task, masks) / scale**2
            )
            gradients = _combined(by_task, masks, weights, others)
        else:
            gradients = tape.gradient(total, variables)
            of_all = {id(v): g for v, g in zip(variables, gradients)}
            norms = self._norms(tape, scaled, weights, of_all) / scale
            sums = _over_replicas(losses)
            self.weighting.update(sums, norms)
        del tape
        self._track(weights)
        self.optimizer.apply_gradients(zip(gradients, variables))
        batch = tf.shape(tf.nest.flatten(x)[0])[0]
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(total / scale * _replicas(), sample_weight=batch)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        **kwargs,
    ):
        """As `keras.Model.fit`; the weighting hears of the end of each epoch."""
        if isinstance(callbacks, keras.callbacks.CallbackList):
            if not any(isinstance(c, EndEpoch) for c in callbacks.callbacks):
                end_epoch = EndEpoch()
                end_epoch.set_model(self)
                callbacks.callbacks.insert(0, end_epoch)
        elif isinstance(callbacks, keras.callbacks.Callback):
            callbacks = [EndEpoch(), callbacks]
        else:
            callbacks = [EndEpoch(), *(callbacks or ())]
        return super().fit(
            x, y, batch_size, epochs, verbose, callbacks=callbacks, **kwargs
        )

    def get_config(self):
        """The functional model, the tasks and the weighting."""
        plain = keras.Model(self.input, self.output, name=self.name)
        return {
            "model": keras.saving.serialize_keras_object(plain),
            "tasks": self.tasks,
            "weighting": keras.saving.serialize_keras_object(self.weighting),
        }

    @classmethod
    def from_config(cls, config):
        """The model of a configuration."""
        plain = keras.saving.deserialize_keras_object(config["model"])
        weighting = keras.saving.deserialize_keras_object(config["weighting"])
        return cls(
            plain.input, plain.output, config["tasks"], weighting, name=plain.name
        )

    def _losses_by_task(self, x, y, y_pred, sample_weight, training):
        """The losses `(K,)`, and what layers add; metrics of the losses are updated."""
        super().compute_loss(
            x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training
        )
        taken = [ops.cast(loss.taken(), "float32") for loss in self._task_losses]
        extra = [ops.sum(ops.cast(loss, "float32")) for loss in self.losses]
        return ops.stack(taken), sum(extra) / _replicas() if extra else 0.0

    def _is_there(self, sample_weight):
        """1 for each task that has a label in the batch, float32 `(K,)`."""
        if not isinstance(sample_weight, dict):
            return ops.ones((len(self.tasks),))
        found = []
        for label in self.tasks:
            weight = sample_weight.get(label)
            there = 1.0 if weight is None else ops.any(weight > 0)
            found.append(ops.cast(there, "float32"))
        return ops.stack(found)

    def _step(self):
        return 0 if self.optimizer is None else self.optimizer.iterations

    def _track(self, weights):
        for k, tracker in enumerate(self.weight_trackers):
            tracker.update_state(weights[k])

    def _norms(self, tape, losses, weights, of_all):
        """‖∇_W L_k‖ of each task over all replicas, `(K,)`.

        Args:
            tape: persistent `tf.GradientTape`.
            losses: list of scalars.
            weights: `(K,)`.
            of_all: dict of a variable's `id` to the gradient of the weighted sum.
        """
        import tensorflow as tf

        name = self.weighting.shared_layer
        shared = _last_weights(self.get_layer(name))
        known = shared_masks(self)
        masks = [known.get(id(variable)) for variable in shared]
        if all(mask is not None and not np.any(mask) for mask in masks):
            raise ValueError(
                f"`shared_layer`: each weight of '{name}' is one task's own. Name a "
                "layer that all tasks share."
            )

        def gradients_of(k):
            gradients = tape.gradient(losses[k], shared)
            if all(gradient is None for gradient in gradients):
                raise ValueError(
                    f"`shared_layer`: no weight of '{name}' has a gradient of label "
                    f"'{list(self.tasks)[k]}'. Name a layer that all tasks share."
                )
            return gradients

        last = len(losses) - 1
        by_task = [gradients_of(k) for k in range(last)]
        norms = [_norm(gradients, masks) for gradients in by_task]
        whole = [of_all[id(variable)] for variable in shared]
        if not self._is_sum_of_tasks(whole):
            norms.append(_norm(gradients_of(last), masks))
            return tf.stack(norms)
        # What the others leave of the sum is the last task's, which spares a way back,
        # unless it is so little that its digits are lost.
        left = _norm(_left_of(whole, by_task, weights), masks)
        parts = [weights[k] * norm for k, norm in enumerate(norms)]
        largest = tf.add_n([_norm(whole, masks), *parts])
        has_digits = weights[last] * left > 1e-2 * largest
        exact = tf.cond(
            has_digits, lambda: left, lambda: _norm(gradients_of(last), masks)
        )
        return tf.stack([*norms, exact])

    def _is_sum_of_tasks(self, gradients):
        """Whether those of the tasks add up to these, in all digits of float32."""
        import tensorflow as tf

        layers = self._flatten_layers(include_self=False)
        return (
            not self.losses
            and _replicas() == 1
            and all(layer.compute_dtype == "float32" for layer in layers)
            and all(isinstance(gradient, tf.Tensor) for gradient in gradients)
        )


def _replicas():
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def _over_replicas(tensor):
    """The sum over all replicas: losses are scaled by their number already."""
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return tensor
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensor)


def _last_weights(layer):
    """Of a stack of products the last one's: the way back to it is the shortest."""
    if isinstance(layer, ExtractionBlock):
        layer = layer.experts
    if isinstance(layer, Experts):
        return [layer.kernels[-1], layer.biases[-1]]
    if isinstance(layer, MLP):
        return layer.blocks[-1][0].trainable_weights
    return layer.trainable_weights


def _left_of(whole, others, weights):
    """The last task's gradients: those of the weighted sum without the others'."""
    import tensorflow as tf

    found = []
    for i, total in enumerate(whole):
        parts = [
            -weights[k] * gradients[i]
            for k, gradients in enumerate(others)
            if gradients[i] is not None
        ]
        found.append(tf.add_n([total, *parts]) / weights[len(others)])
    return found


def _norm(gradients, masks):
    """Of what masks leave of gradients, over all replicas."""
    import tensorflow as tf

    squares = []
    for gradient, mask in zip(gradients, masks):
        if gradient is not None:
            masked = gradient if mask is None else mask * gradient
            squares.append(_square(masked))
    return tf.sqrt(tf.add_n(squares))


def _square(gradient):
    """The squared norm over all replicas."""
    import tensorflow as tf

    is_alone = _replicas() == 1
    if isinstance(gradient, tf.IndexedSlices) and is_alone:  # no whole table
        rows, places = tf.unique(gradient.indices)
        values = tf.cast(gradient.values, tf.float32)
        gradient = tf.math.unsorted_segment_sum(values, places, tf.size(rows))
    whole = _over_replicas(tf.convert_to_tensor(gradient))
    return tf.reduce_sum(tf.square(tf.cast(whole, tf.float32)))


def _combined(by_task, masks, coefficients, others):
    """The gradient of each variable from those of the tasks."""
    import tensorflow as tf

    found = []
    for i, mask in enumerate(masks):
        parts = []
        is_shared = sum(gradients[i] is not None for gradients in by_task) > 1
        for k, gradients in enumerate(by_task):
            if gradients[i] is None:
                continue
            factor = coefficients[k] if is_shared else 1.0
            if mask is not None:
                factor = 1.0 + mask * (factor - 1.0)
            parts.append(_times(gradients[i], factor))
        if others is not None and others[i] is not None:
            parts.append(others[i])
        if not parts:
            found.append(None)
        elif all(isinstance(part, tf.IndexedSlices) for part in parts):
            values = tf.concat([part.values for part in parts], 0)
            indices = tf.concat([part.indices for part in parts], 0)
            shape = parts[0].dense_shape
            found.append(tf.IndexedSlices(values, indices, shape))
        else:
            found.append(tf.add_n([tf.convert_to_tensor(part) for part in parts]))
    return found


def _times(gradient, factor):
    import tensorflow as tf

    if not isinstance(gradient, tf.IndexedSlices):
        return gradient * tf.cast(factor, gradient.dtype)
    values = gradient.values * tf.cast(factor, gradient.values.dtype)
    return tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)
