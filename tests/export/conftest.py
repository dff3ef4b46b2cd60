"""Exports that the tests share, and a way to ask them."""

from pathlib import Path

import numpy as np
import pytest

from tests.export.small_models import LABELS, Watcher, linear_model
from tests.samples import click_columns, click_schema


@pytest.fixture(scope="session")
def schema(tmp_path_factory):
    return click_schema(tmp_path_factory.mktemp("vocabularies"), LABELS)


@pytest.fixture(scope="session")
def linear_export(schema, tmp_path_factory):
    """A linear model with every kind of feature and label, watched while exported."""
    from keras_recs import export

    base = tmp_path_factory.mktemp("export") / "linear"
    required = ["manifest.json", "saved_model.pb", "variables/variables.index"]
    with Watcher(base, required) as watcher:
        path = export.saved_model(
            linear_model(schema),
            schema,
            base,
            examples=click_columns(50),
            metrics={"test": {"click": {"auc": np.float32(0.75)}}},
        )
    return path, watcher


@pytest.fixture(scope="session")
def signature_defs():
    """Function of an export folder: its SignatureDefs, as they are in the file."""
    from tensorflow.core.protobuf import saved_model_pb2

    def read(folder):
        data = (Path(folder) / "saved_model.pb").read_bytes()
        signatures = saved_model_pb2.SavedModel.FromString(data).meta_graphs[0]
        return {
            key: value
            for key, value in signatures.signature_def.items()
            if not key.startswith("__")
        }

    return read


@pytest.fixture(scope="session")
def ask(signature_defs):
    """Function that asks a signature of an export through the C++ loader."""
    from keras_recs.export.cc_session import CcSession

    sessions = {}

    def run(folder, key, arrays):
        if folder not in sessions:
            sessions[folder] = CcSession(folder), signature_defs(folder)
        session, signatures = sessions[folder]
        signature = signatures[key]
        feeds = {signature.inputs[name].name: value for name, value in arrays.items()}
        names = list(signature.outputs)
        fetched = session.run(feeds, [signature.outputs[n].name for n in names])
        return dict(zip(names, fetched, strict=True))

    yield run
    for session, _ in sessions.values():
        session.close()
