"""The problems by DeepCTR's layers, on legacy Keras."""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import peer_main
import problems
import tensorflow as tf
from deepctr.contrib.utils import VecAttGRUCell
from deepctr.feature_column import DenseFeat, SparseFeat
from deepctr.layers.activation import Dice
from deepctr.layers.core import DNN, PredictionLayer
from deepctr.layers.interaction import CIN, FM, CrossNet, CrossNetMix, InteractingLayer
from deepctr.layers.sequence import AttentionSequencePoolingLayer
from deepctr.layers.utils import Linear
from deepctr.models import DCN, ESMM, MMOE, PLE, WDL, DeepFM, SharedBottom, xDeepFM
from tensorflow.python.util import nest

nest.is_sequence = nest.is_nested  # its old name, which the cell of DIEN asks for


def fm(fields):
    """`(B, 1)`."""
    return FM()(tf.constant(fields))


def fm_of_two(fields):
    """`(1, 1)`."""
    return fm(fields)


def cross_vector(x, kernels, biases):
    """`(B, N)`; the bias is not multiplied."""
    return cross("vector", x, kernels[:, :, None], biases)


def cross_matrix(x, kernels, biases):
    """`(B, N)`; the bias is inside."""
    return cross("matrix", x, kernels.transpose(0, 2, 1), biases)


def cross(parameterization, x, kernels, biases):
    """`(B, N)`."""
    layer = CrossNet(len(kernels), parameterization)
    layer.build((None, x.shape[1]))
    assign(layer.kernels, kernels)
    assign(layer.bias, biases[:, :, None])
    return layer(tf.constant(x))


def cross_mixture(x, v, c, u, gates, biases):
    """`(B, N)`; one gate an expert for all layers."""
    layer = CrossNetMix(v.shape[-1], len(gates), len(v))
    layer(tf.constant(x))  # also builds the gates
    assign(layer.V_list, v)
    assign(layer.C_list, c.transpose(0, 1, 3, 2))
    assign(layer.U_list, u.transpose(0, 1, 3, 2))
    assign([gate.kernel for gate in layer.gating], gates[:, :, None])
    assign(layer.bias, biases[:, :, None])
    return layer(tf.constant(x))


def cross_mixture_of_one_example(**arrays):
    """`(1, N)`."""
    return cross_mixture(**arrays)


def cin(fields, **maps):
    """`(B, all maps)`."""
    return compress(fields, maps, split_half=False)


def cin_split_half(fields, **maps):
    """`(B, half of the first maps, the last maps)`."""
    return compress(fields, maps, split_half=True)


def compress(fields, maps, split_half):
    """Without the activation and the bias, which the paper does not have."""
    maps = [maps[f"map_{i}"] for i in range(len(maps))]
    sizes = [kernel.shape[-1] for kernel in maps]
    layer = CIN(sizes, activation="linear", split_half=split_half)
    layer.build((None, *fields.shape[1:]))
    assign_maps(layer, maps)
    return layer(tf.constant(fields))


def assign_maps(layer, maps):
    """The rows of a filter are the field's, within them the previous map's."""
    flat = [kernel.transpose(1, 0, 2) for kernel in maps]
    flat = [kernel.reshape(1, -1, kernel.shape[-1]) for kernel in flat]
    assign(layer.filters, flat)


def field_attention(fields, query, key, value, residual):
    """`(B, F, D)`; scores are not scaled."""
    width = query.shape[-1] // problems.HEADS
    layer = InteractingLayer(width, problems.HEADS)
    layer.build((None, *fields.shape[1:]))
    layer.set_weights([query, key, value, residual])
    return layer(tf.constant(fields))


def target_attention(**arrays):
    """`(B, D)`."""
    return attend(weight_normalization=False, **arrays)


def target_attention_softmax(**arrays):
    """`(B, D)`."""
    return attend(weight_normalization=True, **arrays)


def attend(
    weight_normalization,
    query,
    keys,
    lengths,
    hidden_kernel,
    hidden_bias,
    kernel,
    bias,
):
    """`(B, D)`."""
    layer = AttentionSequencePoolingLayer(
        hidden_bias.shape, "sigmoid", weight_normalization
    )
    inputs = [
        tf.constant(query[:, None]),
        tf.constant(keys),
        tf.constant(lengths[:, None]),
    ]
    layer(inputs)
    unit = layer.local_att
    unit.dnn.set_weights([hidden_kernel, hidden_bias])
    unit.kernel.assign(kernel)
    unit.bias.assign(bias)
    return layer(inputs)[:, 0]


def dice(x, alpha, mean, variance):
    """`(B, N)`, with these moving averages."""
    layer = Dice()
    layer(tf.constant(x))
    layer.alphas.assign(alpha)
    layer.bn.set_weights([mean, variance])
    return layer(tf.constant(x), training=False)


