"""One output a label."""

import keras
from keras import ops

from keras_recs.register import register
from keras_recs.schema import TASKS

MAX_WATCH_LOGIT = 30.0


@register
class PredictionHeads(keras.layers.Layer):
    """A probability, a value or a time for each label, by its task.

    The towers are concatenated and read by one dense unit a label; logits that a model
    computes itself (a linear or factorization-machine term) are added as they are. The
    layer works in float32 whatever the global policy: near 0 and 1 half precision
    cannot tell probabilities apart.

    Args:
        tasks: dict of label name to `"binary"` (sigmoid of the logit), `"regression"`
            (the logit itself) or `"watch_time"` (e^z of the logit z, which is clipped
            to ±30: to 1e-13 … 1e13), as `schema.tasks` gives it.
        given: dict of label name to that of the one without which it cannot be, such as
            `{"conversion": "click"}`, as `schema.given` gives it. The logit of such a
            label is that of its probability given the other. The label's own is the
            product along the funnel, of whose logit it is the sigmoid: however small it
            is, its cross-entropy has a gradient. The former is an output too,
            `"conversion_given_click"`. Defaults to `None`: no funnel.
        kernel_regularizer: Keras regularizer. Defaults to `None`.

    Call arguments:
        inputs: list of towers `(B, H)`; may be empty where there are `logits`.
        logits: list of `(B, 1)` or `(B, K)` tensors for K labels. Defaults to `None`.

    Output: dict of label name to float32 `(B, 1)`.

    Raises:
        ValueError: for no label, an unknown task, neither towers nor logits, and a
            `given` that is no label or leads in a circle.

    Example:
    >>> heads = keras_recs.layers.PredictionHeads({"click": "binary"})
    >>> tuple(heads([np.ones((2, 3))])["click"].shape)
    (2, 1)
    """

    def __init__(self, tasks, given=None, kernel_regularizer=None, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.tasks = dict(tasks)
        if not self.tasks:
            raise ValueError(
                "`tasks` must name at least one label: give the Schema a Label. "
                "Received: tasks={}"
            )
        for label, task in self.tasks.items():
            if task not in TASKS:
                raise ValueError(
                    f"Label '{label}': its task must be one of {TASKS}. Received: "
                    f"{task!r}"
                )
        self.given = dict(given or {})
        for label, other in self.given.items():
            if self.tasks.get(label) != "binary" or self.tasks.get(other) != "binary":
                raise ValueError(
                    "`given` must map binary labels to binary labels. Received: "
                    f"'{label}' given '{other}' and tasks={self.tasks}"
                )
            seen = [label]
            while other in self.given and other not in seen:
                seen.append(other)
                other = self.given[other]
            if other in seen:
                raise ValueError(
                    "`given` must not lead in a circle: the first label of a funnel "
                    f"has none. Received: given={self.given}"
                )
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, inputs_shape=None, logits_shape=None):
        """Creates the dense unit of each label."""
        self._shapes = {"inputs_shape": inputs_shape, "logits_shape": logits_shape}
        if not inputs_shape and not logits_shape:
            raise ValueError(
                f"Layer '{self.name}' needs towers or logits. Received neither."
            )
        self.dense = None
        if inputs_shape:
            width = sum(shape[-1] for shape in inputs_shape)
            self.dense = keras.layers.Dense(
                len(self.tasks),
                kernel_regularizer=self.kernel_regularizer,
                dtype=self.dtype_policy,
                name="dense",
            )
            self.dense.build((None, width))
        self.built = True

    def call(self, inputs, logits=None):
        """Returns the prediction of each label."""
        terms = list(logits or [])
        if self.dense is not None:
            tower = inputs[0] if len(inputs) == 1 else ops.concatenate(inputs, axis=-1)
            terms.append(self.dense(tower))  # (B, K)
        total = sum(terms[1:], terms[0])
        total = ops.cast(total, "float32")
        values = {}
        for k, label in enumerate(self.tasks):
            last = total.shape[-1]
            values[label] = total if last == 1 else total[:, k : k + 1]  # (B, 1)
        outputs = {}
        for label, task in self.tasks.items():
            value = values[label]
            if task == "binary":
                # The last operation: Keras's cross-entropy looks for its logits.
                outputs[label] = ops.sigmoid(self._whole_logit(label, values))
            elif task == "watch_time":
                limit = MAX_WATCH_LOGIT
                outputs[label] = ops.exp(ops.clip(value, -limit, limit))
            else:
                outputs[label] = value
        for label, name in self._conditional.items():
            outputs[name] = ops.sigmoid(values[label])
        return outputs

    @property
    def _conditional(self):
        """The further output of each label that has a `given`."""
        return {label: f"{label}_given_{other}" for label, other in self.given.items()}

    def _whole_logit(self, label, logits):
        """The logit of the product along the funnel.

        1/p − 1 of p = σ(a)·σ(b) is e^−a + e^−b + e^−(a+b): no step rounds to 0 or 1.
        """
        own = logits[label]
        if label not in self.given:
            return own
        before = self._whole_logit(self.given[label], logits)
        terms = ops.concatenate([-before, -own, -(before + own)], axis=-1)  # (B, 3)
        return -ops.logsumexp(terms, axis=-1, keepdims=True)  # (B, 1)

    def compute_output_spec(self, inputs, logits=None):
        """Float32 `(B, 1)` for each label."""
        batch = (list(inputs) + list(logits or []))[0].shape[0]
        names = [*self.tasks, *self._conditional.values()]
        return {name: keras.KerasTensor((batch, 1), "float32") for name in names}

    def get_build_config(self):
        """Both shapes by name: Keras would take a lone one for that of the towers."""
        return self._shapes if self.built else None

    def build_from_config(self, config):
        """Builds as saved."""
        if config:
            self.build(**config)

    def get_config(self):
        """Constructor arguments."""
        config = {
            "tasks": self.tasks,
            "given": self.given,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
        return {**super().get_config(), **config}
