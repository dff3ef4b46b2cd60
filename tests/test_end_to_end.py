"""The road of the README, from a raw log to an export that answers."""

import csv

import keras
import numpy as np
import pytest

import keras_recs

pytestmark = pytest.mark.smoke

ROWS = 24_000


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The log, split in time, and both models trained on its first part."""
    directory = tmp_path_factory.mktemp("road")
    schema = keras_recs.data.synthetic_clicks(directory / "all.csv", ROWS, seed=1)
    lines = (directory / "all.csv").read_text().splitlines(keepends=True)
    cut = 1 + int(0.8 * ROWS)
    (directory / "train.csv").write_text("".join(lines[:cut]))
    (directory / "test.csv").write_text("".join([lines[0], *lines[cut:]]))
    schema = keras_recs.preprocessing.fit(
        schema, directory / "train.csv", directory / "prepared"
    )
    for split in ("train", "test"):
        keras_recs.data.write_tfrecords(
            directory / f"{split}.csv", schema, directory / "prepared" / split
        )
    train = keras_recs.data.tfrecord_dataset(
        directory / "prepared" / "train-*", schema, batch_size=512
    )
    test = keras_recs.data.tfrecord_dataset(
        directory / "prepared" / "test-*", schema, 2048, shuffle=False, with_group=True
    )
    models, results = {}, {}
    tower = {"embedding_dim": 8, "hidden_units": (64, 32)}
    for builder, arguments in (
        (keras_recs.models.logistic_regression, {}),
        (keras_recs.models.deepfm, tower),
    ):
        keras.utils.set_random_seed(0)
        model = builder(schema, **arguments)
        model.compile(keras.optimizers.Adam(3e-3), loss="binary_crossentropy")
        model.fit(train, epochs=6, shuffle=False, verbose=0)
        models[model.name] = model
        evaluated = keras_recs.evaluation.evaluate(model, test, schema)
        results[model.name] = evaluated["click"]
    return directory, schema, models, results


def test_deepfm_finds_the_planted_interactions(trained):
    directory, _, _, results = trained
    with open(directory / "test.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    best = keras_recs.metrics.auc(
        [int(row["click"]) for row in rows],
        [float(row["true_probability"]) for row in rows],
    )
    linear, deep = results["logistic_regression"]["auc"], results["deepfm"]["auc"]
    assert linear + 0.05 < deep <= best + 0.005
    assert results["deepfm"]["examples"] == len(rows)


def test_export_answers_as_the_model_does_on_the_raw_rows(trained):
    import tensorflow as tf

    directory, schema, models, _ = trained
    model = models["deepfm"]
    with open(directory / "test.csv", newline="") as file:
        rows = list(csv.DictReader(file))[:50]
    columns = {name: [row[name] for row in rows] for name in schema.columns}
    dataset = keras_recs.data.array_dataset(columns, schema, 50, shuffle=False)
    inputs, _ = next(iter(dataset))
    expected = model.predict_on_batch(inputs)["click"]

    path = keras_recs.export.saved_model(model, schema, directory / "export")
    assert path == directory / "export" / "1"
    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    request = {}
    for name in [feature.name for feature in schema.raw_features]:
        column, values = schema.columns[name], columns[name]
        if column.is_list:
            lists = [text.split(column.separator) for text in values]
            request[name] = tf.ragged.constant(lists, tf.string).to_tensor("")
        elif column.dtype == "float32":
            request[name] = tf.constant([float(v or "nan") for v in values])
        elif column.dtype == "int64":
            request[name] = tf.constant([int(v) for v in values], tf.int64)
        else:
            request[name] = tf.constant(values)
    answer = serve(**request)["click"]
    np.testing.assert_allclose(answer, expected, atol=1e-6)
