"""Tiny SavedModels with every kind of signature, and servers in child processes."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading

import pytest

ROOT = pathlib.Path(__file__).parents[2]
START_SECONDS = 60
ECHO_TYPES = (
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint32",
    "uint64",
    "bool",
    "string",
)


def export_model(folder, offset=0.0):
    """Writes a SavedModel; `offset` is added to every score, to tell versions apart."""
    import tensorflow as tf

    module = tf.Module()
    module.offset = tf.Variable(float(offset))

    def parse(examples):
        spec = {
            "age": tf.io.FixedLenFeature([], tf.float32, 0.0),
            "clicks": tf.io.FixedLenFeature([], tf.int64, 0),
            "country": tf.io.FixedLenFeature([], tf.string, b""),
        }
        row = tf.io.parse_example(examples, spec)
        bonus = tf.where(row["country"] == b"de", 100.0, 0.0)
        return row["age"] + tf.cast(row["clicks"], tf.float32) + bonus + module.offset

    def half_plus(x):
        return {"y": x * 0.5 + module.offset}

    def mixed(age, clicks, country):
        clicks_sum = tf.reduce_sum(tf.cast(clicks, tf.float32), axis=1)  # (B,)
        score = age + clicks_sum + module.offset
        return {
            "score": score[:, None],
            "label": tf.strings.join([b"c:", country]),
            "raw_bytes": country,
        }

    def echo(**inputs):
        return {f"{name}_out": tf.identity(value) for name, value in inputs.items()}

    def slow(seconds):
        start = tf.timestamp()
        limit = tf.cast(tf.reduce_max(seconds), tf.float64)
        rounds = tf.while_loop(
            lambda i: tf.timestamp() - start < limit, lambda i: (i + 1,), (0,)
        )[0]
        return {"y": seconds * 0.5 + module.offset + 0.0 * tf.cast(rounds, tf.float32)}

    def classify(inputs):
        score = parse(inputs)[:, None]  # (B, 1)
        classes = tf.broadcast_to(tf.constant(["no", "yes"]), [tf.shape(inputs)[0], 2])
        return {"classes": classes, "scores": tf.concat([-score, score], axis=1)}

    def spec(name, dtype, *shape):
        return tf.TensorSpec([None, *shape], dtype, name)

    functions = {
        "serving_default": (half_plus, [spec("x", "float32")]),
        "mixed": (
            mixed,
            [
                spec("age", "float32"),
                spec("clicks", "int64", 2),
                spec("country", "string"),
            ],
        ),
        "echo": (echo, [spec(t, t) for t in ECHO_TYPES]),
        "matrix": (
            lambda m: {"sum": tf.reduce_sum(m, [1, 2])},
            [spec("m", "float32", None, None)],
        ),
        "scalar": (lambda x: {"total": tf.reduce_sum(x)}, [spec("x", "float32")]),
        "half_in": (lambda x: {"y": tf.cast(x, "float32")}, [spec("x", "float16")]),
        "half_out": (lambda x: {"y": tf.cast(x, "float16")}, [spec("x", "float32")]),
        "slow": (slow, [spec("seconds", "float32")]),
        "serve_tf_example": (
            lambda examples: {"score": parse(examples)},
            [spec("examples", "string")],
        ),
        "classify": (classify, [spec("inputs", "string")]),
        "regress": (
            lambda inputs: {"outputs": parse(inputs)},
            [spec("inputs", "string")],
        ),
    }
    signatures = {
        key: tf.function(function).get_concrete_function(**{s.name: s for s in specs})
        for key, (function, specs) in functions.items()
    }
    tf.saved_model.save(module, str(folder), signatures=signatures)
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(
        str(folder)
    )
    for key in ("classify", "regress"):
        updater.replace_method_name(
            signature_key=key, method_name=f"tensorflow/serving/{key}"
        )
    updater.save()
    return pathlib.Path(folder)


@pytest.fixture(scope="session")
def echo_types():
    """Types of the signature `echo`, which returns input `t` as output `t_out`."""
    return ECHO_TYPES


@pytest.fixture(scope="session")
def saved_models(tmp_path_factory):
    """Folder with the SavedModels `1`, offset 1, and `2`, offset 2."""
    folder = tmp_path_factory.mktemp("saved_models")
    for version in (1, 2):
        export_model(folder / str(version), offset=version)
    return folder


class ServerProcess:
    """A running server: addresses, process and what it printed."""

    def __init__(self, process):
        self.process = process
        self.lines = []
        self.ready = threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith("Ready."):
                self.ready.set()
        self.ready.set()

    def _address(self, name):
        pattern = re.compile(rf"{name} listens on (\S+)")
        return next(m[1] for line in self.lines if (m := pattern.match(line)))

    @property
    def grpc(self):
        return self._address("gRPC")

    @property
    def rest(self):
        return f"http://{self._address('REST')}"

    @property
    def output(self):
        return "\n".join(self.lines)

    def kill(self):
        """Ends this process and no other, whatever state it is in."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=10)
        self.reader.join(timeout=10)
        self.process.stdout.close()


@pytest.fixture(scope="session")
def start_server():
    """Function of flags that returns a running `ServerProcess`."""
    servers = []

    def start(*flags, wait=True):
        command = [sys.executable, "-m", "serving.server", "--port=-1"]
        command += ["--rest_api_port=-1", "--file_system_poll_wait_seconds=0.1", *flags]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        )
        server = ServerProcess(process)
        servers.append(server)
        if wait:
            assert server.ready.wait(START_SECONDS), server.output
            assert process.poll() is None, server.output
        return server

    yield start
    for server in servers:
        server.kill()


@pytest.fixture(scope="session")
def served(start_server, saved_models, tmp_path_factory):
    """Server of `demo` (newest version) and `both` (versions 1 and 2, labels)."""
    config = tmp_path_factory.mktemp("config") / "models.config"
    config.write_text(
        f"""model_config_list {{
          config {{
            name: "demo" base_path: "{saved_models}" model_platform: "tensorflow"
          }}
          config {{
            name: "both" base_path: "{saved_models}" model_platform: "tensorflow"
            model_version_policy {{ all {{}} }}
            version_labels {{ key: "stable" value: 1 }}
            version_labels {{ key: "canary" value: 2 }}
          }}
        }}"""
    )
    return start_server(f"--model_config_file={config}", "--max_request_bytes=1000000")
