"""An embedding table as a Parquet file."""

import os
from pathlib import Path

import numpy as np
from tqdm import tqdm

CHUNK_ROWS = 100_000


def write_table(model, schema, table, path, layer="embedding", progress=True):
    """Writes the rows of a table with their keys.

    The file has the columns `key` (string, or int64 where the ids are integers) and
    `embedding` (fixed-size list of float32). Rows out of vocabulary come first, with
    a null key; padding is left out. Of a table with `max_keys` it has the keys that
    have a row now, as `keras_recs.preprocessing.HashKey` makes them of the values,
    which a model does not know.

    Args:
        model: a model with a `FeatureEmbedding` layer.
        schema: the fitted `keras_recs.Schema` that the model was built from.
        table: string. Name of the table.
        path: string or path. It appears whole or not at all.
        layer: string. Name of the layer. Defaults to `"embedding"`.
        progress: bool. Show a progress bar. Defaults to `True`.

    Returns:
        int. Rows written.

    Raises:
        ValueError: for an unknown layer or table, or a schema whose table has another
            size than the layer's.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from keras_recs.layers.embedding.find_table import find_table
    from keras_recs.preprocessing.table_keys import first_row
    from keras_recs.training.keys_and_rows import keys_and_rows

    embedding, config = find_table(model, table, layer)
    keys, rows_of_keys = keys_and_rows(model, schema, table)
    first = first_row(schema, table)
    described = schema.tables[table]
    if described.num_rows != config.num_rows:
        raise ValueError(
            f"Table '{table}' has {described.num_rows} rows in the schema and "
            f"{config.num_rows} in layer '{layer}': they are not of one model."
        )
    all_rows = np.concatenate([np.arange(1, first), rows_of_keys])
    dim = config.embedding_dim
    key_type = pa.string() if keys.dtype == object else pa.int64()
    columns = pa.schema(
        [("key", key_type), ("embedding", pa.list_(pa.float32(), dim))],
        metadata={
            "keras_recs.table": table,
            "keras_recs.num_oov": str(first - 1),
            "keras_recs.kind": described.kind,
        },
    )
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with (
            pq.ParquetWriter(temporary, columns) as writer,
            tqdm(
                total=len(all_rows),
                unit="row",
                unit_scale=True,
                desc=f"table {table}",
                disable=not progress,
            ) as bar,
        ):
            for start in range(0, len(all_rows), CHUNK_ROWS):
                rows = all_rows[start : start + CHUNK_ROWS]
                values = embedding.read_rows(table, rows)
                places = range(start - first + 1, start - first + 1 + len(rows))
                named = [None if i < 0 else keys[i] for i in places]
                lists = pa.FixedSizeListArray.from_arrays(
                    pa.array(values.reshape(-1), pa.float32()), dim
                )
                part = pa.table([pa.array(named, key_type), lists], schema=columns)
                writer.write_table(part)
                bar.update(len(rows))
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return len(all_rows)
