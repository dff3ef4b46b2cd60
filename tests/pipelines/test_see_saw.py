"""`pipelines.evaluate --twins`, and what a configuration says of several labels."""

import json

import keras
import pytest

import keras_recs
from keras_recs import Schema
from keras_recs.data import tfrecord_dataset
from keras_recs.training import GradNorm, MultiTaskModel, TaskCosines, weigh_tasks
from pipelines.config import Config
from pipelines.from_config import build_model, read_schema, weighed_model
from tests.preloaded import run_preloaded


def trained(prepared, folder, labels, **config):
    config = Config(
        data=str(prepared),
        model="mmoe",
        model_arguments={"embedding_dim": 2, "num_experts": 2, "hidden_units": (4,)},
        labels=labels,
        **config,
    )
    schema = read_schema(config)
    model = weighed_model(config, schema, build_model(config, schema))
    losses = keras_recs.losses.losses_of(schema)
    model.compile("adam", losses, run_eagerly=True)
    train = tfrecord_dataset(prepared / "train-*", schema, 64, seed=0)
    own = tfrecord_dataset(prepared / "train-*", schema, 64, seed=0)
    callbacks = [TaskCosines(own, schema, 1)] if len(schema.labels) > 1 else []
    options = {"on_nonfinite": "ignore", "verbose": 0, "callbacks": callbacks}
    keras_recs.training.fit(model, train, schema, folder, epochs=1, **options)
    return model


def test_a_task_that_got_worse_is_the_first_line(prepared, tmp_path):
    weighting = {"name": "grad_norm", "shared_layer": "experts"}
    model = trained(prepared, tmp_path / "both", [], task_weighting=weighting)
    assert isinstance(model.weighting, GradNorm)
    for label in ("click", "rating"):
        trained(prepared, tmp_path / label, [label])
    alone = run_preloaded(
        "-m",
        "pipelines.evaluate",
        f"--workdir={tmp_path / 'both'}",
        f"--data={prepared}/test-*",
        "--name=gates",
    )
    assert "gates, rating: expert 0 0." in alone.stdout
    assert "than alone" not in alone.stdout
    stored = json.loads((tmp_path / "both" / "see_saw.json").read_text())["gates"]
    assert stored["tasks"] == []
    assert list(stored["gates"]["gates"]["gates"]) == ["click", "rating"]
    assert (tmp_path / "both" / "plots" / "gates_see_saw.png").exists()
    done = run_preloaded(
        "-m",
        "pipelines.evaluate",
        f"--workdir={tmp_path / 'both'}",
        f"--data={prepared}/test-*",
        f"--twins={tmp_path / 'click'},{tmp_path / 'rating'}",
    )
    stored = json.loads((tmp_path / "both" / "see_saw.json").read_text())["test"]
    gains = [task["gain"] for task in stored["tasks"]]
    assert gains == sorted(gains)
    first = done.stdout.splitlines()[0]
    worst = stored["tasks"][0]
    word = "worse" if worst["gain"] < 0 else "better"
    assert first.startswith(f"{worst['label']} is {word} than alone: {worst['metric']}")
    schema = Schema.load(tmp_path / "click")
    batches = tfrecord_dataset(prepared / "test-*", schema, 40, shuffle=False)
    twin = keras.models.load_model(tmp_path / "click" / "model.keras")
    auc = keras_recs.evaluation.evaluate(twin, batches, schema)["click"]["auc"]
    (click,) = [task for task in stored["tasks"] if task["label"] == "click"]
    assert click["alone"] == pytest.approx(auc, abs=1e-6)
    assert "gates, rating: expert 0 0." in done.stdout
    assert (tmp_path / "both" / "plots" / "test_see_saw.png").exists()
    history = (tmp_path / "both" / "history.csv").read_text().splitlines()
    assert "click_rating_cosine" in history[0]
    assert "click_weight" in history[0]


def test_a_configuration_of_several_labels(prepared):
    config = Config(data=str(prepared), labels=["click"])
    assert read_schema(config).label_names == ("click",)
    config = config.replaced(["labels=['rating']", "task_cosines=True"])
    assert read_schema(config).label_names == ("rating",)
    schema = read_schema(Config(data=str(prepared)))
    plain = keras_recs.models.shared_bottom(schema, hidden_units=(4,))
    config = Config(data=str(prepared))
    assert weighed_model(config, schema, plain) is plain
    config = config.replaced(["task_weighting.name=uncertainty_weights"])
    assert isinstance(weighed_model(config, schema, plain), MultiTaskModel)
    for setting, message in (
        ("task_weighting={'name': 'gradnorm'}", "one of .*'grad_norm'"),
        ("task_weighting={'name': 'pc_grad', 'x': 1}", "what pc_grad does not take"),
        ("labels='click'", "`labels` must be a list of names"),
        ("task_cosines=1", "`task_cosines` must be True or False"),
    ):
        with pytest.raises(ValueError, match=message):
            weighed_model(config.replaced([setting]), schema, plain)
    with pytest.raises(TypeError, match="`weighting` must be one of"):
        weigh_tasks(plain, schema, None)
