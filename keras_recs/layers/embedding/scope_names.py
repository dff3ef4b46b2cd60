"""Names of layers and variables that belong to tables."""


def scope_names(prefix, tables):
    """Names that Keras and TensorFlow allow, by the names of tables, which are free.

    Args:
        prefix: string.
        tables: strings. Each once.

    Returns:
        dict of table name to `"<prefix>_<table>"`, no two alike: letters that are not
        allowed, and "-", become "_".
    """
    names = {}
    for table in tables:
        safe = "".join(c if c.isalnum() and c.isascii() else "_" for c in table)
        name = f"{prefix}_{safe}"
        while name in names.values():
            name += "_"
        names[table] = name
    return names
