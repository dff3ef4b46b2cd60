"""The problems by our layers and models."""

import numpy as np

from keras_recs import CategoricalFeature, Label, NumericFeature, Schema, layers, models
from tests.peers.problems import HEADS


def assign(layer, values):
    """Sets every weight of a built layer or model by its path in it."""
    weights = {weight.path: weight for weight in layer.weights}
    if set(weights) != set(values):
        weights = {path.partition("/")[2]: w for path, w in weights.items()}
    assert set(weights) == set(values)
    for path, value in values.items():
        assert weights[path].shape == value.shape, path
        weights[path].assign(value)


# === Layers ===


def fm(fields):
    return layers.FMInteraction()(fields)


def fm_of_two(fields):
    return fm(fields)


def cross_vector(x, kernels, biases):
    below = x
    for kernel, bias in zip(kernels, biases):
        layer = layers.VectorCrossLayer()
        layer.build([x.shape, x.shape])
        assign(layer, {"kernel": kernel[:, None], "bias": bias})
        below = layer([x, below])
    return below


def cross_matrix(x, kernels, biases):
    below = x
    for kernel, bias in zip(kernels, biases):
        layer = layers.CrossLayer()
        layer.build([x.shape, x.shape])
        assign(layer, {"dense/kernel": kernel, "dense/bias": bias})
        below = layer([x, below])
    return below


def cross_matrix_without_bias(**arrays):
    return cross_matrix(**arrays)


def weights_after_build(x):
    layer = layers.CrossLayer()
    layer.build([x.shape, x.shape])
    return len(layer.weights)


def cross_low_rank(x, down, up, biases):
    below = x
    for first, second, bias in zip(down, up, biases):
        layer = layers.CrossLayer(projection_dim=first.shape[1])
        layer.build([x.shape, x.shape])
        values = {"down/kernel": first, "dense/kernel": second, "dense/bias": bias}
        assign(layer, values)
        below = layer([x, below])
    return below


def cross_mixture(x, v, c, u, gates, biases):
    below = x
    for i in range(len(v)):
        experts, _, rank = v[i].shape
        layer = layers.CrossLayer(projection_dim=rank, num_experts=experts)
        layer.build([x.shape, x.shape])
        values = {
            "down/kernel": np.concatenate(v[i], 1),
            "core": c[i],
            "dense/kernel": np.concatenate(u[i], 0),
            "dense/bias": biases[i],
            "gate/kernel": gates.T,
            "gate/bias": np.zeros(experts),
        }
        assign(layer, values)
        below = layer([x, below])
    return below


def cross_mixture_of_one_example(**arrays):
    return cross_mixture(**arrays)


def cin(fields, **maps):
    return compress(fields, maps)


def cin_split_half(fields, **maps):
    return compress(fields, maps, split_half=True)


def compress(fields, maps, **options):
    sizes = [kernel.shape[-1] for kernel in maps.values()]
    layer = layers.CIN(sizes, **options)
    layer.build(fields.shape)
    assign(layer, flat_maps(maps))
    return layer(fields)


def flat_maps(maps, prefix=""):
    return {
        f"{prefix}kernel_{i}": maps[f"map_{i}"].reshape(-1, maps[f"map_{i}"].shape[-1])
        for i in range(len(maps))
    }


def dot(dense, fields):
    every = np.concatenate([dense[:, None], fields], 1)
    return np.concatenate([dense, layers.DotInteraction()(every)], 1)


