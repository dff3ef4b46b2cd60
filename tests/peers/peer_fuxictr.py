"""The problems by FuxiCTR's layers."""

import peer_main
import torch
from fuxictr.pytorch.layers import (
    CompressedInteractionNet,
    CrossNet,
    CrossNetMix,
    CrossNetV2,
    Dice,
    DIN_Attention,
    InnerProductInteraction,
)


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
    return InnerProductInteraction(fields.shape[1])(tensor(fields))


def fm_of_two(fields):
    """`(1, 1)`."""
    return fm(fields)


def cross_vector(x, kernels, biases):
    """`(B, N)`."""
    layer = CrossNet(x.shape[1], len(kernels))
    assign([part.weight.weight for part in layer.cross_net], kernels[:, None])
    assign([part.bias for part in layer.cross_net], biases)
    return layer(tensor(x))


def cross_matrix(x, kernels, biases):
    """`(B, N)`."""
    layer = CrossNetV2(x.shape[1], len(kernels))
    assign([part.weight for part in layer.cross_layers], kernels.transpose(0, 2, 1))
    assign([part.bias for part in layer.cross_layers], biases)
    return layer(tensor(x))


def cross_mixture(x, v, c, u, gates, biases):
    """`(B, N)`; one gate an expert for all layers."""
    layer = CrossNetMix(x.shape[1], len(v), v.shape[-1], len(gates))
    assign(layer.V_list, v)
    assign(layer.C_list, c.transpose(0, 1, 3, 2))
    assign(layer.U_list, u.transpose(0, 1, 3, 2))
    assign([gate.weight for gate in layer.gating], gates[:, None])
    assign(layer.bias, biases[:, :, None])
    return layer(tensor(x))


def cin(fields, **maps):
    """`(B, all maps)`; its last layer made the identity."""
    maps = [maps[f"map_{i}"] for i in range(len(maps))]
    sizes = [kernel.shape[-1] for kernel in maps]
    layer = CompressedInteractionNet(fields.shape[1], sizes, sum(sizes))
    for convolution, kernel in zip(layer.cin_layer.values(), maps):
        # Columns: field, then previous map.
        flat = kernel.transpose(2, 1, 0).reshape(convolution.weight.shape)
        convolution.weight.copy_(tensor(flat))
        convolution.bias.zero_()
    layer.fc.weight.copy_(torch.eye(sum(sizes)))
    layer.fc.bias.zero_()
    return layer(tensor(fields))


def dot(dense, fields):
    """`(B, D + pairs)`; pairs (0, 1), (0, 2), …, the upper triangle."""
    every = torch.cat([tensor(dense)[:, None], tensor(fields)], 1)
    layer = InnerProductInteraction(every.shape[1], output="inner_product")
    return torch.cat([tensor(dense), layer(every)], 1)


def target_attention(**arrays):
    """`(B, D)`."""
    return attend(use_softmax=False, **arrays)


def target_attention_softmax(**arrays):
    """`(B, D)`."""
    return attend(use_softmax=True, **arrays)


def attend(use_softmax, query, keys, lengths, hidden_kernel, hidden_bias, kernel, bias):
    """`(B, D)`."""
    layer = DIN_Attention(
        query.shape[-1],
        list(hidden_bias.shape),
        hidden_activations="sigmoid",
        use_softmax=use_softmax,
    )
    assign(layer.parameters(), [hidden_kernel.T, hidden_bias, kernel.T, bias])
    mask = torch.arange(keys.shape[1]) < tensor(lengths)[:, None]
    return layer(tensor(query), tensor(keys), mask)


def dice(x, alpha, mean, variance):
    """`(B, N)`, with these moving averages."""
    layer = Dice(x.shape[1]).eval()
    assign([layer.alpha, layer.bn.running_mean], [alpha, mean])
    layer.bn.running_var.copy_(tensor(variance))
    return layer(tensor(x))


def dice_of_a_batch(x, alpha):
    """`(B, N)`, with the batch's own statistics."""
    layer = Dice(x.shape[1])
    assign([layer.alpha], [alpha])
    return layer(tensor(x))


if __name__ == "__main__":
    with torch.no_grad():
        peer_main.answer(
            [
                fm,
                fm_of_two,
                cross_vector,
                cross_matrix,
                cross_mixture,
                cin,
                dot,
                target_attention,
                target_attention_softmax,
                dice,
                dice_of_a_batch,
            ]
        )
