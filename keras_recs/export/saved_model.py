"""From a trained model to a verified version folder for TF Serving."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_recs.schema import Schema

if TYPE_CHECKING:
    import keras


def saved_model(
    model: keras.Model,
    schema: Schema,
    directory: str | os.PathLike,
    *,
    version: int | None = None,
    examples: Any = None,
    metrics: Mapping[str, Any] | None = None,
    timeout: float = 600.0,
) -> Path:
    """Exports a model with its preprocessing, checks the export and publishes it.

    The SavedModel takes raw strings and numbers under the signatures
    `serving_default`, `serve_tf_example`, `classify` and `regress`; it carries its
    vocabularies, warm-up requests and a `manifest.json`. Before it appears in
    `directory`, a fresh process runs it through TensorFlow's C++ loader, which TF
    Serving links, and every signature must answer 1,000 rows at once, and some of them
    one by one, as the Keras model does: probabilities within 1e-6, other outputs within
    1e-5 of their size. (A model that computes in half precision is allowed twice the
    error that this makes beside float32, up to 0.1; see the manifest.) A version
    appears whole or not at all. A table that lies partly in files (`hot_rows`) becomes
    an ordinary one, for which it is copied into memory.

    Requests over REST and gRPC use the names of features and labels as they are. The
    functions that `tf.saved_model.load` returns cannot where Python or TensorFlow does
    not allow a name ("user id", "class", "größe") or another differs by case alone
    ("Age", "age"): they have stand-ins such as `tensor_0`, of inputs and of outputs,
    which `manifest.json` maps to the names:
    `"stand_ins": {"inputs": {"tensor_0": "user id"}, "outputs": {}}`.

    Args:
        model: functional `keras.Model`: dict of features to dict of labels.
        schema: the fitted `keras_recs.Schema` that the model was built from.
        directory: base folder of the served model, as in TF Serving's
            `--model_base_path`. Created if need be.
        version: int. Defaults to `None`: one more than the highest there is.
        examples: dict of arrays or lists by raw feature, or a pandas `DataFrame`: real
            rows for the check and the warm-up requests. Up to 900 are taken; generated
            rows (unknown, missing and overlong values) make up the rest. Of features
            with `max_keys` only real rows hold values that have a row of their own.
            Defaults to `None`: generated rows only.
        metrics: dict for the manifest, as `metrics.json` of a run holds it. Defaults to
            `None`.
        timeout: float. Seconds after which the check is given up. Defaults to `600.0`.

    Returns:
        Path of the published version folder.

    Raises:
        ValueError: for a schema that is not fitted or does not fit the model, a
            vocabulary file that is missing or not the fitted one, a version that
            exists, or a table with `hot_rows` above its `max_saved_bytes`.
        RuntimeError: if the exported model fails to load or answers otherwise than the
            Keras model; the row that differs most is shown. Nothing is published.
        ImportError: if `tensorflow-serving-api` is not installed.

    Example:
    ```python
    path = keras_recs.export.saved_model(model, schema, "export/deepfm")
    # export/deepfm/1
    ```
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "A SavedModel needs Keras's TensorFlow backend. Received: "
            f"backend={keras.backend.backend()!r}. Save the model as .keras and export "
            "it in a process with KERAS_BACKEND=tensorflow."
        )

    from keras_recs.export.check_model import check_model
    from keras_recs.export.check_parity import check_parity
    from keras_recs.export.publish import check_version, publish, temporary_folder
    from keras_recs.export.raw_rows import RawRows
    from keras_recs.export.write_manifest import write_manifest
    from keras_recs.export.write_saved_model import write_saved_model
    from keras_recs.export.write_warmup import write_warmup
    from keras_recs.layers.embedding.find_two_level_tables import find_two_level_tables
    from keras_recs.preprocessing.check_vocabularies import check_vocabularies
    from keras_recs.preprocessing.schema_preprocessor import SchemaPreprocessor

    schema.check_fitted("An export")
    check_vocabularies(schema)
    check_model(model, schema)
    for table in find_two_level_tables(model):
        table.check_size()
    check_version(directory, version)
    rows = RawRows.for_check(schema, examples)
    preprocessor = SchemaPreprocessor(schema)
    with temporary_folder(directory) as folder:
        stand_ins = write_saved_model(model, schema, preprocessor, folder)
        write_warmup(folder, schema, rows)
        _write_schema(folder, schema)
        parity = check_parity(folder, model, schema, preprocessor, rows, timeout)
        write_manifest(folder, model, schema, metrics, parity, stand_ins)
        return publish(folder, directory, version)


def _write_schema(folder: Path, schema: Schema) -> None:
    """Writes `assets.extra/schema.json`, which refers to the export's own assets."""
    from keras_recs.preprocessing.sha256_of import sha256_of

    assets = {sha256_of(path): path for path in sorted((folder / "assets").glob("*"))}
    extra = folder / "assets.extra"
    vocabularies = {}
    for table, fitted in schema.vocabularies.items():
        asset = assets.get(fitted.sha256)
        if asset is None:  # an empty vocabulary, which the graph does without
            asset = extra / "vocabularies" / Path(fitted.path).name
            asset.parent.mkdir(exist_ok=True)
            asset.write_bytes(Path(fitted.path).read_bytes())
        path = Path(os.path.relpath(asset, extra)).as_posix()
        vocabularies[table] = dataclasses.replace(fitted, path=path)
    text = dataclasses.replace(schema, vocabularies=vocabularies).to_json()
    (extra / "schema.json").write_text(text, encoding="utf-8")
