"""A prepared folder, as `pipelines.prepare` leaves it, and a run on it."""

import pytest

from tests import samples
from tests.preloaded import run_preloaded

CONFIG = '''
from pipelines.config import Config


def get_config():
    """A tiny run."""
    return Config(
        data="{data}",
        model="deepfm",
        model_arguments={{"embedding_dim": 4, "hidden_units": (8, 4)}},
        batch_size=32,
        epochs=9,
    )
'''


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """Folder with schema, vocabularies and TFRecords of three splits."""
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "vocabularies").mkdir()
    schema = samples.click_schema(folder / "vocabularies")
    schema.save(folder / "schema.json")
    for seed, (split, files, size) in enumerate(
        [("train", 2, 96), ("valid", 1, 48), ("test", 1, 40)]
    ):
        for number in range(files):
            rows = samples.rows_of(samples.click_columns(size, seed=10 * seed + number))
            path = folder / f"{split}-{number}.tfrecord"
            samples.write_records(path, map(samples.example, rows))
    return folder


@pytest.fixture(scope="session")
def config_file(prepared, tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "tiny.py"
    path.write_text(CONFIG.format(data=prepared))
    return path


@pytest.fixture(scope="session")
def run(config_file, tmp_path_factory):
    """The run directory and the output of `python -m pipelines.train`."""
    workdir = tmp_path_factory.mktemp("runs") / "new" / "run"
    done = run_preloaded(
        "-m",
        "pipelines.train",
        f"--config={config_file}",
        f"--workdir={workdir}",
        "--set=epochs=2",
        "--set=dtype_policy=mixed_bfloat16",
        "--set=model_arguments.dropout=0.1",
        "--set=steps_per_execution=2",
    )
    return workdir, done.stdout + done.stderr
