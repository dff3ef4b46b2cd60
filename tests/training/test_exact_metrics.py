"""Exact metrics in the logs of an epoch."""

import numpy as np

from keras_recs.data import array_dataset
from keras_recs.evaluation import evaluate
from keras_recs.models import logistic_regression
from keras_recs.training import ExactMetrics
from tests import samples


def test_logs(click_schema):
    model = logistic_regression(click_schema)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    batches = array_dataset(
        samples.click_columns(40), click_schema, 16, shuffle=False, with_group=True
    )
    results = evaluate(model, batches, click_schema)
    for prefix in ("val_", "test_"):
        callback = ExactMetrics(batches, click_schema, prefix=prefix)
        callback.set_model(model)
        logs = {"loss": 1.0}
        callback.on_epoch_end(0, logs)
        expected = {
            f"{prefix}{label}_{name}": value
            for label, values in results.items()
            for name, value in values.items()
            if name not in ("examples", "positive_rate")
        }
        assert logs == {"loss": 1.0, **expected}
        assert f"{prefix}click_gauc" in logs