def field_attention(fields, scaled=False, **kernels):
    width = kernels["query"].shape[1]
    layer = layers.FieldAttention(HEADS, width // HEADS, scaled=scaled)
    layer.build(fields.shape)
    if width == fields.shape[-1]:
        assert (kernels.pop("residual") == np.eye(width)).all()
    assign(layer, {f"{name}/kernel": kernel for name, kernel in kernels.items()})
    return layer(fields)


def field_attention_scaled(**arrays):
    return field_attention(scaled=True, **arrays)


def target_attention(use_softmax=False, **arrays):
    query, keys, lengths = (arrays[name] for name in ("query", "keys", "lengths"))
    mask = np.arange(keys.shape[1]) < lengths[:, None]
    layer = layers.TargetAttention(
        arrays["hidden_bias"].shape, activation="sigmoid", use_softmax=use_softmax
    )
    layer.build([query.shape, keys.shape, mask.shape])
    values = {
        "mlp/dense_0/kernel": arrays["hidden_kernel"],
        "mlp/dense_0/bias": arrays["hidden_bias"],
        "score/kernel": arrays["kernel"],
        "score/bias": arrays["bias"],
    }
    assign(layer, values)
    return layer([query, keys, mask])


def target_attention_softmax(**arrays):
    return target_attention(use_softmax=True, **arrays)


def dice(x, alpha, mean, variance, training=False):
    layer = layers.Dice()
    layer.build(x.shape)
    values = {"alpha": alpha, "moving_mean": mean, "moving_variance": variance}
    assign(layer, values)
    return layer(x, training=training)


def dice_of_a_batch(x, alpha):
    unused = np.zeros(x.shape[1])
    alphas = np.broadcast_to(alpha, x.shape[1])
    return dice(x, alphas, unused, unused, training=True)


def dice_one_alpha(x, alpha):
    return dice_of_a_batch(x, alpha)


def augru(x, scores, input_kernels, state_kernels, biases):
    """The state after each step: that after the last of so many."""
    layer = layers.AUGRU(x.shape[-1])
    layer.build([x.shape, scores.shape])
    # Keras's cell has its update gate first, and what it keeps is one minus the paper's.
    reset, update, new = range(3)

    def joined(parts):
        return np.concatenate([-parts[update], parts[reset], parts[new]], -1)

    bias = joined(biases)
    values = {
        "kernel": joined(input_kernels),
        "recurrent_kernel": joined(state_kernels),
        "bias": np.stack([bias, np.zeros_like(bias)]),
    }
    assign(layer, {f"gru/{name}": value for name, value in values.items()})
    ends = range(1, x.shape[1] + 1)
    return np.stack([layer([x[:, :end], scores[:, :end]]) for end in ends], 1)


def augru_without_attention(**arrays):
    return augru(**arrays)


# === Models ===


def deepfm(ids, tables, scalars, **dense):
    model = models.deepfm(schema(tables), tables.shape[-1], hidden_units=(6, 5))
    values = {
        "linear/weight_of_value/tables/embeddings": scalars.reshape(-1, 1),
        "linear/bias": np.zeros(1),
    }
    return predict(model, values, ids, tables, dense)


def wide_and_deep(ids, tables, numbers, scalars, number_weights, **dense):
    columns = schema(tables, numbers)
    model = models.wide_and_deep(columns, tables.shape[-1], hidden_units=(6, 5))
    values = {
        "wide/weight_of_value/tables/embeddings": scalars.reshape(-1, 1),
        "wide/kernel": number_weights,
        "wide/bias": np.zeros(1),
    }
    return predict(model, values, ids, tables, dense, numbers)


def xdeepfm(ids, tables, scalars, map_0, map_1, **dense):
    maps = {"map_0": map_0, "map_1": map_1}
    model = models.xdeepfm(
        schema(tables),
        tables.shape[-1],
        cin_layer_sizes=[kernel.shape[-1] for kernel in maps.values()],
        hidden_units=(6, 5),
    )
    values = {
        "linear/weight_of_value/tables/embeddings": scalars.reshape(-1, 1),
        "linear/bias": np.zeros(1),
        **flat_maps(maps, "cin/"),
    }
    return predict(model, values, ids, tables, dense)


def dcn(ids, tables, numbers, kernels, biases, **dense):
    columns = schema(tables, numbers)
    model = models.dcn(columns, tables.shape[-1], len(kernels), hidden_units=(6, 5))
    values = {}
    for i, (kernel, bias) in enumerate(zip(kernels, biases)):
        values |= {f"cross_{i}/kernel": kernel[:, None], f"cross_{i}/bias": bias}
    return predict(model, values, ids, tables, dense, numbers)


def dcn_v2(ids, tables, numbers, kernels, biases, **dense):
    columns = schema(tables, numbers)
    model = models.dcn_v2(columns, tables.shape[-1], len(kernels), hidden_units=(6, 5))
    values = {}
    for i, (kernel, bias) in enumerate(zip(kernels, biases)):
        values |= {f"cross_{i}/dense/kernel": kernel, f"cross_{i}/dense/bias": bias}
    return predict(model, values, ids, tables, dense, numbers)


def dlrm(ids, tables, numbers, **dense):
    columns = schema(tables, numbers)
    model = models.dlrm(columns, tables.shape[-1], bottom_units=(6,), top_units=(6, 5))
    bottom = {name[7:]: v for name, v in dense.items() if name.startswith("bottom_")}
    values = tower("bottom", bottom)
    return predict(model, values, ids, tables, dense, numbers, name="top")


def shared_bottom(ids, tables, **dense):
    model = models.shared_bottom(two_tasks(tables), tables.shape[-1], (6, 5), (4,))
    values = {}
    for i in range(2):
        for part in ("kernel", "bias"):
            values[f"shared/dense_{i}/{part}"] = dense[f"bottom_{part}_{i}"][0]
    return predict_tasks(model, values, ids, tables, dense)


def esmm(ids, tables, **dense):
    funnel = two_tasks(tables, given="click")
    model = models.esmm(funnel, tables.shape[-1], (6, 5))
    return predict_tasks(model, {}, ids, tables, dense)


def mmoe(ids, tables, gates, **dense):
    schema = two_tasks(tables)
    model = models.mmoe(schema, tables.shape[-1], len(gates) + 1, (6, 5), (4,))
    values = {"gates/dense/kernel": np.concatenate(gates, 1)}
    values |= side_by_side("experts", "expert", dense)
    return predict_tasks(model, values, ids, tables, dense)


def ple(ids, tables, first_gates, first_shared_gate, second_gates, **dense):
    model = models.ple(two_tasks(tables), tables.shape[-1], 2, (2, 1), (6,), (4,))
    values = {
        "extraction_0/gates": first_gates.swapaxes(0, 1),
        "extraction_0/shared_gate": first_shared_gate,
        "extraction_1/gates": second_gates.swapaxes(0, 1),
        **side_by_side("extraction_0/experts", "first", dense),
        **side_by_side("extraction_1/experts", "second", dense),
    }
    return predict_tasks(model, values, ids, tables, dense)


def two_tasks(tables, given=None):
    labels = [Label("click"), Label("conversion", given=given)]
    return Schema(features=schema(tables).features, labels=labels)


def side_by_side(path, name, dense):
    """Kernels `[below, expert, unit]` and biases of experts or towers."""
    values, i = {}, 0
    while f"{name}_kernel_{i}" in dense:
        values[f"{path}/kernel_{i}"] = dense[f"{name}_kernel_{i}"].swapaxes(0, 1)
        values[f"{path}/bias_{i}"] = dense[f"{name}_bias_{i}"]
        i += 1
    return values


def predict_tasks(model, values, ids, tables, dense):
    """Outputs `(B, K)` in the model's order, with the weights that every model has."""
    values = {
        **values,
        **side_by_side("towers/hidden", "tower", dense),
        "embedding/tables/embeddings": tables.reshape(-1, tables.shape[-1]),
        "towers/kernel": dense["output"][..., 0].T,
        "towers/bias": dense["bias"][:, 0],
    }
    assign(model, values)
    inputs = {f"c{i}": ids[:, i] for i in range(ids.shape[1])}
    return np.concatenate(list(model.predict_on_batch(inputs).values()), 1)


def schema(tables, numbers=None):
    """Row 0 is padding and row 1 unknown; the others are integer ids."""
    ids = tables.shape[1] - 2
    features = [
        CategoricalFeature(f"c{i}", vocabulary_size=ids) for i in range(len(tables))
    ]
    if numbers is not None:
        features += [NumericFeature(f"n{i}") for i in range(numbers.shape[1])]
    return Schema(features=features, labels=[Label("click")])


def tower(name, dense):
    return {
        f"{name}/dense_{i}/{part}": dense[f"{part}_{i}"]
        for i in range(2)
        for part in ("kernel", "bias")
    }


def predict(model, values, ids, tables, dense, numbers=None, name="deep"):
    """Probabilities `(B, 1)`, with the weights that every model has."""
    values = {
        **values,
        **tower(name, dense),
        "embedding/tables/embeddings": tables.reshape(-1, tables.shape[-1]),
        "heads/dense/kernel": dense["output"],
        "heads/dense/bias": dense["bias"],
    }
    assign(model, values)
    inputs = {f"c{i}": ids[:, i] for i in range(ids.shape[1])}
    if numbers is not None:
        inputs |= {f"n{i}": numbers[:, i] for i in range(numbers.shape[1])}
    return model.predict_on_batch(inputs)["click"]
