"""`pipelines.train`: from prepared TFRecords to a run directory."""

import csv
import json

import numpy as np
import pytest

from keras_recs import Schema
from pipelines.config import Config, load_config
from tests import samples


def test_a_run_is_complete(run, prepared):
    workdir, output = run
    names = {path.name for path in workdir.iterdir()}  # evaluation may have added more
    assert names >= {
        "checkpoints",
        "config.json",
        "history.csv",
        "model.keras",
        "schema.json",
        "tensorboard",
        "vocabularies",
    }
    assert str(workdir) in output
    with open(workdir / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert all(0 < float(row["val_click_gauc"]) < 1 for row in rows)
    assert Schema.load(workdir).fingerprint() == Schema.load(prepared).fingerprint()


def test_the_resolved_configuration_is_saved(run, prepared):
    stored = json.loads((run[0] / "config.json").read_text())
    arguments = {"embedding_dim": 4, "hidden_units": [8, 4], "dropout": 0.1}
    expected = Config(
        data=str(prepared),
        model_arguments=arguments,
        batch_size=32,
        epochs=2,
        dtype_policy="mixed_bfloat16",
        steps_per_execution=2,
    )
    assert Config(**stored) == expected


def test_the_model_is_the_configured_one(run):
    import keras

    model = keras.models.load_model(run[0] / "model.keras")
    assert model.name == "deepfm"
    assert model.get_layer("embedding").embedding_dim == 4
    assert model.get_layer("deep").hidden_units == (8, 4)
    assert model.get_layer("deep").dropout == 0.1
    assert model.get_layer("deep").dtype_policy.name == "mixed_bfloat16"
    assert {str(w.dtype) for w in model.trainable_weights} == {"float32"}


def test_without_validation_data_and_the_same_seed_twice(prepared, tmp_path):
    """In this process; the last weights are then kept. Rows are counted."""
    from keras_recs.data import row_counts
    from pipelines.from_config import training_data
    from pipelines.train import train

    data = tmp_path / "data"
    data.mkdir()
    Schema.load(prepared).save(data / "schema.json")
    (data / "train-0.tfrecord").symlink_to(prepared / "train-0.tfrecord")
    arguments = {
        "embedding_dim": 2,
        "hidden_units": (4,),
        "embeddings_regularizer": {
            "class_name": "keras_recs>BatchL2",
            "config": {"l2": 0.1, "by_count": True},
        },
    }
    config = Config(
        data=str(data), model_arguments=arguments, batch_size=32, seed=3, epochs=2
    )
    runs = [train(config, tmp_path / name, "none") for name in "ab"]
    histories = [run.history for run in runs]
    assert histories[0] == histories[1]
    found = np.asarray(runs[0].model.get_layer("embedding").row_counts["tables"])
    schema = Schema.load(data)
    counts = row_counts(training_data(config, schema), schema)
    np.testing.assert_array_equal(found, np.concatenate([*counts.values()]))
    assert list(histories[0]) == ["click_loss", "loss", "rating_loss"]


def test_messages(prepared, tmp_path):
    from pipelines.train import build_model, train

    schema = Schema.load(prepared)
    with pytest.raises(
        ValueError, match=r"Config: `model` must be one of .*'dlrm'.*model='deep'"
    ):
        build_model(Config(data="x", model="deep"), schema)
    for part in ("build_inputs", "table_rows", "EmbeddingOptions"):
        with pytest.raises(ValueError, match="must be one of"):
            build_model(Config(data="x", model=part), schema)
    config = Config(data="x", embedding_options={"shards": 3})
    with pytest.raises(
        ValueError, match=r"`embedding_options` takes \['num_shards'.*'shards': 3"
    ):
        build_model(config, schema)
    config = Config(data="x", model="dcn_v2", model_arguments={"num_cross_layers": "2"})
    with pytest.raises(ValueError, match=r"`model_arguments` .*num_cross_layers': '2'"):
        build_model(config, schema)
    config = Config(
        data="x", model="dlrm", model_arguments={"hidden_units": (3,), "shape": 1}
    )
    message = r"keys that dlrm does not take: \['hidden_units', 'shape'\]; it takes \['embedding_dim'"
    with pytest.raises(ValueError, match=message):
        build_model(config, schema)
    with pytest.raises(FileNotFoundError, match=r"schema.json"):
        train(Config(data=str(tmp_path)), tmp_path / "run", "none")
    samples.click_schema(tmp_path).save(tmp_path / "schema.json")
    with pytest.raises(ValueError, match=r"train-\*', which matches no file"):
        train(Config(data=str(tmp_path)), tmp_path / "run", "none")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("adam", "Adam"),
        ("rowwise_adagrad", "RowwiseAdagrad"),
        ("SparseFTRL", "SparseFTRL"),
        ("lazyadam", "LazyAdam"),
    ],
)
def test_optimizers(name, kind):
    from keras_recs.training.make_optimizer import make_optimizer

    optimizer = make_optimizer(name, 0.25)
    assert type(optimizer).__name__ == kind
    assert float(optimizer.learning_rate) == 0.25


