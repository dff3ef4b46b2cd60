"""How a program ends."""

import pytest

from tests.harness import run_python

PROGRAM = """
from pipelines.run_program import run_program

def main(_):
    raise {}

run_program(main)
"""


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        ("ValueError('a fix')", 1, "-c: a fix"),
        ("KeyboardInterrupt", 130, "-c: interrupted; the same command goes on"),
    ],
)
def test_an_end_without_a_traceback(error, code, message):
    done = run_python("-c", PROGRAM.format(error), check=False)
    assert done.returncode == code
    assert done.stderr.strip() == message


ONEDNN = """
import os
from pipelines.run_program import run_program

run_program(lambda _: print(os.environ["TF_ENABLE_ONEDNN_OPTS"]))
"""


@pytest.mark.parametrize(("given", "expected"), [(None, "1"), ("0", "0")])
def test_products_are_by_onednn_unless_the_user_says_no(given, expected, monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    environment = {"TF_ENABLE_ONEDNN_OPTS": given} if given else {}
    assert run_python("-c", ONEDNN, **environment).stdout.strip() == expected
