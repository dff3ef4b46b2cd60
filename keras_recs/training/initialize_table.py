"""Initial values of a table from a file or from another model."""

import itertools
from pathlib import Path

import numpy as np
from tqdm import tqdm

CHUNK_ROWS = 100_000


def initialize_table(
    model, schema, table, source, layer="embedding", missing="keep", progress=True
):
    """Sets the rows of a table by key: pre-trained factors, or vectors of the content.

    Call it before training. Rows out of vocabulary (null keys) are taken over in order.

    Into a table with `max_keys` the keys of the source come too: those without a row
    get one while there are free ones, and keys that wait for admission are forgotten.
    Its source holds strings, integers (taken as their decimal strings, as raw data are)
    or what `write_table` made of such a table.

    Args:
        model: a built model with a `FeatureEmbedding` layer.
        schema: the fitted `keras_recs.Schema` that the model was built from.
        table: string. Name of the table.
        source: path of a Parquet file with the columns `key` and `embedding` (a list
            of `embedding_dim` numbers), as `keras_recs.export.write_table` writes it;
            or a pair of another model and its schema.
        layer: string. Name of the layer. Defaults to `"embedding"`.
        missing: string. What happens to keys of the table that the source lacks: they
            `"keep"` their initial values, or it is an `"error"`. Defaults to `"keep"`.
        progress: bool. Show a progress bar. Defaults to `True`.

    Returns:
        dict: `set` rows, `missing` keys of the table that the source lacks, and
        `unknown` keys of the source that the table lacks.

    Raises:
        ValueError: for a file that is not there or has other columns, another
            dimension, a key twice, a value that is not finite, missing keys with
            `missing="error"`, or hashed keys whose values are not known. Nothing is set
            then.
    """
    from keras_recs.layers.embedding.find_table import find_table
    from keras_recs.models.find_vocabulary import find_vocabulary
    from keras_recs.preprocessing.table_keys import first_row
    from keras_recs.training.keys_and_rows import keys_and_rows

    if missing not in ("keep", "error"):
        raise ValueError(
            f"`missing` must be 'keep' or 'error'. Received: missing={missing!r}"
        )
    embedding, config = find_table(model, table, layer)
    if config.compression is not None:
        raise ValueError(
            f"Table '{table}' is compressed: its rows share memory and cannot be set "
            f"one by one. Received: compression={type(config.compression).__name__}"
        )
    keys, its_rows = keys_and_rows(model, schema, table)
    first = first_row(schema, table)
    kind = schema.tables[table].kind
    row_of = dict(zip(keys.tolist(), its_rows.tolist(), strict=True))
    free = []
    if kind == "dynamic":  # from the first on
        free = np.setdiff1d(np.arange(first, config.num_rows), its_rows)[::-1].tolist()
    if isinstance(source, (str, Path)):
        chunks = _from_file(Path(source), config, kind)
    else:
        chunks = _from_model(*source, table, layer, config, kind)
    rows, values, seen, unknown, oov = [], [], set(), 0, 0
    bar = tqdm(unit="row", unit_scale=True, desc=f"table {table}", disable=not progress)
    for some_keys, some_values in chunks:
        bar.update(len(some_keys))
        if not np.isfinite(some_values).all():
            bad = int(np.flatnonzero(~np.isfinite(some_values).all(axis=1))[0])
            raise ValueError(
                f"Table '{table}': the embedding of key {some_keys[bad]!r} in "
                f"{_name(source)} holds NaN or infinity."
            )
        chosen = []
        for i, key in enumerate(some_keys):
            if key is None:
                oov += 1
                row = oov if oov < first else None
            elif key in seen:
                raise ValueError(
                    f"Table '{table}': key {key!r} stands twice in {_name(source)}."
                )
            else:
                seen.add(key)
                row = row_of.get(key)
                if row is None and free and key:
                    row = row_of[key] = free.pop()
            if row is None:
                unknown += 1
            else:
                rows.append(row)
                chosen.append(i)
        values.append(some_values[chosen])
    bar.close()
    if not rows:
        raise ValueError(
            f"Table '{table}': no key of {_name(source)} is a key of the table. "
            f"Received: keys such as {list(itertools.islice(seen, 3))}; the table has "
            f"such as {list(itertools.islice(row_of, 3))}"
        )
    absent = [key for key in row_of if key not in seen]
    if absent and missing == "error":
        raise ValueError(
            f"Table '{table}': {len(absent)} keys are not in {_name(source)}, such as "
            f"{absent[:3]}. With `missing='keep'` they keep their initial values."
        )
    if len(row_of) > len(keys):
        vocabulary = find_vocabulary(model, schema, table)
        counts = [*vocabulary.vocabulary()[2].tolist()]
        counts += [vocabulary.admission_count] * (len(row_of) - len(keys))
        vocabulary.load_vocabulary([*row_of], [*row_of.values()], counts)
    embedding.write_rows(table, np.array(rows), np.concatenate(values))
    return {"set": len(rows), "missing": len(absent), "unknown": unknown}


