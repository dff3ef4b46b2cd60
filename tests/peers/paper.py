"""The problems as the papers write them, in float64, and what some peers make of them.

`tests.peers.problems` says what the arrays are.
"""

import numpy as np

from tests.peers.problems import HEADS


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    powers = np.exp(x)
    return powers / powers.sum(-1, keepdims=True)


# === As the papers write them ===


def fm(fields):
    pairs = [
        (fields[:, i] * fields[:, j]).sum(-1)
        for i in range(fields.shape[1])
        for j in range(i)
    ]
    return sum(pairs)[:, None]


def fm_of_two(fields):
    return fm(fields)


def cross_vector(x, kernels, biases):
    below = x
    for kernel, bias in zip(kernels, biases):
        below = x * (below @ kernel)[:, None] + bias + below
    return below


def cross_matrix(x, kernels, biases):
    below = x
    for kernel, bias in zip(kernels, biases):
        below = x * (below @ kernel + bias) + below
    return below


def cross_matrix_without_bias(x, kernels, biases):
    return cross_matrix(x, kernels, biases)


def cross_low_rank(x, down, up, biases):
    return cross_matrix(x, down @ up, biases)


def cross_mixture(x, v, c, u, gates, biases):
    below = x
    for layer in range(len(v)):
        gate = softmax(below @ gates.T)  # (B, E)
        experts = []
        for i in range(len(gates)):
            inner = np.tanh(np.tanh(below @ v[layer, i]) @ c[layer, i])
            experts.append(x * (inner @ u[layer, i] + biases[layer]))
        below = below + sum(gate[:, i, None] * e for i, e in enumerate(experts))
    return below


def cross_mixture_of_one_example(**arrays):
    return cross_mixture(**arrays)


def cin(fields, map_0, map_1):
    first = maps_of(fields, fields, map_0)
    second = maps_of(first, fields, map_1)
    return np.concatenate([first, second], 1).sum(-1)


def cin_split_half(fields, map_0, map_1):
    """The first half of the maps goes on, the second to the output."""
    first = maps_of(fields, fields, map_0)
    half = first.shape[1] // 2
    second = maps_of(first[:, :half], fields, map_1)
    return np.concatenate([first[:, half:], second], 1).sum(-1)


def maps_of(previous, fields, kernel):
    maps = np.zeros((len(fields), kernel.shape[-1], fields.shape[-1]))
    for i in range(previous.shape[1]):
        for j in range(fields.shape[1]):
            product = previous[:, i] * fields[:, j]  # (B, D)
            maps += product[:, None] * kernel[i, j, :, None]
    return maps


def dot(dense, fields):
    every = np.concatenate([dense[:, None], fields], 1)
    pairs = [
        (every[:, i] * every[:, j]).sum(-1)
        for i in range(every.shape[1])
        for j in range(i)
    ]
    return np.concatenate([dense, np.stack(pairs, 1)], 1)


def field_attention(fields, query, key, value, residual, scaled=False):
    width = query.shape[1] // HEADS
    heads = []
    for head in range(HEADS):
        part = slice(head * width, (head + 1) * width)
        scores = (fields @ query[:, part]) @ (fields @ key[:, part]).swapaxes(1, 2)
        if scaled:
            scores = scores / np.sqrt(width)
        heads.append(softmax(scores) @ (fields @ value[:, part]))
    return np.maximum(np.concatenate(heads, -1) + fields @ residual, 0)


def field_attention_scaled(**arrays):
    return field_attention(scaled=True, **arrays)


def target_attention(
    query, keys, lengths, hidden_kernel, hidden_bias, kernel, bias, normalized=False
):
    sums = []
    for q, history, length in zip(query, keys, lengths):
        history = history[:length]
        scores = []
        for k in history:
            pair = np.concatenate([q, k, q - k, q * k])
            hidden = sigmoid(pair @ hidden_kernel + hidden_bias)
            scores.append((hidden @ kernel + bias)[0])
        scores = np.array(scores)
        sums.append((softmax(scores) if normalized else scores) @ history)
    return np.stack(sums)


def target_attention_softmax(**arrays):
    return target_attention(normalized=True, **arrays)


def dice(x, alpha, mean, variance):
    p = sigmoid((x - mean) / np.sqrt(variance + 1e-9))
    return p * x + (1 - p) * alpha * x


