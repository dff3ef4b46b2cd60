"""Keras layers of recommenders."""

from keras_recs.layers.batch_norm import BatchNorm
from keras_recs.layers.dice import Dice
from keras_recs.layers.down_sampling_correction import DownSamplingCorrection
from keras_recs.layers.embedding.batch_l2 import BatchL2
from keras_recs.layers.embedding.compositional import Compositional
from keras_recs.layers.embedding.dynamic_vocabulary import DynamicVocabulary
from keras_recs.layers.embedding.feature_embedding import FeatureEmbedding
from keras_recs.layers.embedding.multi_hash import MultiHash
from keras_recs.layers.embedding.numeric_embedding import NumericEmbedding
from keras_recs.layers.embedding.quotient_remainder import QuotientRemainder
from keras_recs.layers.embedding.table_config import TableConfig
from keras_recs.layers.embedding.two_level_table import TwoLevelTable
from keras_recs.layers.feature_input import FeatureInput
from keras_recs.layers.gating.feature_gate import FeatureGate
from keras_recs.layers.interaction.bilinear_fusion import BilinearFusion
from keras_recs.layers.interaction.cin import CIN
from keras_recs.layers.interaction.cross_layer import CrossLayer
from keras_recs.layers.interaction.dot_interaction import DotInteraction
from keras_recs.layers.interaction.field_attention import FieldAttention
from keras_recs.layers.interaction.fm_interaction import FMInteraction
from keras_recs.layers.interaction.linear_term import LinearTerm
from keras_recs.layers.interaction.mask_block import MaskBlock
from keras_recs.layers.interaction.power_features import PowerFeatures
from keras_recs.layers.interaction.vector_cross_layer import VectorCrossLayer
from keras_recs.layers.mlp import MLP
from keras_recs.layers.multi_task.expert_gate import ExpertGate
from keras_recs.layers.multi_task.experts import Experts
from keras_recs.layers.multi_task.extraction_block import ExtractionBlock
from keras_recs.layers.multi_task.multi_gate import MultiGate
from keras_recs.layers.multi_task.task_towers import TaskTowers
from keras_recs.layers.prediction_heads import PredictionHeads
from keras_recs.layers.sequence.attributed_item_table import AttributedItemTable
from keras_recs.layers.sequence.augru import AUGRU
from keras_recs.layers.sequence.bilinear_attention import BilinearAttention
from keras_recs.layers.sequence.causal_self_attention import CausalSelfAttention
from keras_recs.layers.sequence.interest_extractor import InterestExtractor
from keras_recs.layers.sequence.item_attributes import ItemAttributes
from keras_recs.layers.sequence.item_table import ItemTable
from keras_recs.layers.sequence.local_attention import LocalAttention
from keras_recs.layers.sequence.masked_sequence_head import MaskedSequenceHead
from keras_recs.layers.sequence.position_embedding import PositionEmbedding
from keras_recs.layers.sequence.session_gru import SessionGRU
from keras_recs.layers.sequence.target_attention import TargetAttention
from keras_recs.layers.sequence.transformer_block import TransformerBlock
from keras_recs.layers.sequence.uniform_negatives import UniformNegatives

__all__ = [
    "AUGRU",
    "CIN",
    "MLP",
    "AttributedItemTable",
    "BatchL2",
    "BatchNorm",
    "BilinearAttention",
    "BilinearFusion",
    "CausalSelfAttention",
    "Compositional",
    "CrossLayer",
    "Dice",
    "DotInteraction",
    "DownSamplingCorrection",
    "DynamicVocabulary",
    "ExpertGate",
    "Experts",
    "ExtractionBlock",
    "FMInteraction",
    "FeatureEmbedding",
    "FeatureGate",
    "FeatureInput",
    "FieldAttention",
    "InterestExtractor",
    "ItemAttributes",
    "ItemTable",
    "LinearTerm",
    "LocalAttention",
    "MaskBlock",
    "MaskedSequenceHead",
    "MultiGate",
    "MultiHash",
    "NumericEmbedding",
    "PositionEmbedding",
    "PowerFeatures",
    "PredictionHeads",
    "QuotientRemainder",
    "SessionGRU",
    "TableConfig",
    "TargetAttention",
    "TaskTowers",
    "TransformerBlock",
    "TwoLevelTable",
    "UniformNegatives",
    "VectorCrossLayer",
]
