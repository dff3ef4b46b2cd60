"""Raw files to TFRecords (being written)."""


def write_tfrecords(files, schema, prefix):
    """Placeholder while the module is being written."""
    raise NotImplementedError