def dice_of_a_batch(x, alpha):
    """`(B, N)`, with the batch's own statistics."""
    layer = Dice()
    layer(tf.constant(x))
    layer.alphas.assign(alpha)
    return layer(tf.constant(x), training=True)


def augru(x, scores, input_kernels, state_kernels, biases):
    """`(B, T, D)`, all states; its loop over time does not run on this TensorFlow."""
    reset, update, candidate = np.concatenate([input_kernels, state_kernels], 1)
    values = {
        "gates/kernel": np.concatenate([reset, update], 1),
        "gates/bias": biases[:2].reshape(-1),
        "candidate/kernel": candidate,
        "candidate/bias": biases[2],
    }
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        cell = VecAttGRUCell(x.shape[-1])
        state, states = tf.zeros((len(x), x.shape[-1])), []
        for step in range(x.shape[1]):
            score = tf.constant(scores[:, step, None])
            state, _ = cell(tf.constant(x[:, step]), state, score)
            states.append(state)
        variables = {v.op.name: v for v in tf.compat.v1.global_variables()}
        assert set(variables) == set(values)
        for name, value in values.items():
            session.run(variables[name].assign(value))
        return session.run(tf.stack(states, 1))


def augru_without_attention(**arrays):
    """`(B, T, D)`."""
    return augru(**arrays)


def columns_of(tables, numbers=None):
    """Features that need no regularizer to be told."""
    _, rows, dim = tables.shape
    columns = [SparseFeat(f"c{i}", rows, dim) for i in range(len(tables))]
    if numbers is not None:
        columns += [DenseFeat(f"n{i}", 1) for i in range(numbers.shape[1])]
    return columns


def find(model, kind):
    """The one layer of a class."""
    (layer,) = [layer for layer in model.layers if isinstance(layer, kind)]
    return layer


def predict(model, ids, tables, numbers=None, scalars=None, output=None, **dense):
    """Probabilities `(B, 1)`, with the weights that every model has."""
    for i in range(len(tables)):
        model.get_layer(f"sparse_emb_c{i}").set_weights([tables[i]])
        if scalars is not None:
            linear = model.get_layer(f"linear0sparse_emb_c{i}")
            linear.set_weights([scalars[i, :, None]])
    dnn = find(model, DNN)
    assign(dnn.kernels, [dense["kernel_0"], dense["kernel_1"]])
    assign(dnn.bias, [dense["bias_0"], dense["bias_1"]])
    if output is not None:
        find(model, tf.keras.layers.Dense).set_weights([output])
    find(model, PredictionLayer).set_weights([dense["bias"]])
    inputs = {f"c{i}": ids[:, i] for i in range(len(tables))}
    if numbers is not None:
        inputs |= {f"n{i}": numbers[:, i] for i in range(numbers.shape[1])}
    return model.predict(inputs, verbose=0)


UNITS = (6, 5)


def deepfm(**arrays):
    """`(B, 1)`."""
    columns = columns_of(arrays["tables"])
    return predict(DeepFM(columns, columns, dnn_hidden_units=UNITS), **arrays)


def wide_and_deep(number_weights, **arrays):
    """`(B, 1)`."""
    columns = columns_of(arrays["tables"], arrays["numbers"])
    model = WDL(columns, columns, UNITS)
    find(model, Linear).set_weights([number_weights])
    return predict(model, **arrays)


def xdeepfm(map_0, map_1, output, **arrays):
    """`(B, 1)`."""
    columns = columns_of(arrays["tables"])
    sizes = [map_0.shape[-1], map_1.shape[-1]]
    model = xDeepFM(columns, columns, UNITS, sizes, False, "linear")
    assign_maps(find(model, CIN), [map_0, map_1])
    dense = [x for x in model.layers if isinstance(x, tf.keras.layers.Dense)]
    assign([x.kernel for x in dense], np.split(output, [UNITS[-1]]))
    return predict(model, **arrays)


def dcn(kernels, biases, **arrays):
    """`(B, 1)`, without its linear term of the numbers."""
    return deep_and_cross("vector", kernels[:, :, None], biases, **arrays)


def dcn_v2(kernels, biases, **arrays):
    """`(B, 1)`, without its linear term of the numbers."""
    return deep_and_cross("matrix", kernels.transpose(0, 2, 1), biases, **arrays)


def deep_and_cross(parameterization, kernels, biases, **arrays):
    """`(B, 1)`."""
    columns = columns_of(arrays["tables"], arrays["numbers"])
    model = DCN(columns[3:], columns, len(kernels), parameterization, UNITS)
    cross = find(model, CrossNet)
    assign(cross.kernels, kernels)
    assign(cross.bias, biases[:, :, None])
    linear = find(model, Linear)
    linear.set_weights([np.zeros_like(weight) for weight in linear.get_weights()])
    return predict(model, **arrays)


