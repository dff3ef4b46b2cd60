"""`pipelines.launch_local`: processes that train together, and are started anew."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.harness import ROOT
from tests.processes import all_ended, children_of

SECONDS = 120
pytestmark = pytest.mark.distributed

# Fails in the first process until a file is there that the second try finds.
FAILS_ONCE = """
import json, os, pathlib, sys
task = json.loads(os.environ["TF_CONFIG"])["task"]
mark = pathlib.Path(sys.argv[1]) / "tried"
print("hello from", task["index"], flush=True)
if task["index"] == 1 and not mark.exists():
    mark.touch()
    sys.exit(3)
if not mark.exists() or (task["index"] == 0 and os.environ.get("SLOW")):
    import time
    time.sleep(600)
"""


def launch(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines.launch_local", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def run_launch(*arguments):
    process = launch(*arguments)
    try:
        output, _ = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
        process.wait()
    return process.returncode, output


def test_all_start_anew_where_one_dies(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(FAILS_ONCE)
    command = ["--", "python", script, tmp_path]
    status, output = run_launch("--max_restarts=1", "--grace_seconds=2", *command)
    assert status == 0, output
    assert output.count("worker 0 | hello from 0") == 2
    assert output.count("worker 1 | hello from 1") == 2
    assert "worker 1 ended with status 3; all start anew" in output

    (tmp_path / "tried").unlink()
    status, output = run_launch("--max_restarts=0", "--grace_seconds=2", *command)
    assert status == 1
    assert "worker 1 ended with status 3, and --max_restarts=0 is used up" in output

    status, output = run_launch("--workers=2")
    assert status == 1
    assert "A command must follow `--`" in output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_all(number, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(FAILS_ONCE)
    (tmp_path / "tried").touch()
    process = launch(
        "--grace_seconds=5",
        "--",
        "python",
        script,
        tmp_path,
        env={**os.environ, "SLOW": "1"},
    )
    try:
        while "hello from 0" not in process.stdout.readline():
            pass
        children = children_of(process.pid)
        assert children
        process.send_signal(number)
        assert process.wait(SECONDS) == 128 + number
        assert all_ended(children, 5)
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


# A worker dies once, then a parameter server; the chief, when it is started the second
# time, ends when all others were started as often as they should.
BESIDE_SERVERS = """
import json, os, pathlib, sys, time
task = json.loads(os.environ["TF_CONFIG"])["task"]
folder = pathlib.Path(sys.argv[1])
name = f"{task['type']}-{task['index']}"
times = len(list(folder.glob(f"{name}.*")))
(folder / f"{name}.{os.getpid()}").touch()
def wait_for(name, count):
    while len(list(folder.glob(f"{name}.*"))) < count:
        time.sleep(0.01)
if name == "worker-1" and times == 0:
    sys.exit(1)
if name == "ps-0" and times == 0:
    wait_for("worker-1", 2)
    sys.exit(1)
if name == "chief-0" and times == 1:
    for other, count in json.loads(sys.argv[2]).items():
        wait_for(other, count)
    sys.exit(0)
time.sleep(600)
"""


def test_beside_servers_a_lost_worker_starts_alone(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(BESIDE_SERVERS)
    expected = {"chief-0": 2, "worker-0": 2, "worker-1": 3, "ps-0": 2, "ps-1": 2}
    command = ["--", "python", script, tmp_path, json.dumps(expected)]
    status, output = run_launch("--ps=2", "--grace_seconds=5", *command)
    assert status == 0, output
    assert "worker 1 ended with status 1; it starts anew" in output
    assert "ps 0 ended with status 1; all start anew" in output
    starts = {name: len(list(tmp_path.glob(f"{name}.*"))) for name in expected}
    assert starts == expected


@pytest.mark.large
def test_a_run_of_two_workers_that_is_killed(prepared, tmp_path):
    """`pipelines.train` under the launcher; a worker is killed in its course."""
    workdir = tmp_path / "run"
    arguments = ["--config=pipelines/configs/synthetic_deepfm.py"]
    arguments += [f"--workdir={workdir}", "--strategy=multi_worker_mirrored"]
    for setting in (
        f"data={prepared}",
        "batch_size=8",
        "epochs=2",
        "model_arguments={'embedding_dim': 4, 'hidden_units': (8,)}",
    ):
        arguments += ["--set", setting]
    arguments.append("--checkpoint_steps=4")
    command = ["--workers=2", "--", "python", "-m", "pipelines.train", *arguments]
    process = launch(*command)
    lines, killed = [], False
    deadline = time.monotonic() + SECONDS
    try:
        checkpoints = workdir / "checkpoints"
        while not killed and process.poll() is None and time.monotonic() < deadline:
            if list(checkpoints.glob("state-*.npz")):
                os.kill(children_of(process.pid)[1], signal.SIGKILL)
                killed = True
            time.sleep(0.01)
        lines, _ = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
        process.wait()
    assert killed
    assert process.returncode == 0, lines
    assert "all start anew" in lines
    assert (workdir / "model.keras").exists()
    history = (workdir / "history.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in history] == ["epoch", "0", "1"]
    assert json.loads((workdir / "config.json").read_text())["batch_size"] == 8
