"""The problems by TorchRec's modules."""

import peer_main
import torch
import torchrec
from torchrec.models.dlrm import DLRM, InteractionArch
from torchrec.modules.crossnet import (
    CrossNet,
    LowRankCrossNet,
    LowRankMixtureCrossNet,
    VectorCrossNet,
)
from torchrec.modules.deepfm import FactorizationMachine


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


def fm_of_two(fields):
    """`(1, 1)`; every number is taken for a field of its own."""
    return FactorizationMachine()([tensor(fields)])


def cross_vector(x, kernels, biases):
    """`(B, N)`."""
    layer = VectorCrossNet(x.shape[1], len(kernels))
    assign(layer.kernels, kernels[:, :, None])
    assign(layer.bias, biases[:, :, None])
    return layer(tensor(x))


def cross_matrix(x, kernels, biases):
    """`(B, N)`."""
    layer = CrossNet(x.shape[1], len(kernels))
    assign(layer.kernels, kernels.transpose(0, 2, 1))
    assign(layer.bias, biases[:, :, None])
    return layer(tensor(x))


def cross_low_rank(x, down, up, biases):
    """`(B, N)`."""
    layer = LowRankCrossNet(x.shape[1], len(down), down.shape[-1])
    assign(layer.V_kernels, down.transpose(0, 2, 1))
    assign(layer.W_kernels, up.transpose(0, 2, 1))
    assign(layer.bias, biases)
    return layer(tensor(x))


def cross_mixture(x, v, c, u, gates, biases):
    """`(B, N)`; one gate an expert for all layers."""
    shape = (x.shape[1], len(v), len(gates), v.shape[-1])
    layer = LowRankMixtureCrossNet(*shape, activation=torch.tanh)
    assign(layer.V_kernels, v.transpose(0, 1, 3, 2))
    assign(layer.C_kernels, c.transpose(0, 1, 3, 2))
    assign(layer.U_kernels, u.transpose(0, 1, 3, 2))
    assign([gate.weight for gate in layer.gates], gates[:, None])
    assign(layer.bias, biases[:, :, None])
    return layer(tensor(x))


def dot(dense, fields):
    """`(B, D + pairs)`; pairs (0, 1), (0, 2), …, the upper triangle."""
    return InteractionArch(fields.shape[1])(tensor(dense), tensor(fields))


def dlrm(ids, tables, numbers, **dense):
    """`(B, 1)`; the over MLP takes the pairs of the upper triangle."""
    names = [f"c{i}" for i in range(len(tables))]
    _, rows, dim = tables.shape
    collection = torchrec.EmbeddingBagCollection(
        tables=[
            torchrec.EmbeddingBagConfig(
                name=name, embedding_dim=dim, num_embeddings=rows, feature_names=[name]
            )
            for name in names
        ]
    )
    bags = collection.embedding_bags
    assign([bags[name].weight for name in names], tables)
    model = DLRM(collection, numbers.shape[1], [6, dim], [6, 5, 1])
    for arch, prefix in ((model.dense_arch, "bottom_"), (model.over_arch, "")):
        values = [
            value
            for i in range(2)
            for value in (dense[f"{prefix}kernel_{i}"].T, dense[f"{prefix}bias_{i}"])
        ]
        if not prefix:
            values += [dense["output"].T, dense["bias"]]
        assign(arch.parameters(), values)
    features = torchrec.KeyedJaggedTensor(
        keys=names,
        values=tensor(ids.T.reshape(-1).astype("int64")),
        lengths=torch.ones(ids.size, dtype=torch.int64),
    )
    return torch.sigmoid(model(tensor(numbers), features))


if __name__ == "__main__":
    with torch.no_grad():
        peer_main.answer(
            [
                fm_of_two,
                cross_vector,
                cross_matrix,
                cross_low_rank,
                cross_mixture,
                dot,
                dlrm,
            ]
        )
