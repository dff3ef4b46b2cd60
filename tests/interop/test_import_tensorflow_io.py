"""tensorflow-io where it works, and a clear error elsewhere."""

import importlib.metadata
import types

import pytest

from keras_recs import interop
from keras_recs.interop.import_tensorflow_io import import_tensorflow_io

NEEDS = r"tensorflow==2\.16\.2 with tensorflow-io==0\.37\.1.*'keras-recs\[io\]'"


def version_of_package(found):
    def version(name):
        assert name == "tensorflow-io"
        if found is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return found

    return version


@pytest.mark.parametrize("name", ["avro_dataset", "parquet_dataset"])
def test_absent(name, monkeypatch, click_schema):
    monkeypatch.setattr(importlib.metadata, "version", version_of_package(None))
    with pytest.raises(ImportError, match=rf"{name} needs tensorflow-io.*{NEEDS}"):
        getattr(interop, name)("data", click_schema, 8)


@pytest.mark.parametrize(
    ("tensorflow", "tensorflow_io"), [("2.21.0", "0.37.1"), ("2.16.2", "0.36.0")]
)
def test_versions_that_do_not_fit(tensorflow, tensorflow_io, monkeypatch):
    import tensorflow as tf

    monkeypatch.setattr(tf, "__version__", tensorflow)
    monkeypatch.setattr(
        importlib.metadata, "version", version_of_package(tensorflow_io)
    )
    found = rf"TensorFlow {tensorflow} and tensorflow-io {tensorflow_io}\."
    with pytest.raises(ImportError, match=rf"{NEEDS}") as error:
        import_tensorflow_io("parquet_dataset")
    assert error.match(f"Found: {found}")


def test_native_operations_that_do_not_load(monkeypatch):
    import sys

    import tensorflow as tf

    monkeypatch.setattr(tf, "__version__", "2.16.2")
    monkeypatch.setattr(importlib.metadata, "version", version_of_package("0.37.1"))
    monkeypatch.setitem(sys.modules, "tensorflow_io", types.ModuleType("broken"))
    monkeypatch.setitem(sys.modules, "tensorflow_io.python", None)
    monkeypatch.setitem(sys.modules, "tensorflow_io.python.ops", None)
    with pytest.raises(ImportError, match=rf"{NEEDS}") as error:
        import_tensorflow_io("parquet_dataset")
    assert error.match("tensorflow-io 0.37.1, which does not load")


@pytest.mark.io
def test_present():
    assert import_tensorflow_io("parquet_dataset").__name__ == "tensorflow_io"


def test_the_package_holds_functions():
    for name in interop.__all__:
        assert isinstance(getattr(interop, name), types.FunctionType)
