"""Whether tasks pull shared weights the same way."""

import itertools

import keras

from keras_recs.losses.losses_of import losses_of
from keras_recs.training.multi_task.gradient_products import gradient_products
from keras_recs.training.multi_task.shared_masks import shared_masks


class TaskCosines(keras.callbacks.Callback):
    """Adds the cosine of the gradients of each two labels to the logs of each epoch.

    `<label>_<other>_cosine` is the mean over a few batches, on the weights that both
    labels reach: near 1 they learn the same, below 0 one undoes what the other does.
    The model is as in prediction, without dropout.

    Args:
        dataset: batches as `keras_recs.data` makes them; not the very object that is
            trained on, whose order would change.
        schema: `keras_recs.Schema` with two labels or more.
        num_batches: int. Batches that are looked at. Defaults to `8`.

    Raises:
        ValueError: for a schema with fewer than two labels.
    """

    def __init__(self, dataset, schema, num_batches=8):
        super().__init__()
        self.labels = list(schema.label_names)
        if len(self.labels) < 2:
            raise ValueError(
                "`schema` must have two labels or more for their gradients to be "
                f"compared. Received: {self.labels}. Leave TaskCosines out for one "
                "label; in pipelines.train: --set task_cosines=False"
            )
        self.dataset = dataset
        self.num_batches = num_batches
        self._losses = {
            label: keras.losses.get(loss) for label, loss in losses_of(schema).items()
        }
        self._function = None

    def on_epoch_end(self, epoch, logs=None):
        """Measures, and extends the logs."""
        import tensorflow as tf

        if self._function is None:
            self._function = tf.function(
                self._cosines, reduce_retracing=True, autograph=False
            )
        found = [
            self._function(*batch[:3]).numpy()
            for batch in self.dataset.take(self.num_batches)
        ]
        pairs = itertools.combinations(range(len(self.labels)), 2)
        for i, j in pairs:
            values = [
                cosines[i, j] for cosines in found if cosines[i, j] == cosines[i, j]
            ]
            mean = float(sum(values) / len(values)) if values else float("nan")
            if logs is not None:
                logs[f"{self.labels[i]}_{self.labels[j]}_cosine"] = mean

    def _cosines(self, inputs, labels, weights=None):
        """`(K, K)`; NaN for a task whose gradient is 0."""
        import tensorflow as tf

        variables = self.model.trainable_weights
        with tf.GradientTape(persistent=True) as tape:
            outputs = self.model(inputs, training=False)
            values = []
            for label, loss in self._losses.items():
                weight = None if weights is None else weights[label]
                value = loss(labels[label], outputs[label])
                if isinstance(loss, keras.losses.Loss):
                    value = loss(labels[label], outputs[label], weight)
                elif weight is not None:
                    value = value * weight
                values.append(tf.reduce_mean(value))
        by_task = [tape.gradient(value, variables) for value in values]
        known = shared_masks(self.model)
        masks = [known.get(id(variable)) for variable in variables]
        products = gradient_products(by_task, masks)
        lengths = tf.sqrt(tf.linalg.diag_part(products))
        return products / (lengths[:, None] * lengths[None])
