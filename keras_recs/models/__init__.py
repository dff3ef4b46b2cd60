"""Builders of functional Keras models from a schema."""

from keras_recs.models.autoint import autoint
from keras_recs.models.bert4rec import bert4rec
from keras_recs.models.build_inputs import build_inputs
from keras_recs.models.contrastive_item_model import ContrastiveItemModel
from keras_recs.models.dcn import dcn
from keras_recs.models.dcn_v2 import dcn_v2
from keras_recs.models.deepfm import deepfm
from keras_recs.models.dien import dien
from keras_recs.models.din import din
from keras_recs.models.dlrm import dlrm
from keras_recs.models.embedding_options import EmbeddingOptions
from keras_recs.models.esmm import esmm
from keras_recs.models.finalmlp import finalmlp
from keras_recs.models.fm import fm
from keras_recs.models.gru4rec import gru4rec
from keras_recs.models.item_events import ItemEvents
from keras_recs.models.logistic_regression import logistic_regression
from keras_recs.models.masknet import masknet
from keras_recs.models.mmoe import mmoe
from keras_recs.models.next_item_model import NextItemModel
from keras_recs.models.ple import ple
from keras_recs.models.s3_rec_pretraining import S3RecPretraining
from keras_recs.models.s3rec import s3rec
from keras_recs.models.sasrec import sasrec
from keras_recs.models.session_model import SessionModel
from keras_recs.models.shared_bottom import shared_bottom
from keras_recs.models.table_rows import table_rows
from keras_recs.models.wide_and_deep import wide_and_deep
from keras_recs.models.xdeepfm import xdeepfm
from keras_recs.models.youtube_ranking import youtube_ranking

BUILDERS = (
    autoint,
    dcn,
    dcn_v2,
    deepfm,
    dien,
    din,
    dlrm,
    esmm,
    finalmlp,
    fm,
    logistic_regression,
    masknet,
    mmoe,
    ple,
    shared_bottom,
    wide_and_deep,
    xdeepfm,
    youtube_ranking,
)

__all__ = [
    "ContrastiveItemModel",
    "EmbeddingOptions",
    "ItemEvents",
    "NextItemModel",
    "S3RecPretraining",
    "SessionModel",
    "autoint",
    "bert4rec",
    "build_inputs",
    "dcn",
    "dcn_v2",
    "deepfm",
    "dien",
    "din",
    "dlrm",
    "esmm",
    "finalmlp",
    "fm",
    "gru4rec",
    "logistic_regression",
    "masknet",
    "mmoe",
    "ple",
    "s3rec",
    "sasrec",
    "shared_bottom",
    "table_rows",
    "wide_and_deep",
    "xdeepfm",
    "youtube_ranking",
]