def dice_of_a_batch(x, alpha):
    return dice(x, alpha, x.mean(0), x.var(0))


def dice_one_alpha(x, alpha):
    return dice_of_a_batch(x, alpha)


def augru(x, scores, input_kernels, state_kernels, biases):
    state, states = np.zeros((len(x), x.shape[-1])), []
    for step in range(x.shape[1]):
        now, score = x[:, step], scores[:, step, None]
        mapped = [now @ w + b for w, b in zip(input_kernels, biases)]
        reset = sigmoid(mapped[0] + state @ state_kernels[0])
        update = sigmoid(mapped[1] + state @ state_kernels[1])
        new = np.tanh(mapped[2] + reset * (state @ state_kernels[2]))
        update = score * update
        state = (1 - update) * state + update * new
        states.append(state)
    return np.stack(states, 1)


def deepfm(ids, tables, scalars, **dense):
    fields = looked_up(ids, tables)  # (B, F, D)
    linear = looked_up(ids, scalars).sum(1)[:, None]
    deep = tower(fields.reshape(len(ids), -1), **dense)
    return sigmoid(linear + fm(fields) + deep @ dense["output"] + dense["bias"])


def wide_and_deep(ids, tables, numbers, scalars, number_weights, **dense):
    x = np.concatenate([looked_up(ids, tables).reshape(len(ids), -1), numbers], 1)
    wide = looked_up(ids, scalars).sum(1)[:, None] + numbers @ number_weights
    return sigmoid(wide + tower(x, **dense) @ dense["output"] + dense["bias"])


def dcn(ids, tables, numbers, kernels, biases, **dense):
    x = np.concatenate([looked_up(ids, tables).reshape(len(ids), -1), numbers], 1)
    top = np.concatenate([cross_vector(x, kernels, biases), tower(x, **dense)], 1)
    return sigmoid(top @ dense["output"] + dense["bias"])


def xdeepfm(ids, tables, scalars, map_0, map_1, **dense):
    fields = looked_up(ids, tables)
    deep = tower(fields.reshape(len(ids), -1), **dense)
    top = np.concatenate([deep, cin(fields, map_0, map_1)], 1) @ dense["output"]
    return sigmoid(looked_up(ids, scalars).sum(1)[:, None] + top + dense["bias"])


def dcn_v2(ids, tables, numbers, kernels, biases, **dense):
    x = np.concatenate([looked_up(ids, tables).reshape(len(ids), -1), numbers], 1)
    top = np.concatenate([cross_matrix(x, kernels, biases), tower(x, **dense)], 1)
    return sigmoid(top @ dense["output"] + dense["bias"])


def dlrm(ids, tables, numbers, **dense):
    bottom = {name[7:]: v for name, v in dense.items() if name.startswith("bottom_")}
    vector = tower(numbers, **bottom)
    top = tower(dot(vector, looked_up(ids, tables)), **dense)
    return sigmoid(top @ dense["output"] + dense["bias"])


def shared_bottom(ids, tables, **dense):
    x = looked_up(ids, tables).reshape(len(ids), -1)
    (bottom,) = mlps([x], "bottom", dense)
    return sigmoid(tops([bottom, bottom], dense))


def esmm(ids, tables, **dense):
    """Click, both, and conversion given a click."""
    x = looked_up(ids, tables).reshape(len(ids), -1)
    click, conversion = sigmoid(tops([x, x], dense)).T
    return np.stack([click, click * conversion, conversion], 1)


def mmoe(ids, tables, gates, **dense):
    x = looked_up(ids, tables).reshape(len(ids), -1)
    experts = mlps([x] * 3, "expert", dense)
    return sigmoid(tops([mixture(x, gate, experts) for gate in gates], dense))


def ple(ids, tables, first_gates, first_shared_gate, second_gates, **dense):
    x = looked_up(ids, tables).reshape(len(ids), -1)
    experts = mlps([x] * 5, "first", dense)
    own = [experts[0:2] + experts[4:], experts[2:4] + experts[4:]]
    a, b = (mixture(x, gate, seen) for gate, seen in zip(first_gates, own))
    shared = mixture(x, first_shared_gate, experts)
    experts = mlps([a, a, b, b, shared], "second", dense)
    own = [experts[0:2] + experts[4:], experts[2:4] + experts[4:]]
    last = [
        mixture(below, gate, seen)
        for below, gate, seen in zip((a, b), second_gates, own)
    ]
    return sigmoid(tops(last, dense))


