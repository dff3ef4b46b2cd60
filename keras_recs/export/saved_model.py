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
    top_k: int = 10,
    exclude_seen: bool = True,
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

    A `NextItemModel` gets the signatures `recommend`, which is `serving_default` too,
    `serve_tf_example` and `embed_query`. They take a history of raw item values, oldest
    first, filled up with `""` or −1, of any length, of which the model reads the last
    `max_length`. `recommend` gives the `items` and their `scores`, the best first:
    never padding or an unknown item. Where fewer are left than `top_k`, `items` ends
    with `""` or −1, and `scores` with −3.4e38, the lowest number that JSON can hold.
    An unknown item of a history counts as one. Without any event the answer is the
    same for all such requests, and nothing that training has taught. `embed_query`
    gives the `embedding` that `item_vectors()` are multiplied with. It computes in
    float32 under every policy. What else the model knows of events, such as their
    categories, are further lists beside the items, place by place: a list that ends
    before them, `""` and −1 tell nothing. Items are compared by the scores that the
    Keras model gives to them, since those with nearly the same may change their places.

    Args:
        model: functional `keras.Model`: dict of features to dict of labels; or a
            `keras_recs.models.NextItemModel`.
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
        top_k: int. Items that a `NextItemModel` recommends. Defaults to `10`.
        exclude_seen: bool. Whether a `NextItemModel` never recommends an item of the
            request's history. Defaults to `True`.

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
    from keras_recs.export.check_next_item_model import check_next_item_model
    from keras_recs.export.check_parity import check_parity
    from keras_recs.export.float32_twin import float32_twin, is_half
    from keras_recs.export.publish import check_version, publish, temporary_folder
    from keras_recs.export.raw_rows import RawRows
    from keras_recs.export.recommending import Recommending
    from keras_recs.export.write_manifest import write_manifest
    from keras_recs.export.write_saved_model import write_saved_model
    from keras_recs.export.write_warmup import write_warmup
    from keras_recs.layers.embedding.find_two_level_tables import find_two_level_tables
    from keras_recs.models.next_item_model import NextItemModel
    from keras_recs.preprocessing.check_vocabularies import check_vocabularies
    from keras_recs.preprocessing.schema_preprocessor import SchemaPreprocessor

    schema.check_fitted("An export")
    check_vocabularies(schema)
    recommending = None
    if isinstance(model, NextItemModel):
        recommending = Recommending(top_k, exclude_seen)
        check_next_item_model(model, schema, recommending)
        model = float32_twin(model) if is_half(model) else model
    else:
        check_model(model, schema)
    for table in find_two_level_tables(model):
        table.check_size()
    check_version(directory, version)
    rows = RawRows.for_check(schema, examples)
    preprocessor = SchemaPreprocessor(schema)
    with temporary_folder(directory) as folder:
        stand_ins = write_saved_model(model, schema, preprocessor, folder, recommending)
        write_warmup(folder, schema, rows, recommending)
        _write_schema(folder, schema)
        parity = check_parity(
            folder, model, schema, preprocessor, rows, timeout, recommending
        )
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
