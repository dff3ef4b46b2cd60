"""Whether the vocabulary files are those that the schema was fitted with."""

from __future__ import annotations

from pathlib import Path

from keras_recs.preprocessing.sha256_of import sha256_of
from keras_recs.schema import Schema


def check_vocabularies(schema: Schema) -> None:
    """Compares every vocabulary file with the SHA-256 in the schema.

    Raises:
        ValueError: for a file that is missing or another one; the features that use it
            are named.
    """
    for table, fitted in schema.vocabularies.items():
        path = Path(fitted.path)
        users = [f.name for f in schema.id_features if f.table_name == table]
        who = f"The vocabulary of feature{'s' * (len(users) > 1)} {', '.join(users)}"
        if not path.is_file():
            raise ValueError(
                f"{who} is missing: '{path}'. Bring back the prepared folder, with its "
                "vocabularies/, to where the schema.json was loaded from."
            )
        digest = sha256_of(path)
        if digest != fitted.sha256:
            raise ValueError(
                f"{who} is not the one that the schema was fitted with: '{path}' has "
                f"SHA-256 {digest}, the schema {fitted.sha256}. Rows of the embedding "
                "would mean other values. Use the schema.json and the vocabularies of "
                "one and the same run."
            )
