"""The C API behind `CcSession`."""

import numpy as np
import pytest
import tensorflow as tf

from keras_recs.export.cc_session import CcSession
from keras_recs.export.fresh_process import FreshProcess, Request
from keras_recs.export.tensor_file import read_tensors, write_tensors

TYPES = (
    *("float16", "float32", "float64", "bool"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
)


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    """A SavedModel with a signature for every type, which returns what it is given."""
    folder = str(tmp_path_factory.mktemp("echo"))

    def call(x):
        outputs = {"y": tf.identity(x)}
        if x.dtype == tf.string:
            outputs["upper"] = tf.strings.upper(x)
        elif x.dtype == tf.int32:
            positive = tf.debugging.assert_non_negative(x, "must be ≥ 0")
            with tf.control_dependencies([positive]):
                outputs["checked"] = x + 1
        elif x.dtype == tf.float32:
            outputs["half"] = tf.cast(x, tf.bfloat16)
        return outputs

    signatures = {
        name: tf.function(call).get_concrete_function(tf.TensorSpec(None, name, "x"))
        for name in (*TYPES, "string")
    }
    tf.saved_model.save(tf.Module(), folder, signatures=signatures)
    return folder


@pytest.fixture(scope="module")
def names(echo, signature_defs):
    """Names of the tensors `x_<type>`, `y_<type>`, `upper`, `checked` and `half`."""
    result = {}
    for key, signature in signature_defs(echo).items():
        result[f"x_{key}"] = signature.inputs["x"].name
        for name, tensor in signature.outputs.items():
            result[f"y_{key}" if name == "y" else name] = tensor.name
    return result


@pytest.fixture(scope="module")
def session(echo):
    with CcSession(echo) as session:
        yield session


def values(name, shape):
    rng = np.random.default_rng(0)
    return rng.integers(0, 2, shape).astype(name)


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0), (2, 3, 2)])
@pytest.mark.parametrize("name", TYPES)
def test_numbers(session, names, name, shape):
    array = np.asarray(values(name, shape))
    (got,) = session.run({names[f"x_{name}"]: array}, [names[f"y_{name}"]])
    assert got.dtype == array.dtype
    np.testing.assert_array_equal(got, array, strict=True)


def test_an_array_that_is_not_contiguous(session, names):
    array = np.arange(12, dtype="float32").reshape(3, 4).T[::2]
    (got,) = session.run({names["x_float32"]: array}, [names["y_float32"]])
    np.testing.assert_array_equal(got, array)


@pytest.mark.parametrize("shape", [(4,), (2, 2)])
def test_strings(session, names, shape):
    # Short ones live inside the TF_TString, long ones on the heap.
    strings = [b"", b"nul\0 inside\0", "größe".encode(), b"x" * 1000]
    array = np.array(strings, object).reshape(shape)
    feeds = {names["x_string"]: array}
    same, upper = session.run(feeds, [names["y_string"], names["upper"]])
    assert same.tolist() == array.tolist()
    assert upper.ravel().tolist() == [s.upper() for s in strings]


def test_errors_are_those_of_tensorflow(session, names, echo, tmp_path):
    feeds = {names["x_int32"]: np.array([-1], "int32")}
    with pytest.raises(RuntimeError, match=r"code 3: .*must be ≥ 0"):
        session.run(feeds, [names["checked"]])
    feeds = {names["x_int32"]: np.array([1.0])}
    with pytest.raises(RuntimeError, match="int32 but double is provided"):
        session.run(feeds, [names["checked"]])
    with pytest.raises(KeyError, match="no tensor 'unknown:0'"):
        session.run({"unknown:0": np.ones(1)}, [])
    with pytest.raises(TypeError, match="dtype=<U1"):
        session.run({names["x_string"]: np.array(["a"])}, [])
    with pytest.raises(TypeError, match="DataType 14"):
        session.run({names["x_float32"]: np.ones(1, "float32")}, [names["half"]])
    with pytest.raises(RuntimeError, match=r"code 5: .*Could not find SavedModel"):
        CcSession(tmp_path)
    with pytest.raises(RuntimeError, match=r"with the specified tags|supplied tags"):
        CcSession(echo, tags=["train"])
    (tmp_path / "saved_model.pb").write_bytes(b"\xff damaged")
    with pytest.raises(RuntimeError, match="code "):
        CcSession(tmp_path)


def test_a_closed_session(echo, names):
    session = CcSession(echo)
    session.close()
    session.close()
    with pytest.raises(RuntimeError, match="closed"):
        session.run({}, [names["checked"]])


def resident_megabytes():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096 / 1e6


def test_memory_is_given_back(session, names):
    long = np.array([b"x" * 1_000_000] * 4, object)
    many = np.ones(1_000_000, "float32")
    feeds = {names["x_string"]: long, names["x_float32"]: many}
    fetches = [names["upper"], names["y_string"], names["y_float32"]]

    def run(times):
        for _ in range(times):
            session.run(feeds, fetches)
        return resident_megabytes()

    before = run(10)
    assert run(60) - before < 100  # a leak of the inputs alone would be 480 MB


def test_tensor_file(tmp_path):
    tensors = [
        np.array([[b"", b"a\0"], ["乱".encode(), b"x" * 99]], object),
        np.array([], object),
        np.float32([[1.5, np.nan]]),
        np.array(7),
        np.zeros((0, 2), "int64"),
        *[np.array([number]) for number in range(10)],
    ]
    write_tensors(tmp_path / "tensors.npz", tensors)
    for got, wanted in zip(
        read_tensors(tmp_path / "tensors.npz"), tensors, strict=True
    ):
        assert got.dtype == wanted.dtype
        np.testing.assert_array_equal(got, wanted, strict=True)


def test_fresh_process(echo, names):
    strings = np.array([b"a\0b", b""], object)
    requests = [
        Request({names["x_string"]: strings}, [names["upper"], names["y_string"]]),
        Request({names["x_int32"]: np.array([4], "int32")}, [names["checked"]]),
    ]
    with FreshProcess(echo, requests, timeout=60) as process:
        (upper, same), (checked,) = process.results()
    assert upper.tolist() == [b"A\0B", b""]
    assert same.tolist() == strings.tolist()
    assert checked.tolist() == [5]


def test_a_failure_in_the_fresh_process_is_told(echo, names, tmp_path):
    unloadable = FreshProcess(tmp_path, [], timeout=60)
    with unloadable, pytest.raises(RuntimeError, match="Could not find SavedModel"):
        unloadable.results()
    slow = FreshProcess(echo, [], timeout=0.0)
    with (
        slow,
        pytest.raises(RuntimeError, match=r"within 0 s\. Give it more `timeout`"),
    ):
        slow.results()
    assert slow._process.returncode is not None  # it was ended