@pytest.mark.parametrize("name", ["adamm", "composite_optimizer"])
def test_unknown_optimizers(name):
    from keras_recs.training.make_optimizer import make_optimizer

    with pytest.raises(
        ValueError, match=rf"Keras optimizer such as .*'RowwiseAdagrad'.*='{name}'"
    ):
        make_optimizer(name, 0.1)


def test_an_optimizer_of_a_group():
    from keras_recs.training.make_optimizer import make_optimizer

    wide = {"optimizer": "sparse_ftrl", "learning_rate": 0.5, "l1": 0.25}
    optimizer = make_optimizer("sparse_adagrad", 0.125, {"wide": wide})
    assert type(optimizer.default).__name__ == "SparseAdagrad"
    assert float(optimizer.learning_rate) == 0.125
    assert type(optimizer.groups["wide"]).__name__ == "SparseFTRL"
    assert float(optimizer.groups["wide"].learning_rate) == 0.5
    assert optimizer.groups["wide"].l1 == 0.25
    for group, message in (
        ("adam", "Group 'wide' of optimizers must be a dict"),
        ({"optimizer": "adam"}, "Group 'wide' of optimizers must be a dict"),
        ({**wide, "l3": 1}, "Group 'wide' of optimizers: .*l3"),
        ({**wide, "optimizer": "x"}, "Group 'wide' of optimizers: .*optimizer='x'"),
    ):
        with pytest.raises(ValueError, match=message):
            make_optimizer("adam", 0.1, {"wide": group})


def test_wide_and_deep_as_in_its_paper(prepared, tmp_path):
    """FTRL's L1 leaves weights of the wide part at zero, the deep part has none."""
    from pipelines.train import train

    config = load_config("pipelines/configs/synthetic_wide_and_deep.py").replaced(
        [
            f"data={prepared}",
            "epochs=1",
            "batch_size=32",
            "optimizer_groups.wide={'optimizer': 'sparse_ftrl', 'learning_rate': 0.05,"
            " 'l1': 10.0}",
        ]
    )
    model = train(config, tmp_path / "run", "none").model
    wide = model.get_layer("wide").weight_of_value
    assert not any(np.asarray(shard).any() for shard in wide.shards)
    deep = np.asarray(model.get_layer("embedding").shards[0])
    assert (deep[1:] != 0).all()


def test_options_reach_the_tables(prepared):
    from pipelines.train import build_model

    config = Config(data="x").replaced(["embedding_options.num_shards=3"])
    model = build_model(config, Schema.load(prepared))
    assert len(model.get_layer("embedding").shards) == 3


def test_negatives_left_out(prepared, tmp_path):
    """Positive examples all stay; the negatives that do weigh more. The run trains."""
    from pipelines.from_config import training_data
    from pipelines.train import train

    schema = Schema.load(prepared)
    config = Config(
        data=str(prepared), model="logistic_regression", batch_size=32, epochs=1
    )
    half = config.replaced(["down_sampling.rate=0.5", "down_sampling.seed=1"])

    def columns(config):
        batches = [batch[1:] for batch in training_data(config, schema)]
        labels = np.concatenate([labels["click"] for labels, _ in batches])
        return labels[:, 0], np.concatenate([w["click"] for _, w in batches]).ravel()

    labels, weights = columns(config)
    kept, heavier = columns(half)
    assert kept.sum() == labels.sum() > 0
    assert 0 < (kept == 0).sum() < (labels == 0).sum()
    assert set(heavier[kept == 0]) <= set(2 * weights)
    assert set(heavier[kept == 1]) <= set(weights)
    assert np.isfinite(train(half, tmp_path / "half", "none").history["loss"]).all()

    for wrong in ({"seed": 1}, {"rate": 0.5, "weigh": False}):
        with pytest.raises(ValueError, match="must have a rate and takes"):
            training_data(Config(data=str(prepared), down_sampling=wrong), schema)


def test_a_finished_run_is_left_alone_and_another_is_refused(run, config_file):
    from pipelines.config import load_config
    from pipelines.train import is_finished

    workdir, _ = run
    settings = [
        "epochs=2",
        "dtype_policy=mixed_bfloat16",
        "model_arguments.dropout=0.1",
        "steps_per_execution=2",
    ]
    same = load_config(str(config_file)).replaced(settings)
    assert is_finished(same, workdir)
    assert not is_finished(same, workdir.parent / "none")
    with pytest.raises(
        ValueError, match=r"holds a run of another configuration.*--overwrite"
    ):
        is_finished(same.replaced(["epochs=3"]), workdir)


def test_clearing_a_run_removes_what_is_its_own(tmp_path):
    from keras_recs.training.run_identity import clear_run

    (tmp_path / "checkpoints").mkdir()
    for name in (
        "model.keras",
        "checkpoints/best.weights.h5",
        "thesis.txt",
        "config.json",
    ):
        (tmp_path / name).write_text("x")
    clear_run(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.json", "thesis.txt"]
