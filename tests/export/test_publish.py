"""Versions that appear whole, in any order of processes."""

import os
import signal
import subprocess
import sys

import pytest

from keras_recs.export.publish import check_version, publish, temporary_folder
from tests.export.small_models import Watcher

FILES = [f"part{number}/data" for number in range(20)]

ENVIRONMENT = {**os.environ, "KERAS_RECS_WITHOUT_KERAS": "1"}

PUBLISHER = """
import sys
from pathlib import Path
from keras_recs.export.publish import publish, temporary_folder

base, count, files = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
print("ready", flush=True)
sys.stdin.readline()
for _ in range(count):
    with temporary_folder(base) as folder:
        for file in files:
            (folder / file).parent.mkdir()
            (folder / file).write_bytes(b"x" * 10_000)
        print(publish(folder, base, None).name)
"""

KILLED = """
import os, signal, sys
from keras_recs.export.publish import temporary_folder

with temporary_folder(sys.argv[1]) as folder:
    (folder / "saved_model.pb").write_bytes(b"x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_publishers_at_the_same_time(tmp_path):
    command = [sys.executable, "-c", PUBLISHER, tmp_path, "15", *FILES]
    processes = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
        )
        for _ in range(3)
    ]
    try:
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        with Watcher(tmp_path, FILES) as watcher:
            for process in processes:
                process.stdin.write("go\n")
                process.stdin.flush()
            texts = [process.communicate(timeout=60)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    numbers = [[int(line) for line in text.split()] for text in texts]
    assert sorted(n for own in numbers for n in own) == list(range(1, 46))
    assert all(own == sorted(own) for own in numbers)
    assert watcher.incomplete == []
    assert {p.name for p in tmp_path.iterdir()} == {str(n) for n in range(1, 46)}


def test_a_killed_publisher_leaves_no_version(tmp_path):
    command = [sys.executable, "-c", KILLED, tmp_path]
    result = subprocess.run(command, timeout=60, env=ENVIRONMENT)
    assert result.returncode == -signal.SIGKILL
    assert all(path.name.startswith(".tmp-") for path in tmp_path.iterdir())
    with temporary_folder(tmp_path) as folder:
        assert publish(folder, tmp_path, None).name == "1"


def test_a_failure_leaves_nothing(tmp_path):
    with pytest.raises(KeyError), temporary_folder(tmp_path / "new") as folder:
        (folder / "deep").mkdir()
        raise KeyError
    assert list((tmp_path / "new").iterdir()) == []


def test_a_version_taken_in_between(tmp_path):
    with temporary_folder(tmp_path) as folder:
        (folder / "file").write_text("mine")
        (tmp_path / "4").mkdir()
        (tmp_path / "4" / "file").write_text("theirs")
        with pytest.raises(ValueError, match=r"version=4, which exists"):
            publish(folder, tmp_path, 4)
        assert (tmp_path / "4" / "file").read_text() == "theirs"
        assert publish(folder, tmp_path, None).name == "5"


def test_a_file_with_a_number_for_a_name(tmp_path):
    (tmp_path / "2").write_text("")
    with temporary_folder(tmp_path) as folder:
        assert publish(folder, tmp_path, None).name == "3"


def test_a_version_can_be_read_by_others(tmp_path):
    umask = os.umask(0o022)
    try:
        with temporary_folder(tmp_path) as folder:
            mode = publish(folder, tmp_path, None).stat().st_mode
    finally:
        os.umask(umask)
    assert mode & 0o777 == 0o755


@pytest.mark.parametrize("version", [0, -1, 1.0, "1", True])
def test_a_version_that_is_no_number(tmp_path, version):
    with pytest.raises(ValueError, match="`version` must be a positive integer"):
        check_version(tmp_path, version)


def test_a_remote_folder():
    with pytest.raises(ValueError, match="`directory` must be a local folder"):
        check_version("gs://bucket/model", None)
