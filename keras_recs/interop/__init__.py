"""Other libraries' formats: Parquet and Avro straight to `tf.data`.

Each function imports TensorFlow and tensorflow-io when it is called.
"""

from keras_recs.interop.avro_dataset import avro_dataset
from keras_recs.interop.parquet_dataset import parquet_dataset

__all__ = ["avro_dataset", "parquet_dataset"]
