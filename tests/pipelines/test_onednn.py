"""What the programs set before TensorFlow is imported."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("given, expected", [(None, "1"), ("0", "0")])
def test_programs_multiply_by_onednn_unless_the_user_says_no(given, expected):
    environment = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    if given is not None:
        environment["TF_ENABLE_ONEDNN_OPTS"] = given
    program = (
        "import os, sys, pipelines; assert 'tensorflow' not in sys.modules; "
        "print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == expected
