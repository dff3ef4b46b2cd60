"""DeepCTR's models, or models of its layers, at the sizes of a spec.

It has no logistic regression, factorization machine or DLRM: these are put together
from its linear term, embeddings, `FM` and `DNN`. Its `InnerProductLayer` concatenates
both sides of all 351 pairs of DLRM, so one matrix product stands in for it.

Its models give the numbers to the linear term and the MLP, not to what multiplies
fields. Its DCN and AutoInt have a linear term and do not work without one: here over
the numbers or, without numbers, over the first feature.
"""

import tensorflow as tf
from deepctr.feature_column import (
    DenseFeat,
    SparseFeat,
    VarLenSparseFeat,
    build_input_features,
    get_linear_logit,
    input_from_feature_columns,
)
from deepctr.layers.core import DNN, PredictionLayer
from deepctr.layers.interaction import FM
from deepctr.layers.utils import add_func, combined_dnn_input, concat_func
from deepctr.models import DCN, DIEN, DIN, MMOE, PLE, WDL, AutoInt, DeepFM, xDeepFM
from peer_run import (
    ATTENTION_UNITS,
    CIN_UNITS,
    CROSS_LAYERS,
    EXPERT_UNITS,
    EXPERTS,
    FIELD_ATTENTION_HEADS,
    FIELD_ATTENTION_LAYERS,
    LEVEL_UNITS,
    LEVELS,
    OWN_EXPERTS,
    SHARED_EXPERTS,
    TASKS,
    TOWER_UNITS,
)

NO_L2 = {"l2_reg_embedding": 0, "l2_reg_linear": 0}
# The names that it wants the history's inputs to have.
HISTORIES = {"din": {"history": "hist_C0", "lengths": "seq_length"}}
HISTORIES["dien"] = {**HISTORIES["din"], "negatives": "neg_hist_C0"}


class DotPairs(tf.keras.layers.Layer):
    """Dot products of all pairs of fields."""

    def call(self, x):
        """`(B, F, D)` to `(B, F(F − 1)/2)`."""
        fields = x.shape[1]
        places = [i * fields + j for i in range(fields) for j in range(i)]
        products = tf.matmul(x, x, transpose_b=True)  # (B, F, F)
        return tf.gather(tf.reshape(products, (-1, fields**2)), places, axis=1)


def make_columns(spec):
    """Its feature columns."""
    uniform = tf.keras.initializers.RandomUniform(seed=spec.seed)
    options = {"embeddings_initializer": uniform}
    columns = [
        SparseFeat(f"C{i}", spec.rows, spec.dim, **options)
        for i in range(spec.features)
    ]
    columns += [DenseFeat(f"I{i}", 1) for i in range(spec.numbers)]
    names = HISTORIES[spec.model].values() if spec.history else ()
    for name in names:
        if name != "seq_length":
            items = SparseFeat(
                name, spec.rows, spec.dim, embedding_name="C0", **options
            )
            columns.append(VarLenSparseFeat(items, spec.history, "mean", "seq_length"))
    return columns


def logistic_regression(spec, columns):
    """Its linear term alone."""
    features = build_input_features(columns)
    logit = get_linear_logit(features, columns, use_bias=True, seed=spec.seed)
    return tf.keras.Model(list(features.values()), PredictionLayer("binary")(logit))


def fm(spec, columns):
    """Its linear term and factorization machine."""
    features = build_input_features(columns)
    embedded, _ = input_from_feature_columns(features, columns, 0, spec.seed)
    logit = get_linear_logit(features, columns, seed=spec.seed)
    logit = add_func([logit, FM()(concat_func(embedded, axis=1))])
    return tf.keras.Model(list(features.values()), PredictionLayer("binary")(logit))


def dlrm(spec, columns):
    """Bottom MLP, dot products, top MLP."""
    layers = tf.keras.layers
    features = build_input_features(columns)
    embedded, numbers = input_from_feature_columns(features, columns, 0, spec.seed)
    dense = combined_dnn_input([], numbers)  # (B, 13)
    dense = DNN((*spec.mlp, spec.dim))(dense)  # (B, D)
    row = layers.Reshape((1, spec.dim))(dense)
    pairs = DotPairs()(concat_func([row, *embedded], axis=1))
    top = DNN(spec.mlp)(layers.Concatenate()([dense, pairs]))
    output = layers.Dense(1, activation="sigmoid")(top)
    return tf.keras.Model(list(features.values()), output)


