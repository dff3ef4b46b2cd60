r"""Builds the environments of the peers, each in `.venv-peers/<peer>`.

An environment is built when it is missing or its requirements have changed. A peer
whose installation fails is reported and left out; the others go on. keras_recs and
stock Keras need none: they run where the benchmark runs.

  python benchmarks/peers/build_venvs.py --peers=torchrec,deepctr

A requirements file is read in steps, one `pip install` each: `# step` begins the next
one, `# step --no-deps` one without dependencies, and `# remove NAME` uninstalls a
package at the end.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PEERS = tuple(sorted(path.stem for path in (HERE / "requirements").glob("*.txt")))
# They run where the benchmark runs.
OWN = ("keras_recs", "stock_keras", "matrix_products")
STAMP = ".requirements-sha256"


def digest(peer: str) -> str:
    """What the stamp of an environment that is up to date holds."""
    requirements = (HERE / "requirements" / f"{peer}.txt").read_bytes()
    return hashlib.sha256(requirements).hexdigest()


def is_current(venv: Path, peer: str) -> bool:
    """Whether the environment is there and was built from these requirements."""
    stamp = venv / STAMP
    return stamp.exists() and stamp.read_text().strip() == digest(peer)


def read_steps(peer: str) -> tuple[list[list[str]], list[str]]:
    """Arguments of each `pip install`, and the packages that are removed after."""
    steps: list[list[str]] = [[]]
    removed = []
    path = HERE / "requirements" / f"{peer}.txt"
    for line in path.read_text(encoding="utf-8").splitlines():
        words = line.partition(":")[0].split()
        if words[:2] == ["#", "step"]:
            steps.append(words[2:])
        elif words[:2] == ["#", "remove"]:
            removed += words[2:]
        elif line.strip() and not line.startswith("#"):
            steps[-1].append(line.strip())
    return steps, removed


def build(peer: str, venv: Path, python: str, timeout: float) -> None:
    """Makes the environment anew; raises where a command fails."""
    shutil.rmtree(venv, ignore_errors=True)
    steps, removed = read_steps(peer)
    pip = [str(venv / "bin" / "python"), "-m", "pip"]
    commands = [[python, "-m", "venv", str(venv)]]
    commands += [[*pip, "install", "--quiet", *step] for step in steps]
    commands += [[*pip, "uninstall", "--quiet", "--yes", name] for name in removed]
    for number, command in enumerate(commands, 1):
        what = " ".join(command[3:])
        print(f"  {peer} {number}/{len(commands)}: {what}", flush=True)
        subprocess.run(
            command, check=True, timeout=timeout, capture_output=True, text=True
        )
    (venv / STAMP).write_text(digest(peer) + "\n")


def main() -> int:
    """Builds what is asked for; the number of peers that failed is the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", default=",".join(PEERS), help="Names, with commas.")
    parser.add_argument("--folder", type=Path, default=ROOT / ".venv-peers")
    parser.add_argument("--python", default=sys.executable, help="Interpreter to copy.")
    parser.add_argument("--timeout", type=float, default=900, help="Seconds a command.")
    arguments = parser.parse_args()
    peers = arguments.peers.split(",")
    if unknown := set(peers) - set(PEERS + OWN):
        names = ", ".join(PEERS + OWN)
        parser.error(f"--peers must be among {names}. Received: {unknown}")
    failed = []
    for peer in peers:
        if peer in OWN:
            continue
        venv = arguments.folder / peer
        if is_current(venv, peer):
            print(f"{peer}: up to date in {venv}", flush=True)
            continue
        print(f"{peer}: builds {venv}", flush=True)
        start = time.perf_counter()
        try:
            build(peer, venv, arguments.python, arguments.timeout)
        except (subprocess.SubprocessError, OSError) as error:
            reason = (getattr(error, "stderr", None) or str(error)).strip()
            print(f"{peer}: FAILED, left out\n{reason[-2000:]}", flush=True)
            failed.append(peer)
        else:
            seconds = time.perf_counter() - start
            print(f"{peer}: built in {seconds:.0f} s", flush=True)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
