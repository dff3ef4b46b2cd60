"""The problems by torch-rechub's layers."""

import peer_main
import problems
import torch
from torch import nn
from torch_rechub.basic.activation import Dice
from torch_rechub.basic.features import SparseFeature
from torch_rechub.basic.layers import (
    CIN,
    FM,
    CrossNetMix,
    CrossNetV2,
    CrossNetwork,
    InteractingLayer,
)
from torch_rechub.models.multi_task import ESMM, MMOE, PLE, SharedBottom
from torch_rechub.models.ranking.deepfm import DeepFM
from torch_rechub.models.ranking.dien import AUGRU_Cell
from torch_rechub.models.ranking.din import ActivationUnit


def tensor(array):
    """The array as a tensor."""
    return torch.from_numpy(array)


def assign(parameters, values):
    """One value a parameter."""
    parameters = list(parameters)
    assert len(parameters) == len(values)
    for parameter, value in zip(parameters, values):
        assert parameter.shape == value.shape
        parameter.copy_(tensor(value))


def fm(fields):
    """`(B, 1)`."""
    return FM()(tensor(fields))


def fm_of_two(fields):
    """`(1, 1)`."""
    return fm(fields)


def cross_vector(x, kernels, biases):
    """`(B, N)`; the bias is not multiplied."""
    layer = CrossNetwork(x.shape[1], len(kernels))
    assign([linear.weight for linear in layer.w], kernels[:, None])
    assign(layer.b, biases)
    return layer(tensor(x))


def cross_matrix(x, kernels, biases):
    """`(B, N)`; here too the bias is not multiplied."""
    layer = CrossNetV2(x.shape[1], len(kernels))
    assign([linear.weight for linear in layer.w], kernels.transpose(0, 2, 1))
    assign(layer.b, biases)
    return layer(tensor(x))


def cross_matrix_without_bias(**arrays):
    """`(B, N)`."""
    return cross_matrix(**arrays)


def cross_mixture(x, v, c, u, gates, biases):
    """`(B, N)`, of one example `(N,)`."""
    layer = CrossNetMix(x.shape[1], len(v), v.shape[-1], len(gates))
    assign(layer.v_list, v)
    assign(layer.c_list, c.transpose(0, 1, 3, 2))
    assign(layer.u_list, u.transpose(0, 1, 3, 2))
    assign([gate.weight for gate in layer.gating], gates[:, None])
    assign(layer.bias, biases[:, :, None])
    return layer(tensor(x))


def cross_mixture_of_one_example(**arrays):
    """`(N,)`."""
    return cross_mixture(**arrays)


def field_attention_scaled(fields, query, key, value, residual):
    """`(B, F, D)`; scores are scaled."""
    layer = InteractingLayer(fields.shape[-1], problems.HEADS)
    linears = [layer.W_Q, layer.W_K, layer.W_V, layer.W_Res]
    kernels = [query.T, key.T, value.T, residual.T]
    assign([linear.weight for linear in linears], kernels)
    return layer(tensor(fields))


def target_attention(**arrays):
    """`(B, D)`; the lengths are not asked for."""
    return attend(use_softmax=False, **arrays)


def target_attention_softmax(**arrays):
    """`(B, D)`; the lengths are not asked for."""
    return attend(use_softmax=True, **arrays)


def attend(use_softmax, query, keys, lengths, hidden_kernel, hidden_bias, kernel, bias):
    """`(B, D)`, without the batch normalization."""
    layer = ActivationUnit(
        query.shape[-1], list(hidden_bias.shape), "sigmoid", use_softmax
    )
    mlp = layer.attention.mlp
    mlp[1] = nn.Identity()
    assign(mlp.parameters(), [hidden_kernel.T, hidden_bias, kernel.T, bias])
    return layer(tensor(keys), tensor(query))


def cin(fields, **maps):
    """`(B, 1)`, with a ReLU after each layer and the sum over all maps."""
    return compress(fields, maps, split_half=False)


def cin_split_half(fields, **maps):
    """`(B, 1)`."""
    return compress(fields, maps, split_half=True)


def compress(fields, maps, split_half):
    """`(B, 1)`."""
    maps = [maps[f"map_{i}"] for i in range(len(maps))]
    sizes = [kernel.shape[-1] for kernel in maps]
    layer = CIN(fields.shape[1], sizes, split_half)
    for convolution, kernel in zip(layer.conv_layers, maps):
        # Columns: field, then previous map.
        flat = kernel.transpose(2, 1, 0).reshape(convolution.weight.shape)
        convolution.weight.copy_(tensor(flat))
        convolution.bias.zero_()
    layer.fc.weight.fill_(1.0)
    layer.fc.bias.zero_()
    return layer(tensor(fields))


def dice_one_alpha(x, alpha):
    """`(B, N)`."""
    layer = Dice()
    assign([layer.alpha], [alpha])
    return layer(tensor(x))


def augru(x, scores, input_kernels, state_kernels, biases):
    """`(B, T, D)`, all states."""
    cell = AUGRU_Cell(x.shape[-1])
    for i, gate in enumerate("ruh"):
        values = [input_kernels[i], state_kernels[i], biases[i : i + 1]]
        assign([getattr(cell, f"{kind}{gate}") for kind in "WUb"], values)
    state = torch.zeros(len(x), x.shape[-1])
    states = []
    for step in range(x.shape[1]):
        state = cell(tensor(x[:, step]), state, tensor(scores[:, step, None]))
        states.append(state)
    return torch.stack(states, 1)


