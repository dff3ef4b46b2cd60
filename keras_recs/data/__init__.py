"""TFRecords in and out, batches for `model.fit`, and samplers of negatives.

What needs TensorFlow imports it when it is called.
"""

from keras_recs.data.array_dataset import array_dataset
from keras_recs.data.augmentation.crop_events import crop_events
from keras_recs.data.augmentation.mask_events import mask_events
from keras_recs.data.augmentation.reorder_events import reorder_events
from keras_recs.data.augmentation.similar_items import similar_items
from keras_recs.data.augmentation.substitute_events import substitute_events
from keras_recs.data.batch_dataset import batch_dataset
from keras_recs.data.contrastive_batches import contrastive_batches
from keras_recs.data.down_sample_frequent import DownSampleFrequent
from keras_recs.data.down_sample_negatives import DownSampleNegatives
from keras_recs.data.historical_rates import historical_rates
from keras_recs.data.id_dropout import id_dropout
from keras_recs.data.item_attributes import item_attributes
from keras_recs.data.masked_item_batches import masked_item_batches
from keras_recs.data.negatives.cached_sampler import CachedSampler
from keras_recs.data.negatives.hard_negatives import HardNegatives
from keras_recs.data.negatives.in_batch_negatives import in_batch_negatives
from keras_recs.data.negatives.item_sets import ItemSets
from keras_recs.data.negatives.negative_weights import NegativeWeights
from keras_recs.data.negatives.popularity_sampler import PopularitySampler
from keras_recs.data.negatives.uniform_sampler import UniformSampler
from keras_recs.data.next_item_batches import next_item_batches
from keras_recs.data.parse_examples import parse_examples
from keras_recs.data.parse_spec import parse_spec
from keras_recs.data.prepare import prepare
from keras_recs.data.rate_table import RateTable
from keras_recs.data.read_histories import read_histories
from keras_recs.data.read_sequences import read_sequences
from keras_recs.data.row_counts import row_counts
from keras_recs.data.s3rec_batches import s3rec_batches
from keras_recs.data.sequence_dataset import sequence_dataset
from keras_recs.data.session_batches import session_batches
from keras_recs.data.split import Split
from keras_recs.data.synthetic_clicks import synthetic_clicks
from keras_recs.data.tfrecord_dataset import tfrecord_dataset
from keras_recs.data.write_histories import write_histories
from keras_recs.data.write_tfrecords import write_tfrecords

__all__ = [
    "CachedSampler",
    "DownSampleFrequent",
    "DownSampleNegatives",
    "HardNegatives",
    "ItemSets",
    "NegativeWeights",
    "PopularitySampler",
    "RateTable",
    "Split",
    "UniformSampler",
    "array_dataset",
    "batch_dataset",
    "contrastive_batches",
    "crop_events",
    "historical_rates",
    "id_dropout",
    "in_batch_negatives",
    "item_attributes",
    "mask_events",
    "masked_item_batches",
    "next_item_batches",
    "parse_examples",
    "parse_spec",
    "prepare",
    "read_histories",
    "read_sequences",
    "reorder_events",
    "row_counts",
    "s3rec_batches",
    "sequence_dataset",
    "session_batches",
    "similar_items",
    "substitute_events",
    "synthetic_clicks",
    "tfrecord_dataset",
    "write_histories",
    "write_tfrecords",
]
