"""TFRecords in and out, and batches for `model.fit`.

Each function imports TensorFlow when it is called.
"""

from keras_recs.data.array_dataset import array_dataset
from keras_recs.data.parse_examples import parse_examples
from keras_recs.data.parse_spec import parse_spec
from keras_recs.data.prepare import prepare
from keras_recs.data.split import Split
from keras_recs.data.synthetic_clicks import synthetic_clicks
from keras_recs.data.tfrecord_dataset import tfrecord_dataset
from keras_recs.data.write_tfrecords import write_tfrecords

__all__ = [
    "Split",
    "array_dataset",
    "parse_examples",
    "parse_spec",
    "prepare",
    "synthetic_clicks",
    "tfrecord_dataset",
    "write_tfrecords",
]
