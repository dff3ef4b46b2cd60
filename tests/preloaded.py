"""Processes that have TensorFlow imported when they start.

To import it takes longer than what most tests want of a process. A template of
`multiprocessing` imports it once; each process is a copy of that, which has done nothing with it
yet. For tests of what a process imports, of its environment's variables that TensorFlow reads at
its import, and of how it ends `subprocess` is right.
"""

import contextlib
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_MODULES = [
    "tensorflow",
    "keras",
    "numpy",
    "keras_recs.data",
    "keras_recs.evaluation",
    "keras_recs.export",
    "keras_recs.models",
    "keras_recs.optimizers",
    "keras_recs.preprocessing",
    "keras_recs.training",
    "tests.preloaded",
]


class Preloaded:
    """A process that runs Python in the checkout, with what tests use of `subprocess.Popen`.

    Args:
        *arguments: of the interpreter: `"-m"` and a module or `"-c"` and code, and then
            those of the program.
        with_errors: bool. What it writes to stderr is with what it says.
        **environment: variables beside this process's own.

    Attributes:
        pid: int.
        returncode: int, or `None` while it runs.
    """

    def __init__(self, *arguments, with_errors=True, **environment):
        self._folder = tempfile.TemporaryDirectory()
        self._paths = [os.path.join(self._folder.name, name) for name in ("out", "err")]
        if with_errors:
            self._paths[1] = self._paths[0]
        for path in self._paths:
            open(path, "w").close()
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_MODULES)
        self._process = context.Process(
            target=_run,
            args=(
                [str(a) for a in arguments],
                {**os.environ, **environment},
                self._paths,
            ),
        )
        self._process.start()
        self.pid = self._process.pid

    @property
    def returncode(self):
        return self._process.exitcode

    def poll(self):
        return self.returncode

    def wait(self, timeout=None):
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("preloaded", timeout, output=self.said())
        return self.returncode

    def send_signal(self, number):
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self):
        if self.returncode is None:
            self._process.kill()

    def said(self, kind=0):
        """What it has said so far."""
        with open(self._paths[kind], encoding="utf-8") as file:
            return file.read()

    def close(self):
        """Ends it, if it runs."""
        self.kill()
        self._process.join()
        self._folder.cleanup()


def run_preloaded(*arguments, check=True, seconds=180, **environment):
    """Runs Python with a hard time limit.

    Returns:
        `subprocess.CompletedProcess` with its stdout and stderr as text.
    """
    process = Preloaded(*arguments, with_errors=False, **environment)
    try:
        status = process.wait(seconds)
        out, err = process.said(), process.said(1)
    finally:
        process.close()
    if check:
        assert status == 0, err[-4000:]
    return subprocess.CompletedProcess(arguments, status, out, err)


def _run(arguments, environment, paths):
    """In the process."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    if ROOT not in sys.path:
        sys.path.insert(0, ROOT)
    flags = os.O_WRONLY | os.O_APPEND
    for number, path in enumerate(paths, 1):
        file = os.open(path, flags)
        os.dup2(file, number)
        os.close(file)
    kind, what, *rest = arguments
    sys.argv = [what if kind == "-m" else "-c", *rest]
    if kind == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        assert kind == "-c", arguments
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