def _name(source):
    if isinstance(source, (str, Path)):
        return f"'{source}'"
    return f"model '{source[0].name}'"


def _from_file(path, config, kind):
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if not path.is_file():
        raise ValueError(
            f"Table '{config.name}': `source` must be a Parquet file. Received: "
            f"'{path}', which is not there."
        )
    try:
        opened = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise ValueError(
            f"Table '{config.name}': `source` must be a Parquet file. Received: "
            f"'{path}' ({error})"
        ) from error
    with opened as file:
        names = file.schema_arrow.names
        if not {"key", "embedding"} <= set(names):
            raise ValueError(
                f"Table '{config.name}': '{path}' must have the columns 'key' and "
                f"'embedding'. Received: {names}"
            )
        metadata = file.schema_arrow.metadata or {}
        source_kind = metadata.get(b"keras_recs.kind", b"").decode()
        key_type = file.schema_arrow.field("key").type
        if pa.types.is_dictionary(key_type):  # as pandas writes a Categorical
            key_type = key_type.value_type
        is_text = pa.types.is_string(key_type) or pa.types.is_large_string(key_type)
        wanted = {"vocabulary": "strings", "dynamic": "strings or integers"}.get(
            kind, "integers"
        )
        if ("strings" if is_text else "integers") not in wanted or not (
            is_text or pa.types.is_integer(key_type)
        ):
            raise ValueError(
                f"Table '{config.name}': the column 'key' of '{path}' must hold "
                f"{wanted}. Received: {key_type}"
            )
        list_type = file.schema_arrow.field("embedding").type
        is_list = pa.types.is_list(list_type) or pa.types.is_large_list(list_type)
        if not (is_list or pa.types.is_fixed_size_list(list_type)):
            raise ValueError(
                f"Table '{config.name}': the column 'embedding' of '{path}' must hold "
                f"lists of {config.embedding_dim} numbers. Received: {list_type}"
            )
        convert = _key_conversion(config.name, kind, source_kind)
        for batch in file.iter_batches(CHUNK_ROWS, columns=["key", "embedding"]):
            lists = batch.column(1)
            lengths = np.asarray(pc.list_value_length(lists).fill_null(-1))
            if (lengths != config.embedding_dim).any():
                bad = lengths[lengths != config.embedding_dim][0]
                raise ValueError(
                    f"Table '{config.name}': each 'embedding' of '{path}' must have "
                    f"{config.embedding_dim} numbers. Received: {bad}"
                )
            flat = lists.flatten().cast(pa.float32()).to_numpy(zero_copy_only=False)
            values = flat.reshape(-1, config.embedding_dim)
            yield convert(batch.column(0).to_pylist()), values


def _from_model(model, schema, table, layer, config, kind):
    from keras_recs.layers.embedding.find_table import find_table
    from keras_recs.preprocessing.table_keys import first_row
    from keras_recs.training.keys_and_rows import keys_and_rows

    embedding, other = find_table(model, table, layer)
    if other.embedding_dim != config.embedding_dim:
        raise ValueError(
            f"Table '{table}' must have {config.embedding_dim} numbers a row. "
            f"Received: model '{model.name}' with {other.embedding_dim}"
        )
    convert = _key_conversion(table, kind, schema.tables[table].kind)
    keys, rows_of_keys = keys_and_rows(model, schema, table)
    first = first_row(schema, table)
    keys = keys.tolist()
    all_rows = np.concatenate([np.arange(1, first), rows_of_keys])
    for start in range(0, len(all_rows), CHUNK_ROWS):
        rows = all_rows[start : start + CHUNK_ROWS]
        places = range(start - first + 1, start - first + 1 + len(rows))
        named = [None if i < 0 else keys[i] for i in places]
        yield convert(named), embedding.read_rows(table, rows)


def _key_conversion(table, kind, source_kind):
    """A function of the source's keys that gives those of the table."""
    unknown = ("hash", "buckets") if kind == "dynamic" else ("dynamic",)
    if source_kind in unknown:
        raise ValueError(
            f"Table '{table}' is of kind '{kind}' and cannot take the keys of a table "
            f"of kind '{source_kind}': the values behind them are not known. Received: "
            f"a source of kind '{source_kind}'"
        )
    if kind != "dynamic" or source_kind == "dynamic":
        return lambda keys: keys
    from keras_recs.preprocessing.hash_key import HashKey

    hash_key = HashKey()

    def convert(keys):
        texts = ["" if key is None else str(key) for key in keys]
        hashes = hash_key(np.array(texts, object)).numpy().tolist()
        return [None if k is None else h for k, h in zip(keys, hashes, strict=True)]

    return convert
