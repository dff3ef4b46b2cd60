"""Inputs and weights of the problems that the peers solve, as NumPy arrays.

A matrix is written for `x @ matrix`; each peer turns it to the order that it keeps.
B 6 examples, F 5 fields, D 4, N 7 flat features, L 2 layers, R 3, E 3 experts, T 5.
The models have 3 fields of 10 rows and 2 numbers; those of several tasks have K 2.
"""

import numpy as np

HEADS = 2


def problems():
    """Arrays of each problem by name."""
    rng = np.random.default_rng(7)

    def normal(*shape):
        return rng.normal(size=shape, scale=0.5).astype("float32")

    fields = normal(6, 5, 4)
    x = normal(6, 7)
    biases = normal(2, 7)
    cross_matrix = {"x": x, "kernels": normal(2, 7, 7), "biases": biases}
    mixture = {
        "x": x,
        "v": normal(2, 3, 7, 3),
        "c": normal(2, 3, 3, 3),
        "u": normal(2, 3, 3, 7),
        "gates": normal(3, 7),  # the peers share them between the layers
        "biases": biases,
    }
    attention = {
        "query": normal(6, 4),
        "keys": normal(6, 5, 4),
        "lengths": np.array([5, 1, 3, 2, 4, 5], "int32"),
        "hidden_kernel": normal(16, 3),
        "hidden_bias": normal(3),
        "kernel": normal(3, 1),
        "bias": normal(1),
    }
    rows = {
        "ids": rng.integers(1, 10, size=(6, 3)).astype("int32"),
        "tables": normal(3, 10, 4),
    }
    numbers = {"numbers": normal(6, 2)}

    def tower(width, top):
        return {
            "kernel_0": normal(width, 6),
            "bias_0": normal(6),
            "kernel_1": normal(6, 5),
            "bias_1": normal(5),
            "output": normal(top, 1),
            "bias": normal(1),
        }

    def experts(number, width, units, prefix=""):
        """Layers of MLPs side by side: `[expert, below, unit]`."""
        arrays = {}
        for i, size in enumerate(units):
            arrays[f"{prefix}kernel_{i}"] = normal(number, width, size)
            arrays[f"{prefix}bias_{i}"] = normal(number, size)
            width = size
        return arrays

    def towers(width, units):
        """A tower a task, and its logit."""
        return {
            **experts(2, width, units, "tower_"),
            "output": normal(2, units[-1], 1),
            "bias": normal(2, 1),
        }

    gates = {
        "x": normal(6, 5, 4),
        # Reset, update, candidate: of the input, of the state, and the bias.
        "input_kernels": normal(3, 4, 4),
        "state_kernels": normal(3, 4, 4),
        "biases": normal(3, 4),
    }
    return {
        "fm": {"fields": fields},
        "fm_of_two": {"fields": np.array([[[1, 2], [3, 4]]], "float32")},
        "cross_vector": {"x": x, "kernels": normal(2, 7), "biases": biases},
        "cross_matrix": cross_matrix,
        "cross_matrix_without_bias": {**cross_matrix, "biases": np.zeros_like(biases)},
        "weights_after_build": {"x": x},
        "cross_low_rank": {
            "x": x,
            "down": normal(2, 7, 3),
            "up": normal(2, 3, 7),
            "biases": biases,
        },
        "cross_mixture": mixture,
        "cross_mixture_of_one_example": {**mixture, "x": x[:1]},
        # Maps `[previous map, field, new map]`.
        "cin": {"fields": fields, "map_0": normal(5, 5, 4), "map_1": normal(4, 5, 3)},
        "cin_split_half": {
            "fields": fields,
            "map_0": normal(5, 5, 4),
            "map_1": normal(2, 5, 3),
        },
        "dot": {"dense": normal(6, 4), "fields": fields},
        "field_attention": {
            "fields": fields,
            "query": normal(4, 6),
            "key": normal(4, 6),
            "value": normal(4, 6),
            "residual": normal(4, 6),
        },
        "field_attention_scaled": {
            "fields": fields,
            "query": normal(4, 4),
            "key": normal(4, 4),
            "value": normal(4, 4),
            "residual": np.eye(4, dtype="float32"),
        },
        "target_attention": attention,
        "target_attention_softmax": attention,
        "dice": {
            "x": normal(6, 7),
            "alpha": normal(7),
            "mean": normal(7),
            "variance": np.abs(normal(7)) + 0.1,
        },
        "dice_of_a_batch": {"x": normal(6, 7), "alpha": normal(7)},
        "dice_one_alpha": {"x": normal(6, 7), "alpha": normal(1)},
        "augru": {**gates, "scores": np.abs(normal(6, 5)).clip(0, 1)},
        "augru_without_attention": {**gates, "scores": np.zeros((6, 5), "float32")},
        "deepfm": {**rows, "scalars": normal(3, 10), **tower(12, 5)},
        "deepfm_linear_in_embeddings": {
            **rows,
            "linear": normal(12, 1),
            **tower(12, 5),
        },
        "wide_and_deep": {
            **rows,
            **numbers,
            "scalars": normal(3, 10),
            "number_weights": normal(2, 1),
            **tower(14, 5),
        },
        "dcn": {
            **rows,
            **numbers,
            "kernels": normal(2, 14),
            "biases": normal(2, 14),
            **tower(14, 19),
        },
        "xdeepfm": {
            **rows,
            "scalars": normal(3, 10),
            "map_0": normal(3, 3, 4),
            "map_1": normal(4, 3, 3),
            **tower(12, 5 + 7),
        },
        "dcn_v2": {
            **rows,
            **numbers,
            "kernels": normal(2, 14, 14),
            "biases": normal(2, 14),
            **tower(14, 19),
        },
        "dlrm": {
            **rows,
            **numbers,
            "bottom_kernel_0": normal(2, 6),
            "bottom_bias_0": normal(6),
            "bottom_kernel_1": normal(6, 4),
            "bottom_bias_1": normal(4),
            **tower(4 + 6, 5),
        },
        "shared_bottom": {
            **rows,
            **experts(1, 12, (6, 5), "bottom_"),
            **towers(5, (4,)),
        },
        "esmm": {**rows, **towers(12, (6, 5))},
        # Gates `[task, below, expert]`.
        "mmoe": {
            **rows,
            **experts(3, 12, (6, 5), "expert_"),
            "gates": normal(2, 12, 3),
            **towers(5, (4,)),
        },
        # Two experts of each task, then one that they share, in two levels.
        "ple": {
            **rows,
            **experts(5, 12, (6,), "first_"),
            "first_gates": normal(2, 12, 3),
            "first_shared_gate": normal(12, 5),
            **experts(5, 6, (6,), "second_"),
            "second_gates": normal(2, 6, 3),
            **towers(6, (4,)),
        },
    }