TASKS = ("click", "conversion")


def shared_bottom(**arrays):
    """`(B, K)`."""
    model = SharedBottom(columns_of(arrays["tables"]), UNITS, (4,), task_names=TASKS)
    bottom = next(layer for layer in model.layers if isinstance(layer, DNN))
    assign_mlp(bottom, "bottom", 0, arrays)
    return predict_tasks(model, **arrays)


def esmm(ids, tables, **arrays):
    """`(B, 2)`: click and both; it has no output for the conversion."""
    model = ESMM(columns_of(tables), UNITS, task_names=TASKS)
    towers = [layer for layer in model.layers if isinstance(layer, DNN)]
    for task, layer in enumerate(sorted(towers, key=number_of)):
        assign_mlp(layer, "tower", task, arrays)
    return predict_outputs(model, ids, tables, **arrays)


def mmoe(gates, **arrays):
    """`(B, K)`."""
    columns = columns_of(arrays["tables"])
    model = MMOE(columns, 3, UNITS, (4,), task_names=TASKS)
    for i in range(3):
        assign_mlp(model.get_layer(f"expert_{i}"), "expert", i, arrays)
    for task, gate in zip(TASKS, gates):
        model.get_layer(f"gate_softmax_{task}").set_weights([gate])
    return predict_tasks(model, **arrays)


def ple(first_gates, first_shared_gate, second_gates, **arrays):
    """`(B, K)`."""
    columns = columns_of(arrays["tables"])
    model = PLE(columns, 1, 2, 2, (6,), (4,), task_names=TASKS)
    for level, (name, gates) in enumerate(
        [("first", first_gates), ("second", second_gates)]
    ):
        for i, task in enumerate(TASKS):
            for j in range(2):
                expert = f"level_{level}_task_{task}_expert_specific_{j}"
                assign_mlp(model.get_layer(expert), name, 2 * i + j, arrays)
            gate = model.get_layer(f"level_{level}_gate_softmax_specific_{task}")
            gate.set_weights([gates[i]])
        expert = model.get_layer(f"level_{level}_expert_shared_0")
        assign_mlp(expert, name, 4, arrays)
    gate = model.get_layer("level_0_gate_softmax_shared")
    gate.set_weights([first_shared_gate])
    return predict_tasks(model, **arrays)


def assign_mlp(layer, name, number, arrays):
    """One of several MLPs."""
    places = range(len(layer.kernels))
    assign(layer.kernels, [arrays[f"{name}_kernel_{i}"][number] for i in places])
    assign(layer.bias, [arrays[f"{name}_bias_{i}"][number] for i in places])


def predict_tasks(model, ids, tables, **arrays):
    """`(B, K)`, with the towers' weights."""
    for number, task in enumerate(TASKS):
        assign_mlp(model.get_layer(f"tower_{task}"), "tower", number, arrays)
    return predict_outputs(model, ids, tables, **arrays)


def predict_outputs(model, ids, tables, output, bias, **_):
    """`(B, K)`, with the weights that every model of several tasks has."""
    for i in range(len(tables)):
        model.get_layer(f"sparse_emb_c{i}").set_weights([tables[i]])
    kinds = (tf.keras.layers.Dense, PredictionLayer)
    for kind, values in zip(kinds, (output, bias)):
        layers = [
            layer
            for layer in model.layers
            if isinstance(layer, kind) and layer.weights[0].shape == values[0].shape
        ]
        for layer, value in zip(sorted(layers, key=number_of), values):
            layer.set_weights([value])
    inputs = {f"c{i}": ids[:, i] for i in range(len(tables))}
    return np.concatenate(model.predict(inputs, verbose=0), 1)


def number_of(layer):
    """Where it stands among those that were made."""
    return min(weight.name for weight in layer.weights), layer.name


def assign(variables, values):
    """One value a variable."""
    assert len(variables) == len(values)
    for variable, value in zip(variables, values):
        variable.assign(value)


if __name__ == "__main__":
    peer_main.answer(
        [
            fm,
            fm_of_two,
            cross_vector,
            cross_matrix,
            cross_mixture,
            cross_mixture_of_one_example,
            cin,
            cin_split_half,
            field_attention,
            target_attention,
            target_attention_softmax,
            dice,
            dice_of_a_batch,
            augru,
            augru_without_attention,
            deepfm,
            wide_and_deep,
            dcn,
            dcn_v2,
            xdeepfm,
            shared_bottom,
            esmm,
            mmoe,
            ple,
        ]
    )
