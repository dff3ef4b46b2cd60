"""GRU4Rec on sessions, S3-Rec after its pre-training and SASRec that reads more of its
events than their items, through the programs."""

import contextlib
import csv
import itertools
import json
import signal

import numpy as np
import pytest

from keras_recs import Schema, data
from pipelines.config import Config
from pipelines.from_config import build_model, training_data
from serving.json_predict import predict_inputs, predict_json
from serving.load_version import load_version
from serving.predict import predict_arrays
from tests.pipelines.test_sequences import ITEMS, LENGTH, PROGRAMS, USERS, write_log
from tests.preloaded import run_preloaded

GRU4REC = {
    "model": "gru4rec",
    "model_arguments": {"hidden_units": [16], "num_negatives": 4, "seed": 0},
    "session": {"num_steps": 3, "num_negatives": 6, "alpha": 0.5},
    "loss": {"name": "BPRMax"},
    "learning_rate": 0.03,
    "batch_size": 8,
    "epochs": 6,
    "patience": 6,
}
S3REC = {
    "model": "s3rec",
    "model_arguments": {
        "embedding_dim": 16,
        "num_layers": 1,
        "hidden_units": 16,
        "dropout": 0.0,
        "num_negatives": 2,
        "seed": 0,
    },
    "learning_rate": 0.02,
    "batch_size": 64,
    "epochs": 6,
    "patience": 6,
}


SASREC = {
    "model": "sasrec",
    "model_arguments": {
        "items": {"items": "item", "features": ["way"]},
        "embedding_dim": 16,
        "num_layers": 1,
        "dropout": 0.0,
        "num_negatives": None,
        "seed": 0,
    },
    "exclude_seen": False,
    "learning_rate": 0.02,
    "batch_size": 32,
    "epochs": 16,
    "patience": 16,
}


def write_ways(path):
    """After an event that goes up the next item follows, else the last one."""
    rng = np.random.default_rng(0)
    lines = ["user,item,time,way"]
    for user in range(USERS):
        item = rng.integers(ITEMS)
        for place in range(rng.integers(6, 12)):
            step = rng.choice([-1, 1])
            lines.append(f"u{user},i{item},{place},{'up' if step > 0 else 'down'}")
            item = (item + step) % ITEMS
    path.write_text("\n".join(lines) + "\n")


def write_items(path):
    """The parity of an item, and a colour that some have; one that the log lacks."""
    lines = ["thing,kind,colours"]
    for number in range(ITEMS):
        colours = "red|blue" if number % 3 == 0 else "red" if number % 3 == 1 else ""
        lines.append(f"i{number},{'even' if number % 2 == 0 else 'odd'},{colours}")
    path.write_text("\n".join([*lines, "elsewhere,new,green"]) + "\n")


