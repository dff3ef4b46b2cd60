"""Worker processes: order, errors, and no orphan or leftover whatever happens."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from keras_recs.preprocessing.reading.process_pool import ProcessPool, WorkerError
from keras_recs.preprocessing.reading.scratch_folder import scratch_folder
from tests.processes import all_ended


class Square:
    """Squares, and counts how many it has squared."""

    def start(self):
        self.count = 0

    def __call__(self, item):
        self.count += 1
        if item == "fail":
            raise ValueError("this item is bad")
        if item == "crash":
            raise KeyError("a defect")
        if item == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.002 * (item % 3))
        print("what a task prints is no answer")
        return item * item

    def finish(self):
        return self.count


@pytest.mark.parametrize("processes", [1, 3])
def test_results_come_in_the_order_of_the_items(processes, capfd):
    taken = []

    def items():
        for item in range(40):
            taken.append(item)
            yield item

    with ProcessPool(processes) as pool:
        for _ in range(2):
            taken.clear()
            finals = []
            for number, result in enumerate(pool.run(Square(), items(), finals)):
                assert result == number * number
                assert len(taken) <= number + 1 + 3 * processes
            assert len(finals) == processes and sum(finals) == 40
        workers = [worker.process.pid for worker in pool._workers]
    assert len(workers) == (processes if processes > 1 else 0)
    assert all_ended(workers, 10)


def test_errors_of_a_task_reach_the_caller_and_end_the_workers():
    for item, error, message in [
        ("fail", ValueError, "this item is bad"),
        ("crash", WorkerError, "KeyError: 'a defect'"),
        ("die", WorkerError, "ended with exit code -9, perhaps for want of memory"),
    ]:
        with ProcessPool(2) as pool:
            with pytest.raises(error, match=message):
                list(pool.run(Square(), [1, 2, item, 3]))
            assert not pool._workers
    with pytest.raises(ValueError, match="`num_processes` must be a positive integer"):
        ProcessPool(True)


def test_a_script_without_a_main_guard_may_fit(tmp_path):
    script = tmp_path / "script.py"
    (tmp_path / "log.csv").write_text("a\nx\ny\nx\n", "utf-8")
    script.write_text(
        textwrap.dedent(
            """
            import keras_recs
            from keras_recs.preprocessing.fit import fit
            print("started")
            schema = keras_recs.Schema([keras_recs.CategoricalFeature("a")])
            print(fit(schema, "log.csv", "out", num_processes=2).tables["a"].num_rows)
            """
        ),
        "utf-8",
    )
    path = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    done = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path, "KERAS_RECS_WITHOUT_KERAS": "1"},
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == [b"started", b"4"]


def test_scratch_folders_go_and_those_of_the_dead_too(tmp_path):
    with scratch_folder(tmp_path, "a[1]") as first:
        (first / "file").write_text("x", "utf-8")
        with scratch_folder(tmp_path, "a[1]") as second, scratch_folder(tmp_path, "b"):
            assert first.exists() and second.exists(), "both are in use"
        assert not second.exists()
    assert list(tmp_path.iterdir()) == []
    dead = tmp_path / ".a[1].scratch-0123"
    other = tmp_path / ".b.scratch-0123"
    for folder in (dead, other):
        folder.mkdir()
        (folder / ".lock").touch()
    with pytest.raises(KeyError), scratch_folder(tmp_path, "a[1]") as folder:
        assert not dead.exists() and other.exists(), "only its own"
        raise KeyError
    assert list(tmp_path.iterdir()) == [other]