def mixture(x, gate, experts):
    weights = softmax(x @ gate)  # (B, E)
    return sum(weights[:, i, None] * expert for i, expert in enumerate(experts))


def mlps(inputs, name, dense):
    """The output of each MLP, which reads an input of its own."""
    outputs = []
    for number, x in enumerate(inputs):
        layer = 0
        while f"{name}_kernel_{layer}" in dense:
            kernel = dense[f"{name}_kernel_{layer}"][number]
            x = np.maximum(x @ kernel + dense[f"{name}_bias_{layer}"][number], 0)
            layer += 1
        outputs.append(x)
    return outputs


def tops(inputs, dense):
    """Logits `(B, K)`."""
    logits = [
        tower @ output + bias
        for tower, output, bias in zip(
            mlps(inputs, "tower", dense), dense["output"], dense["bias"]
        )
    ]
    return np.concatenate(logits, 1)


def looked_up(ids, tables):
    return np.stack([table[column] for table, column in zip(tables, ids.T)], 1)


def tower(x, kernel_0, bias_0, kernel_1, bias_1, **_):
    return np.maximum(np.maximum(x @ kernel_0 + bias_0, 0) @ kernel_1 + bias_1, 0)


def augru_without_attention(**arrays):
    return augru(**arrays)


# === What some peers make of them ===


def fm_of_flat_fields(fields):
    """Every number is a field: 35 where the paper has 11."""
    flat = fields.reshape(len(fields), -1)
    return 0.5 * (flat.sum(1) ** 2 - (flat**2).sum(1))[:, None]


def deepfm_linear_in_embeddings(ids, tables, linear, **dense):
    """F·D first-order weights in all, where the paper has one for each value."""
    fields = looked_up(ids, tables)
    x = fields.reshape(len(ids), -1)
    deep = tower(x, **dense) @ dense["output"]
    return sigmoid(x @ linear + fm(fields) + deep + dense["bias"])[:, 0]


def cross_matrix_with_bias_outside(x, kernels, biases):
    below = x
    for kernel, bias in zip(kernels, biases):
        below = x * (below @ kernel) + bias + below
    return below


def cin_of_relu(fields, map_0, map_1, split_half):
    """A ReLU after each layer and one sum of all maps; its other half goes on."""
    first = np.maximum(maps_of(fields, fields, map_0), 0)
    half = first.shape[1] // 2
    kept, previous = (first[:, :half], first[:, half:]) if split_half else (first,) * 2
    second = np.maximum(maps_of(previous, fields, map_1), 0)
    return np.concatenate([kept, second], 1).sum((1, 2))[:, None]


def dice_of_each_example(x, alpha):
    """Mean over an example's channels, and their sum of squares as the variance."""
    mean = x.mean(1, keepdims=True)
    variance = ((x - mean) ** 2 + 1e-3).sum(1, keepdims=True)
    p = sigmoid((x - mean) / np.sqrt(variance))
    return p * x + (1 - p) * alpha * x


def target_attention_over_padding(lengths, **arrays):
    """As if every history were full."""
    full = np.full_like(lengths, arrays["keys"].shape[1])
    return target_attention(lengths=full, **arrays)


def augru_with_inverted_gate(x, scores, input_kernels, state_kernels, biases):
    """The gate (1 − a)·u keeps the old state, and r multiplies it before U does."""
    state, states = np.zeros((len(x), x.shape[-1])), []
    for step in range(x.shape[1]):
        now, score = x[:, step], scores[:, step, None]
        mapped = [now @ w + b for w, b in zip(input_kernels, biases)]
        reset = sigmoid(mapped[0] + state @ state_kernels[0])
        update = sigmoid(mapped[1] + state @ state_kernels[1])
        new = np.tanh(mapped[2] + (reset * state) @ state_kernels[2])
        update = (1 - score) * update
        state = update * state + (1 - update) * new
        states.append(state)
    return np.stack(states, 1)


def upper_triangle(fields):
    """Where pair (i, j) of (0, 1), (0, 2), … stands in (1, 0), (2, 0), (2, 1), …"""
    return [j * (j - 1) // 2 + i for i in range(fields) for j in range(i + 1, fields)]
