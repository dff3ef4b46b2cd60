"""Runs each peer once, in its own environment, on all problems."""

import functools

import numpy as np
import pytest

from tests.harness import ROOT, run_python
from tests.peers.problems import problems


@pytest.fixture(scope="session")
def answers_of(tmp_path_factory):
    """Function that gives a peer's answers by problem; skips where it is absent."""
    folder = tmp_path_factory.mktemp("peers")
    path = folder / "problems.npz"
    arrays = {
        f"{problem}/{name}": array
        for problem, parts in problems().items()
        for name, array in parts.items()
    }
    np.savez(path, **arrays)

    @functools.cache
    def answers(peer):
        python = ROOT / ".venv-peers" / peer / "bin" / "python"
        if not python.exists():
            return None
        program = ROOT / "tests" / "peers" / f"peer_{peer}.py"
        run_python(program, path, folder / f"{peer}.npz", python=python)
        with np.load(folder / f"{peer}.npz") as file:
            return {name: file[name] for name in file.files}

    def answers_or_skip(peer):
        found = answers(peer)
        if found is None:
            pytest.skip(
                "`make test-peers` builds the environments, `python "
                f"benchmarks/peers/build_venvs.py --peers={peer}` this one"
            )
        return found

    return answers_or_skip
