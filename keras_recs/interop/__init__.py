"""Other libraries: Parquet and Avro straight to `tf.data`, TensorFlow Recommenders.

Each function imports TensorFlow and the other library when it is called.
"""

from keras_recs.interop.avro_dataset import avro_dataset
from keras_recs.interop.import_tensorflow_recommenders import (
    import_tensorflow_recommenders,
)
from keras_recs.interop.parquet_dataset import parquet_dataset

__all__ = ["avro_dataset", "import_tensorflow_recommenders", "parquet_dataset"]
