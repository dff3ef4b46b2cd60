"""A log of events, through every program, to what its export recommends."""

import contextlib
import json

import numpy as np
import pytest

from keras_recs import Schema
from pipelines.config import Config
from pipelines.from_config import build_model, loss_of, training_data
from serving.json_predict import predict_inputs, predict_json
from serving.load_version import load_version
from serving.predict import predict_arrays
from tests.preloaded import run_preloaded
from tests.samples import click_schema

# Programs one after another in one process, each with flags of its own.
PROGRAMS = """
import json, runpy, sys
from absl import app, flags, logging
base = set(flags.FLAGS)
for program, *arguments in json.loads(sys.argv[1]):
    for name in set(flags.FLAGS) - base:
        delattr(flags.FLAGS, name)
    flags.FLAGS.unparse_flags()
    sys.argv = [program, *arguments]
    try:
        runpy.run_module("pipelines." + program, run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise
"""
ITEMS, USERS, LENGTH = 12, 90, 6


def write_log(path):
    """Each item is followed by the next number; a user's last one may be new."""
    rng = np.random.default_rng(0)
    lines = ["user,item,time"]
    for user in range(USERS):
        start = rng.integers(ITEMS)
        for place in range(rng.integers(5, 10)):
            lines.append(f"u{user},i{(start + place) % ITEMS},{place}")
    lines.append("u0,new,99")
    path.write_text("\n".join([lines[0], *rng.permutation(lines[1:])]) + "\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the programs leave."""
    folder = tmp_path_factory.mktemp("sequences")
    write_log(folder / "log.csv")
    histories, prepared, run = folder / "histories", folder / "prepared", folder / "run"
    config = {
        "data": str(prepared),
        "model": "sasrec",
        "model_arguments": {
            "embedding_dim": 16,
            "num_layers": 1,
            "dropout": 0.0,
            "num_negatives": 4,
            "seed": 0,
        },
        "loss": {"name": "GeneralizedBinaryCrossentropy"},
        "learning_rate": 0.02,
        "batch_size": 32,
        "epochs": 12,
        "patience": 12,
    }
    (folder / "config.json").write_text(json.dumps(config))
    arguments = {
        "histories": f"--input={folder / 'log.csv'} --output={histories} --user=user "
        f"--item=item --time=time --max_length={LENGTH} --stride={LENGTH} "
        "--num_processes=1",
        "prepare": f"--schema={histories / 'schema.json'} --output={prepared} "
        f"--input={histories / 'train.jsonl'} "
        f"--valid_input={histories / 'valid.jsonl'} "
        f"--test_input={histories / 'test.jsonl'} --num_shards=2 --num_processes=1",
        "train": f"--config={folder / 'config.json'} --workdir={run}",
        "evaluate": f"--workdir={run} --data={prepared}/test-*",
        "export": f"--workdir={run} --export_dir={folder / 'export'} --top_k=3 "
        f"--data={prepared}/test-*",
    }
    commands = [[program, *text.split()] for program, text in arguments.items()]
    done = run_preloaded("-c", PROGRAMS, json.dumps(commands))
    return folder, done.stdout


def test_metrics(folder):
    path, output = folder
    found = json.loads((path / "run" / "metrics.json").read_text())["test"]["item"]
    for k in (5, 10, 20):
        assert {f"{m}@{k}" for m in ("hit_rate", "ndcg", "mrr", "recall")} < set(found)
    assert found["items"] == ITEMS and found["examples"] == USERS
    assert found["unknown_targets"] == 1, "the new item of one user"
    # All but that one are foreseen; with seen items among the candidates too.
    assert found["hit_rate@5"] == pytest.approx((USERS - 1) / USERS, abs=0.03)
    low, high = found["ndcg@10_low"], found["ndcg@10_high"]
    assert low < found["ndcg@10"] < high
    assert found["coverage@12"] == 1 and 0 <= found["exposure_gini@12"] < 1
    assert found["novelty@12"] > 0 and found["exclude_seen"] == 1
    for name in ("test_ranks.png", "training.png"):
        plot = path / "run" / "plots" / name
        assert plot.read_bytes()[:4] == b"\x89PNG" and name in output
    history = (path / "run" / "history.csv").read_text().splitlines()[0]
    assert "val_ndcg@10" in history


def test_the_server_answers(folder):
    """With its manifest and warm-up requests, in the JSON of REST."""
    path, _ = folder
    rows = [["i3", "i4", "i5", ""], ["i10", "i11", "i0", "new"], [""] * 4]
    with contextlib.closing(
        load_version("sasrec", 1, path / "export" / "1", require_manifest=True)
    ) as servable:
        signature = servable.signatures["recommend"]
        inputs, in_rows = predict_inputs({"instances": rows}, signature.inputs)
        outputs = predict_arrays(servable, signature, inputs)
    answers = json.loads(predict_json(outputs, in_rows))["predictions"]
    assert answers[0]["items"][0] == "i6"
    assert not {"i10", "i11", "i0", "new", ""} & set(answers[1]["items"])
    for answer in answers:
        assert len(set(answer["items"])) == 3
        assert answer["scores"] == sorted(answer["scores"], reverse=True)


def test_what_the_configuration_says(folder):
    data = str(folder[0] / "prepared")
    schema = Schema.load(data)
    config = Config(data=data, model="bert4rec", masking={"mask_rate": 0.5})
    model = build_model(config, schema)
    assert loss_of(config, schema, model) is None
    _, y = next(iter(training_data(config, schema, 4, model=model)))
    assert y["places"].shape == (4, 3)
    config = Config(data=data, model="sasrec", loss={"name": "SampledSoftmax"})
    model = build_model(config, schema)
    assert type(loss_of(config, schema, model)).__name__ == "SampledSoftmax"
    _, y = next(iter(training_data(config, schema, 4, model=model)))
    assert set(y) == {"next_item"}


def test_bad_configurations(folder, tmp_path):
    data = str(folder[0] / "prepared")
    schema = Schema.load(data)
    model = build_model(Config(data=data, model="sasrec"), schema)

    def make(**options):
        return Config(data=data, model="sasrec", **options)

    with pytest.raises(ValueError, match=r"`masking` is for a model of masked.*0\.5"):
        training_data(make(masking={"mask_rate": 0.5}), schema, model=model)
    with pytest.raises(ValueError, match=r"`loss` is for a model.*loss=\{'name': 'x"):
        loss_of(make(loss={"name": "x"}), schema, model)
    with pytest.raises(ValueError, match=r"`loss`: .*unexpected keyword.*'heat'"):
        loss_of(make(loss={"name": "SampledSoftmax", "heat": 1}), schema, model)
    (tmp_path / "vocabularies").mkdir()
    labelled = click_schema(tmp_path / "vocabularies")
    with pytest.raises(ValueError, match=r"`loss` is for.*labels=\['click', 'rating"):
        loss_of(make(loss={"name": "SampledSoftmax"}), labelled, None)
