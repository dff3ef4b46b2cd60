"""Names of layers that belong to a feature or a table."""

import re
import zlib


def layer_name(prefix, name):
    """A name that TensorFlow allows in a graph, whatever a feature is called.

    Args:
        prefix: string.
        name: string. Of the feature or table; one such as "user id" or "größe" is told
            from others by a checksum.

    Returns:
        string.
    """
    if re.fullmatch("[A-Za-z0-9_.-]+", name):
        return f"{prefix}_{name}"
    plain = re.sub("[^A-Za-z0-9]", "_", name)
    return f"{prefix}_{plain}_{zlib.crc32(name.encode()):08x}"