def linear_columns(spec, columns):
    """The least that a model which needs a linear term can be given."""
    return columns[spec.features :] or columns[:1]


def wide_and_deep(spec, columns):
    """Its `WDL`."""
    return WDL(columns, columns, spec.mlp, **NO_L2)


def deepfm(spec, columns):
    """Its `DeepFM`."""
    return DeepFM(columns, columns, dnn_hidden_units=spec.mlp, **NO_L2)


def xdeepfm(spec, columns):
    """Its `xDeepFM`, in the paper's form: linear maps that all go on."""
    return xDeepFM(
        columns,
        columns,
        spec.mlp,
        CIN_UNITS,
        cin_split_half=False,
        cin_activation="linear",
        **NO_L2,
    )


def dcn(spec, columns, parameterization="vector"):
    """Its `DCN`."""
    return DCN(
        linear_columns(spec, columns),
        columns,
        cross_num=CROSS_LAYERS,
        cross_parameterization=parameterization,
        dnn_hidden_units=spec.mlp,
        l2_reg_cross=0,
        **NO_L2,
    )


def dcn_v2(spec, columns):
    """Its `DCN` with matrices."""
    return dcn(spec, columns, "matrix")


def autoint(spec, columns):
    """Its `AutoInt`."""
    return AutoInt(
        linear_columns(spec, columns),
        columns,
        FIELD_ATTENTION_LAYERS,
        spec.dim // FIELD_ATTENTION_HEADS,
        FIELD_ATTENTION_HEADS,
        dnn_hidden_units=spec.mlp,
        **NO_L2,
    )


def din(spec, columns):
    """Its `DIN`."""
    return DIN(
        columns,
        ["C0"],
        dnn_hidden_units=spec.mlp,
        dnn_activation="dice",
        att_hidden_size=ATTENTION_UNITS,
        l2_reg_embedding=0,
    )


def dien(spec, columns):
    """Its `DIEN` with AUGRU and negatives; MLPs attend and tell the next event."""
    return DIEN(
        columns,
        ["C0"],
        gru_type="AUGRU",
        use_negsampling=True,
        dnn_hidden_units=spec.mlp,
        dnn_activation="dice",
        att_hidden_units=ATTENTION_UNITS,
        l2_reg_embedding=0,
    )


def mmoe(spec, columns):
    """Its `MMOE`."""
    return MMOE(
        columns,
        EXPERTS,
        EXPERT_UNITS,
        TOWER_UNITS,
        l2_reg_embedding=0,
        task_names=TASKS,
    )


def ple(spec, columns):
    """Its `PLE`."""
    return PLE(
        columns,
        SHARED_EXPERTS,
        OWN_EXPERTS,
        LEVELS,
        LEVEL_UNITS,
        TOWER_UNITS,
        l2_reg_embedding=0,
        task_names=TASKS,
    )


def turn_back() -> None:
    """Makes TensorFlow what `DIEN` was written for: a graph, and names that have moved.

    Its recurrent layers call what TensorFlow has under other names today, and create
    their cells where a graph alone lets them.
    """
    from tensorflow.python.ops import array_ops, control_flow_ops
    from tensorflow.python.util import nest

    array_ops.stack, array_ops.unstack = tf.stack, tf.unstack
    control_flow_ops.Assert = tf.debugging.Assert
    control_flow_ops.cond, control_flow_ops.while_loop = tf.cond, tf.while_loop
    nest.is_sequence = nest.is_nested
    tf.compat.v1.disable_eager_execution()


BUILDERS = (
    logistic_regression,
    fm,
    wide_and_deep,
    deepfm,
    xdeepfm,
    dcn,
    dcn_v2,
    dlrm,
    autoint,
    din,
    dien,
    mmoe,
    ple,
)
MODELS = {builder.__name__: builder for builder in BUILDERS}