def augru_without_attention(**arrays):
    """`(B, T, D)`."""
    return augru(**arrays)


def deepfm_linear_in_embeddings(ids, tables, linear, output, bias, **dense):
    """`(B,)`; its linear term is one of the embeddings."""
    _, rows, dim = tables.shape
    features = [SparseFeature(f"c{i}", rows, dim) for i in range(len(tables))]
    model = DeepFM(features, features, {"dims": [6, 5]})
    assign([model.embedding.embed_dict[f.name].weight for f in features], tables)
    assign(model.linear.parameters(), [linear.T, bias])
    mlp = model.mlp.mlp
    mlp[1] = mlp[5] = nn.Identity()  # the batch normalization
    weights = []
    for i in range(2):
        weights += [dense[f"kernel_{i}"].T, dense[f"bias_{i}"]]
    assign(mlp.parameters(), [*weights, output.T, 0 * bias])
    inputs = {f"c{i}": tensor(ids[:, i].copy()) for i in range(len(tables))}
    return model.eval()(inputs)


TYPES = ["classification", "classification"]


def shared_bottom(**arrays):
    """`(B, K)`."""
    features = features_of(arrays["tables"])
    model = SharedBottom(features, TYPES, {"dims": [6, 5]}, [{"dims": [4]}] * 2)
    assign_mlp(model.bottom_mlp, "bottom", 0, arrays)
    return predict_tasks(model, **arrays)


def esmm(ids, tables, **arrays):
    """`(B, 3)`: conversion given a click, click, and both."""
    features = features_of(tables)
    model = ESMM(features[:1], features[1:], {"dims": [6, 5]}, {"dims": [6, 5]})
    for number, mlp in enumerate((model.tower_ctr, model.tower_cvr)):
        assign_mlp(mlp, "tower", number, arrays)
    return predict_outputs(model, ids, tables)


def mmoe(gates, **arrays):
    """`(B, K)`."""
    features = features_of(arrays["tables"])
    model = MMOE(features, TYPES, 3, {"dims": [6, 5]}, [{"dims": [4]}] * 2)
    for i, expert in enumerate(model.experts):
        assign_mlp(expert, "expert", i, arrays)
    for mlp, gate in zip(model.gates, gates):
        assign_gate(mlp, gate)
    return predict_tasks(model, **arrays)


def ple(first_gates, first_shared_gate, second_gates, **arrays):
    """`(B, K)`."""
    features = features_of(arrays["tables"])
    model = PLE(features, TYPES, 2, 2, 1, {"dims": [6]}, [{"dims": [4]}] * 2)
    levels = zip(model.cgc_layers, ("first", "second"), (first_gates, second_gates))
    for level, name, gates in levels:
        experts = [*level.experts_specific, *level.experts_shared]
        for i, expert in enumerate(experts):
            assign_mlp(expert, name, i, arrays)
        for mlp, gate in zip(level.gates_specific, gates):
            assign_gate(mlp, gate)
    assign_gate(model.cgc_layers[0].gate_shared, first_shared_gate)
    return predict_tasks(model, **arrays)


def features_of(tables):
    """A table a field."""
    _, rows, dim = tables.shape
    return [SparseFeature(f"c{i}", rows, dim) for i in range(len(tables))]


def assign_mlp(module, name, number, arrays):
    """One of several MLPs, without its batch normalization."""
    values, i = [], 0
    while f"{name}_kernel_{i}" in arrays:
        values.append(arrays[f"{name}_kernel_{i}"][number].T)
        values.append(arrays[f"{name}_bias_{i}"][number])
        i += 1
    if name == "tower":
        values += [arrays["output"][number].T, arrays["bias"][number]]
    assign(without_normalization(module).parameters(), values)


def assign_gate(module, gate):
    """A softmax that has no bias."""
    values = [gate.T, torch.zeros(gate.shape[1]).numpy()]
    assign(without_normalization(module).parameters(), values)


def without_normalization(module):
    """The MLP with an identity in its place."""
    for i, layer in enumerate(module.mlp):
        if isinstance(layer, nn.BatchNorm1d):
            module.mlp[i] = nn.Identity()
    return module


def predict_tasks(model, ids, tables, **arrays):
    """`(B, K)`, with the towers' weights."""
    for number, tower in enumerate(model.towers):
        assign_mlp(tower, "tower", number, arrays)
    return predict_outputs(model, ids, tables)


def predict_outputs(model, ids, tables):
    """`(B, K)`, with the tables."""
    names = [f"c{i}" for i in range(len(tables))]
    assign([model.embedding.embed_dict[name].weight for name in names], tables)
    inputs = {name: tensor(ids[:, i].copy()) for i, name in enumerate(names)}
    return model.eval()(inputs)


if __name__ == "__main__":
    with torch.no_grad():
        peer_main.answer(
            [
                fm,
                fm_of_two,
                cross_vector,
                cross_matrix,
                cross_matrix_without_bias,
                cross_mixture,
                cross_mixture_of_one_example,
                cin,
                cin_split_half,
                field_attention_scaled,
                target_attention,
                target_attention_softmax,
                dice_one_alpha,
                augru,
                augru_without_attention,
                deepfm_linear_in_embeddings,
                shared_bottom,
                esmm,
                mmoe,
                ple,
            ]
        )