def prepare_commands(log, histories, prepared, options=""):
    return [
        f"histories --input={log} --output={histories} --user=user --item=item "
        f"--time=time --max_length={LENGTH} --num_processes=1 {options}",
        f"prepare --schema={histories}/schema.json --output={prepared} "
        f"--input={histories}/train.jsonl --valid_input={histories}/valid.jsonl "
        f"--test_input={histories}/test.jsonl --num_shards=2 --num_processes=1",
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the programs leave."""
    folder = tmp_path_factory.mktemp("sequence_models")
    write_log(folder / "log.csv")
    write_items(folder / "items.csv")
    prepared = str(folder / "prepared")
    attributes = {
        "files": str(folder / "items.csv"),
        "columns": ["kind", "colours"],
        "item_column": "thing",
    }
    pretrain = S3REC["model_arguments"] | {"stage": "pretrain"}
    configs = {
        "gru4rec": GRU4REC,
        "pretrain": S3REC
        | {"model_arguments": pretrain, "attributes": attributes, "epochs": 2},
        "s3rec": S3REC
        | {"start_from": str(folder / "pretrain"), "unseen_negatives": True},
        "sasrec": SASREC,
    }
    ways = folder / "ways"
    write_ways(folder / "ways.csv")
    commands = [
        *prepare_commands(folder / "log.csv", folder / "histories", prepared),
        *prepare_commands(
            folder / "ways.csv", folder / "way_histories", ways, "--features=way"
        ),
    ]
    for name, config in configs.items():
        path = folder / f"{name}.json"
        used = str(ways) if name == "sasrec" else prepared
        path.write_text(json.dumps({"data": used, **config}))
        asked = f"--workdir={folder / name} --data={used}/test-*"
        commands += [
            f"train --config={path} --workdir={folder / name}",
            f"evaluate {asked}",
        ]
        if name != "pretrain":
            export = f"--export_dir={folder}/export/{name} --top_k=3"
            commands.append(f"export {asked} {export}")
    done = run_preloaded(
        "-c", PROGRAMS, json.dumps([command.split() for command in commands])
    )
    return folder, done.stdout


@pytest.mark.parametrize("name", ["gru4rec", "s3rec"])
def test_they_learn_what_comes_next(folder, name):
    path, output = folder
    found = json.loads((path / name / "metrics.json").read_text())["test"]["item"]
    assert found["items"] == ITEMS and found["examples"] == USERS
    assert found["hit_rate@5"] == pytest.approx((USERS - 1) / USERS, abs=0.03)
    for plot in ("test_ranks.png", "training.png"):
        plot = path / name / "plots" / plot
        assert plot.read_bytes()[:4] == b"\x89PNG" and str(plot) in output
    assert "val_ndcg@10" in (path / name / "history.csv").read_text()


def ask(path, name, instances):
    """The answers of the server to a request in JSON."""
    version = path / "export" / name / "1"
    with contextlib.closing(
        load_version(name, 1, version, require_manifest=True)
    ) as servable:
        signature = servable.signatures["recommend"]
        inputs, in_rows = predict_inputs({"instances": instances}, signature.inputs)
        outputs = predict_arrays(servable, signature, inputs)
    return json.loads(predict_json(outputs, in_rows))["predictions"]


def test_what_else_is_known_of_events(folder):
    """The next item goes the way of the last event, which another feature tells."""
    path, _ = folder
    found = json.loads((path / "sasrec" / "metrics.json").read_text())["test"]["item"]
    assert found["exclude_seen"] == 0 and found["ndcg@10"] > 0.9  # .82 by chance
    answers = ask(
        path,
        "sasrec",
        [
            {"item": ["i3", "i4", "i5"], "way": ["up", "up", "up"]},
            {"item": ["i3", "i4", "i5"], "way": ["up", "up", "down"]},
        ],
    )
    assert [answer["items"][0] for answer in answers] == ["i6", "i4"]


@pytest.mark.parametrize("name", ["gru4rec", "s3rec"])
def test_the_server_answers(folder, name):
    rows = [["i3", "i4", "i5", ""], ["i10", "i11", "i0", "new"], [""] * 4]
    answers = ask(folder[0], name, rows)
    assert answers[0]["items"][0] == "i6"
    assert not {"i10", "i11", "i0", "new", ""} & set(answers[1]["items"])


def test_the_pretraining_hands_its_weights_on(folder, tmp_path):
    import keras

    from pipelines.train import start_from, train

    path, output = folder
    with open(path / "pretrain" / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[1]["loss"]) < float(rows[0]["loss"])
    plot = path / "pretrain" / "plots" / "training.png"
    assert plot.read_bytes()[:4] == b"\x89PNG" and str(plot) in output
    source = keras.models.load_model(path / "pretrain" / "model.keras")
    table = np.asarray(source.attributes.table)
    schema = Schema.load(path / "prepared")
    names = data_keys(schema)
    # Numbered by column and value: even, odd; blue, red.
    for row, name in enumerate(names, 2):
        number = int(name[1:])
        wanted = [1 + number % 2] + {0: [3, 4], 1: [4], 2: []}[number % 3]
        assert table[row][table[row] > 0].tolist() == wanted
    assert not table[:2].any() and table.max() == 4

    config = Config(**json.loads((path / "s3rec.json").read_text()))
    model = build_model(config, schema)
    start_from(model, path / "pretrain", schema)
    (row,) = np.asarray(model.get_layer("items")(np.array([3])))
    (wanted,) = np.asarray(source.get_layer("items")(np.array([3])))
    np.testing.assert_array_equal(row, wanted)
    with pytest.raises(ValueError, match=r"`start_from` must be the directory of a fi"):
        start_from(model, tmp_path, schema)
    other = Schema.from_json(schema.to_json().replace('"user"', '"person"'))
    with pytest.raises(ValueError, match=r"`start_from` must be a run on the same pre"):
        start_from(model, path / "pretrain", other)
    with pytest.raises(ValueError, match=r"`source` must have all weights.*'s3rec'"):
        train(
            Config(**{**vars(config), "model": "sasrec", "model_arguments": {}}),
            tmp_path,
            "none",
        )


KILLED = """
import os, signal, sys, threading, time
from pathlib import Path
from pipelines.config import load_config
from pipelines.train import train

config, workdir, saves = sys.argv[1:]

def kill():
    names = []
    while max([int(name[6:14]) for name in names], default=0) < int(saves):
        time.sleep(0.001)
        found = Path(workdir).glob("checkpoints/state-*")
        names = [path.name for path in found if ".part" not in path.name]
    os.kill(os.getpid(), signal.SIGKILL)

threading.Thread(target=kill, daemon=True).start()
train(load_config(config), Path(workdir), "none", checkpoint_steps=1)
"""


@pytest.mark.parametrize(("name", "saves"), [("gru4rec", 21), ("pretrain", 8)])
def test_a_killed_run_goes_on(folder, name, saves, tmp_path):
    """In the midst of the second epoch, with the states that were carried."""
    import keras

    from pipelines.train import train

    path, workdir = folder[0], tmp_path / "run"
    config = path / f"{name}.json"
    done = run_preloaded("-c", KILLED, config, workdir, saves, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    assert any((workdir / "checkpoints").glob("state-*"))
    assert not (workdir / "model.keras").exists()
    train(Config(**json.loads(config.read_text())), workdir, "none")
    # As the one that nobody has killed.
    histories = [(run / "history.csv").read_text() for run in (workdir, path / name)]
    assert histories[0] == histories[1]
    found, wanted = (
        keras.models.load_model(run / "model.keras") for run in (workdir, path / name)
    )
    for one, other in zip(found.weights, wanted.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def data_keys(schema):
    from keras_recs.preprocessing.table_keys import table_keys

    return table_keys(schema, "item").tolist()


def test_sessions_are_those_of_the_arrays(folder):
    """Whole histories side by side, also what lies before the last `max_length`."""
    path = folder[0]
    schema = Schema.load(path / "prepared")
    config = Config(data=str(path / "prepared"), **GRU4REC)
    model = build_model(config, schema)
    assert model.get_layer("gru").num_slots == 8
    batches = training_data(config, schema, model=model)
    names = ["", "?", *data_keys(schema)]
    with open(path / "histories" / "train.jsonl") as file:
        sessions = [json.loads(line)["item"] for line in file]
    assert max(map(len, sessions)) > LENGTH
    wanted = sorted(pair for s in sessions for pair in itertools.pairwise(s))
    for _ in range(2):
        found, carried = [], 0
        for inputs, y in batches.as_numpy_iterator():
            rows, targets = inputs["item"], y["next_item"]
            assert rows.shape == (8, 3) and y["negatives"].shape == (6,)
            for slot in range(8):
                for row, target in zip(rows[slot], targets[slot]):
                    if row:
                        found.append((names[row], names[target]))
            carried += (~inputs["starts"][:, 0] & (rows[:, 0] > 0)).sum()
        assert sorted(found) == wanted and carried


def test_attributes_in_other_trainings(folder):
    """Of S3-Rec in one training, and in the items' vectors of SASRec."""
    path = folder[0]
    data_folder, schema = str(path / "prepared"), Schema.load(path / "prepared")
    stored = json.loads((path / "pretrain.json").read_text())
    arguments = stored["model_arguments"] | {"stage": "joint"}
    settings = {"data": data_folder, "attributes": stored["attributes"]}
    config = Config(
        model="s3rec", model_arguments=arguments, unseen_negatives=True, **settings
    )
    model = build_model(config, schema)
    inputs, y = next(iter(training_data(config, schema, 16, model=model)))
    assert inputs["item"].shape == (16, LENGTH) and y["views"].shape == (16, 2, LENGTH)
    assert y["negatives"].shape == (16, LENGTH, 2)
    own = np.asarray(model.attributes.table)
    pairs = [pair for pair in y["item_pairs"].numpy() if pair.all()]
    assert pairs and all(set(own[a]) & set(own[b]) - {0} for a, b in pairs)
    model.compile("adam")
    assert np.isfinite(model.train_on_batch(inputs, y))
    model = build_model(Config(model="sasrec", **settings), schema)
    assert type(model.item_table).__name__ == "AttributedItemTable"
    assert model.item_table.num_attributes == 4


def test_bad_configurations(folder):
    path = str(folder[0] / "prepared")
    schema = Schema.load(path)

    def check(match, **settings):
        config = Config(data=path, **settings)
        with pytest.raises(ValueError, match=match):
            training_data(config, schema, model=build_model(config, schema))

    check(
        r"`session` is for a model of sess.*'sasrec'", model="sasrec", session={"a": 1}
    )
    check(
        r"`session` takes \['num_steps'.*'steps': 2",
        model="gru4rec",
        session={"steps": 2},
    )
    check(
        r"`batch_size` must be the number of the model's slots, 4.*batch_size=1024",
        model="gru4rec",
        model_arguments={"num_slots": 4},
    )
    check(
        r"`unseen_negatives` is for.*'sasrec' with num_negatives=None",
        model="sasrec",
        model_arguments={"num_negatives": None},
        unseen_negatives=True,
    )
    check(
        r"`unseen_negatives` is for.*'gru4rec'", model="gru4rec", unseen_negatives=True
    )
    check(
        r"`attributes`: .*'columns'.*\{'items': None, 'files': 'x'\}",
        model="s3rec",
        attributes={"files": "x"},
    )
    check(
        r"`attributes` are for s3rec, sasrec and bert4rec.*'gru4rec'",
        model="gru4rec",
        attributes={"files": "x", "columns": ["a"]},
    )
    check(
        r"`model_arguments.items` must be the name.*'bert4rec'\) read more.*'s3rec'",
        model="s3rec",
        model_arguments={"items": {"features": ["x"]}},
    )
    check(
        r"`model_arguments.items`: .*'kinds'",
        model="sasrec",
        model_arguments={"items": {"kinds": ["x"]}},
    )
    with pytest.raises(ValueError, match=r"`unseen_negatives` must be True or False"):
        Config(data=path, unseen_negatives=1)
    with pytest.raises(ValueError, match=r"`start_from` must be a run directory or N"):
        Config(data=path, start_from=3)
    from pipelines.train import share_of_batch

    with pytest.raises(ValueError, match=r"`session` is for one device.*2 replicas"):
        share_of_batch(Config(data=path, **GRU4REC), 2, 1)
    assert data.read_histories(f"{path}/train-*", schema)
