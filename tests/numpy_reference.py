"""What the library computes, written a second time: NumPy, Python loops, no shared code."""

import itertools
import math

import numpy as np

# === Hashes ===

_K0, _K2 = 0xC3A5C85C97CB3127, 0x9AE16A3B2F90404F
_MASK = (1 << 64) - 1


def fingerprint64(text):
    """FarmHash Fingerprint64 of up to 16 bytes, after the published algorithm."""

    def rotate(value, shift):
        return ((value >> shift) | (value << (64 - shift))) & _MASK

    def finish(u, v, multiplier):
        a = ((u ^ v) * multiplier) & _MASK
        a ^= a >> 47
        b = ((v ^ a) * multiplier) & _MASK
        b ^= b >> 47
        return (b * multiplier) & _MASK

    data = text if isinstance(text, bytes) else text.encode()
    n = len(data)
    if n > 16:
        raise NotImplementedError("up to 16 bytes")
    multiplier = (_K2 + 2 * n) & _MASK
    if n >= 8:
        a = (int.from_bytes(data[:8], "little") + _K2) & _MASK
        b = int.from_bytes(data[-8:], "little")
        c = (rotate(b, 37) * multiplier + a) & _MASK
        d = ((rotate(a, 25) + b) * multiplier) & _MASK
        return finish(c, d, multiplier)
    if n >= 4:
        a = int.from_bytes(data[:4], "little")
        b = int.from_bytes(data[-4:], "little")
        return finish((n + (a << 3)) & _MASK, b, multiplier)
    if n == 0:
        return _K2
    y = data[0] + (data[n >> 1] << 8)
    z = n + (data[-1] << 2)
    v = ((y * _K2) & _MASK) ^ ((z * _K0) & _MASK)
    return ((v ^ (v >> 47)) * _K2) & _MASK


# === Raw values to rows and numbers ===


def hash_row(value, hash_bins, num_oov=1):
    return 0 if value == "" else 1 + num_oov + fingerprint64(value) % hash_bins


def hash_key(value):
    return 0 if value == "" else 1 + fingerprint64(value) % (2**63 - 1)


def vocabulary_row(value, vocabulary, num_oov=1):
    if value == "":
        return 0
    if value in vocabulary:
        return 1 + num_oov + vocabulary.index(value)
    return 1 if num_oov == 1 else 1 + fingerprint64(value) % num_oov


def identity_row(value, vocabulary_size, num_oov=1):
    if value == -1:
        return 0
    if 0 <= value < vocabulary_size:
        return 1 + num_oov + value
    return 1 + value % num_oov


def cross_row(values, hash_bins):
    if any(value in ("", -1) for value in values):
        return 1
    return 2 + fingerprint64("\x1f".join(str(value) for value in values)) % hash_bins


def bucket_row(x, boundaries, default=None):
    if not math.isfinite(x):
        if default is None:
            return 1
        x = default
    return 2 + sum(1 for boundary in boundaries if boundary <= x)


def number(x, log1p=False, mean=0.0, std=1.0, default=None):
    if not math.isfinite(x):
        if default is None:
            return 0.0
        x = default
    if log1p:
        x = math.copysign(math.log(1 + abs(x)), x)
    return (x - mean) / (std if std else 1.0)


def quantile_rank(x, quantiles, default=None):
    """The share of the way through the quantiles at which x stands.

    The middle of those that equal x or, between two, linear between their places.
    """
    if not math.isfinite(x):
        if default is None:
            return 0.5
        x = default
    last = len(quantiles) - 1
    equal = [i for i, q in enumerate(quantiles) if q == x]
    if equal:
        return sum(equal) / len(equal) / last
    for i in range(last):
        low, high = quantiles[i], quantiles[i + 1]
        if low < x < high:
            return (i + (x - low) / (high - low)) / last
    return 0.0 if x < quantiles[0] else 1.0


# === Layers ===


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, "float64")))


def relu(x):
    return np.maximum(x, 0)


def factorization_machine(fields):
    """Σ_{i<j} v_i ∘ v_j of `(F, D)`."""
    total = np.zeros(fields.shape[1])
    for i in range(len(fields)):
        for j in range(i + 1, len(fields)):
            total += fields[i] * fields[j]
    return total


def dot_pairs(fields):
    """⟨v_i, v_j⟩ for i > j, row after row, of `(F, D)`."""
    pairs = []
    for i in range(len(fields)):
        for j in range(i):
            pairs.append(sum(a * b for a, b in zip(fields[i], fields[j])))
    return np.array(pairs)


def cross(x0, x, weights, bias):
    """x₀ ⊙ (W x + b) + x, number by number; `weights[i][j]` is what x_j adds to i."""
    return np.array(
        [
            x0[i] * (sum(weights[i][j] * x[j] for j in range(len(x))) + bias[i]) + x[i]
            for i in range(len(x0))
        ]
    )


def vector_cross(x0, x, weights, bias):
    """x₀ (x·w) + b + x, number by number."""
    product = sum(x[j] * weights[j] for j in range(len(x)))
    return np.array([x0[i] * product + bias[i] + x[i] for i in range(len(x0))])


def mixed_cross(x0, x, down, core, up, bias, gates, activation=np.tanh):
    """Σ_i G_i x₀ ⊙ (U_i g(C_i g(V_i x)) + b) + x.

    `down` is (E, r, N), `core` (E, r, r), `up` (E, N, r); `gates` a kernel (N, E) and a
    bias, or None for one expert.
    """
    scores = np.ones(1) if gates is None else np.exp(x @ gates[0] + gates[1])
    total = np.array(x, "float64")
    for i in range(len(core)):
        inner = activation(core[i] @ activation(down[i] @ x))
        total += scores[i] / scores.sum() * x0 * (up[i] @ inner + bias)
    return total


def cin(fields, kernels, split_half=False, activation=lambda x: x):
    """Maps of `(F, D)`, summed; `kernels[k][h][i][j]` weighs map i below and field j."""
    outputs, below = [], fields
    for k, kernel in enumerate(kernels):
        maps = []
        for weights in kernel:
            total = np.zeros(fields.shape[1])
            for i, low in enumerate(below):
                for j, field in enumerate(fields):
                    total += weights[i][j] * low * field
            maps.append(activation(total))
        below = maps
        if split_half and k < len(kernels) - 1:
            half = len(maps) // 2
            below, maps = maps[:half], maps[half:]
        outputs += [sum(values) for values in maps]
    return np.array(outputs)


def softmax(scores):
    exponentials = [math.exp(score - max(scores)) for score in scores]
    return [value / sum(exponentials) for value in exponentials]


def layer_norm(x, epsilon=1e-5):
    """(x − mean) / √(variance + ε) of one vector, without gain and offset."""
    mean = sum(x) / len(x)
    variance = sum((value - mean) ** 2 for value in x) / len(x)
    return np.array([(value - mean) / math.sqrt(variance + epsilon) for value in x])


def field_attention(fields, query, key, value, residual=None, scaled=False):
    """Heads side by side before the activation, and the weights `(heads, F, F)`.

    `query`, `key` and `value` are (heads, D, P) and `residual` (D, heads·P).
    """
    heads, weights = [], []
    for q, k, v in zip(query, key, value, strict=True):
        rows, read = [], []
        for field in fields:
            scores = [(field @ q) @ (other @ k) for other in fields]
            if scaled:
                scores = [score / math.sqrt(q.shape[1]) for score in scores]
            read.append(softmax(scores))
            rows.append(sum(a * (other @ v) for a, other in zip(read[-1], fields)))
        heads.append(rows)
        weights.append(read)
    outputs = np.concatenate(heads, axis=-1)
    if residual is not None:
        outputs = outputs + fields @ residual
    return outputs, np.array(weights)


def mask(embedded, inner, outer):
    """W₂ ReLU(W₁ e + b₁) + b₂; each a pair of kernel and bias."""
    return relu(embedded @ inner[0] + inner[1]) @ outer[0] + outer[1]


def bilinear_fusion(first, second, kernels, products, bias):
    """b + w₁·o₁ + w₂·o₂ + Σ_h o₁ₕᵀ W_h o₂ₕ; `products` is (heads, H1/A, H2/A, K)."""
    total = bias + first @ kernels[0] + second @ kernels[1]
    heads, width, other, _ = products.shape
    for h in range(heads):
        for i in range(width):
            for j in range(other):
                pair = first[h * width + i] * second[h * other + j]
                total = total + pair * products[h, i, j]
    return total


def pool(vectors, combiner, weights=None):
    """The vectors that are there, `(n, D)` with n ≥ 0, as one."""
    if len(vectors) == 0:
        return np.zeros(vectors.shape[1])
    if combiner == "max":
        return np.array([max(column) for column in vectors.T])
    weights = [1.0] * len(vectors) if weights is None else weights
    weights = [float(w) if math.isfinite(w) else 0.0 for w in weights]
    total = np.zeros(vectors.shape[1])
    for vector, weight in zip(vectors, weights, strict=True):
        total += weight * vector
    squares = sum(w * w for w in weights)
    divisor = {"sum": 1, "mean": sum(weights), "sqrtn": squares**0.5}[combiner]
    return total / divisor if divisor else 0 * total


def mlp(x, layers, activation=relu):
    """`layers`: pairs of kernel and bias."""
    for kernel, bias in layers:
        x = activation(x @ kernel + bias)
    return x


def dice(s, alpha, mean, variance, epsilon=1e-9):
    """p·s + (1 − p)·α·s, channel by channel of `(N,)`."""
    outputs = []
    for k in range(len(s)):
        p = sigmoid((s[k] - mean[k]) / math.sqrt(variance[k] + epsilon))
        outputs.append(p * s[k] + (1 - p) * alpha[k] * s[k])
    return np.array(outputs)


def attend(candidate, events, score, use_softmax=False):
    """Σ_j a_j e_j over the events that are there, `(n, D)` with n ≥ 0."""
    weights = []
    for e in events:
        seen = np.concatenate([candidate, e, candidate - e, candidate * e])
        weights.append(score(seen))
    if use_softmax and weights:
        weights = softmax(weights)
    total = np.zeros(len(candidate))
    for weight, e in zip(weights, events, strict=True):
        total += weight * e
    return total


def gru_step(x, h, kernel, recurrent_kernel, bias):
    """A step of Keras's GRU with `reset_after`; gates z, r and the candidate."""
    n = len(h)
    seen, kept = x @ kernel + bias[0], h @ recurrent_kernel + bias[1]
    z = sigmoid(seen[:n] + kept[:n])
    r = sigmoid(seen[n : 2 * n] + kept[n : 2 * n])
    candidate = np.tanh(seen[2 * n :] + r * kept[2 * n :])
    return z, candidate


def gru(steps, weights):
    """States after each step."""
    h, states = np.zeros(weights[1].shape[0]), []
    for x in steps:
        z, candidate = gru_step(x, h, *weights)
        h = z * h + (1 - z) * candidate
        states.append(h)
    return states


def augru(steps, shares, weights):
    """Last state; the update gate u = 1 − z is multiplied by each step's share."""
    h = np.zeros(weights[1].shape[0])
    for x, a in zip(steps, shares, strict=True):
        z, candidate = gru_step(x, h, *weights)
        u = a * (1 - z)
        h = (1 - u) * h + u * candidate
    return h


def next_event_loss(histories):
    """Mean over lists of triples: state, event and negative, padding left out."""
    terms = []
    for history in histories:
        for (state, _, _), (_, event, negative) in itertools.pairwise(history):
            terms.append(-math.log(sigmoid(sum(state * event))))
            terms[-1] -= math.log(1 - sigmoid(sum(state * negative)))
    return sum(terms) / len(terms) if terms else 0.0


class Stacked:
    """A `FeatureEmbedding` read again: tables one below the other, row r in shard r mod N."""

    def __init__(self, layer):
        shards = [np.asarray(shard) for shard in layer.shards]
        total = sum(len(shard) for shard in shards)
        rows = [shards[r % len(shards)][r // len(shards)] for r in range(total)]
        self.tables, start = {}, 0
        for table in layer.tables:
            self.tables[table.name] = np.array(rows[start : start + table.num_rows])
            start += table.num_rows
        self.features, self.combiners = layer.features, layer.combiners
        self.value_weights = layer.value_weights

    def row(self, feature, r):
        table = self.tables[self.features[feature]]
        return table[r if 0 <= r < len(table) else 1]

    def fields(self, example):
        """`(F, D)` of one example: single values first, then the pooled ones."""
        single, pooled = [], []
        for feature in self.features:
            if feature not in example:  # one that is drawn in training
                continue
            value = np.asarray(example[feature])
            if value.ndim == 0:
                # Row 0 is padding, which a single value cannot be.
                single.append(self.row(feature, int(value) or 1))
            elif feature in self.combiners:
                there = [self.row(feature, int(r)) for r in value if r != 0]
                dim = next(iter(self.tables.values())).shape[1]
                there = np.array(there, "float64").reshape(-1, dim)
                weights = None
                if feature in self.value_weights:
                    given = example[self.value_weights[feature]]
                    weights = [w for w, r in zip(given, value, strict=True) if r != 0]
                pooled.append(pool(there, self.combiners[feature], weights))
        return np.array(single + pooled, "float64")

    def vector(self, feature, example):
        """`(D,)` of a single-valued feature."""
        return np.array(self.row(feature, int(example[feature]) or 1), "float64")

    def event(self, feature, r):
        """`(D,)` of a row of a sequence: zeros for padding."""
        row = np.array(self.row(feature, int(r)), "float64")
        return row if r != 0 else 0 * row


def _dense(layer):
    return np.asarray(layer.kernel, "float64"), np.asarray(layer.bias, "float64")


def _mlp(layer):
    return [_dense(block[0]) for block in layer.blocks]


def linear(layer, example, numbers):
    """`(K,)`: a weight per value, w·x and a bias."""
    total = np.asarray(layer.bias, "float64").copy()
    if layer.weight_of_value is not None:
        for weights in Stacked(layer.weight_of_value).fields(example):
            total += weights
    if layer.kernel is not None:
        kernel = np.asarray(layer.kernel)
        for i, x in enumerate(numbers):
            total += x * kernel[i]
    return total


# === Models ===


def _answers(schema, logits):
    """Probabilities, values or times by label of `(K,)` logits."""
    functions = {"binary": sigmoid, "regression": float, "watch_time": np.exp}
    return {
        label.name: functions[label.task](logits[k])
        for k, label in enumerate(schema.labels)
    }


def _head(model, tower):
    kernel, bias = _dense(model.get_layer("heads").dense)
    return tower @ kernel + bias


def _numbers(schema, example):
    return np.array([example[f.name] for f in schema.numeric_features], "float64")


def logistic_regression(model, schema, example):
    logits = linear(model.get_layer("linear"), example, _numbers(schema, example))
    return _answers(schema, logits)


def wide_and_deep(model, schema, example):
    numbers = _numbers(schema, example)
    wide = linear(model.get_layer("wide"), example, numbers)
    fields = Stacked(model.get_layer("embedding")).fields(example)
    x = np.concatenate([fields.reshape(-1), numbers])
    deep = mlp(x, _mlp(model.get_layer("deep")))
    return _answers(schema, _head(model, deep) + wide)


def deepfm(model, schema, example):
    numbers = _numbers(schema, example)
    fields = Stacked(model.get_layer("embedding")).fields(example)
    if len(numbers):
        vectors = np.asarray(model.get_layer("number_embedding").embeddings)
        fields = np.concatenate([fields, numbers[:, None] * vectors])
    first = linear(model.get_layer("linear"), example, numbers)
    second = factorization_machine(fields)
    deep = mlp(fields.reshape(-1), _mlp(model.get_layer("deep")))
    if len(schema.labels) == 1:
        return _answers(schema, _head(model, deep) + first + second.sum())
    return _answers(schema, _head(model, np.concatenate([deep, second])) + first)


def dlrm(model, schema, example):
    numbers = _numbers(schema, example)
    fields = Stacked(model.get_layer("embedding")).fields(example)
    if not len(numbers):
        return _answers(
            schema, _head(model, mlp(dot_pairs(fields), _mlp(model.get_layer("top"))))
        )
    dense = mlp(numbers, _mlp(model.get_layer("bottom")))
    pairs = dot_pairs(np.concatenate([dense[None], fields]))
    top = mlp(np.concatenate([dense, pairs]), _mlp(model.get_layer("top")))
    return _answers(schema, _head(model, top))


def _cross_layers(model):
    number, names = 0, [layer.name for layer in model.layers]
    while f"cross_{number}" in names:
        yield model.get_layer(f"cross_{number}")
        number += 1


def fm(model, schema, example):
    numbers = _numbers(schema, example)
    fields = Stacked(model.get_layer("embedding")).fields(example)
    if len(numbers):
        vectors = np.asarray(model.get_layer("number_embedding").embeddings)
        fields = np.concatenate([fields, numbers[:, None] * vectors])
    first = linear(model.get_layer("linear"), example, numbers)
    second = factorization_machine(fields)
    if len(schema.labels) == 1:
        return _answers(schema, first + second.sum())
    return _answers(schema, _head(model, second) + first)


def cin_kernels(layer, num_fields):
    """(maps, maps below, fields) for each layer."""
    kernels = []
    for kernel in layer.kernels:
        kernel = np.asarray(kernel, "float64")
        kernels.append(kernel.T.reshape(kernel.shape[1], -1, num_fields))
    return kernels


def xdeepfm(model, schema, example):
    numbers = _numbers(schema, example)
    fields = Stacked(model.get_layer("embedding")).fields(example)
    if len(numbers):
        vectors = np.asarray(model.get_layer("number_embedding").embeddings)
        fields = np.concatenate([fields, numbers[:, None] * vectors])
    layer = model.get_layer("cin")
    maps = cin(fields, cin_kernels(layer, len(fields)), layer.split_half)
    deep = mlp(fields.reshape(-1), _mlp(model.get_layer("deep")))
    first = linear(model.get_layer("linear"), example, numbers)
    return _answers(schema, _head(model, np.concatenate([deep, maps])) + first)


def dcn(model, schema, example):
    fields = Stacked(model.get_layer("embedding")).fields(example)
    x0 = np.concatenate([fields.reshape(-1), _numbers(schema, example)])
    crossed = x0
    for layer in _cross_layers(model):
        weights = np.asarray(layer.kernel, "float64")[:, 0]
        crossed = vector_cross(x0, crossed, weights, np.asarray(layer.bias))
    deep = mlp(x0, _mlp(model.get_layer("deep")))
    return _answers(schema, _head(model, np.concatenate([crossed, deep])))


def cross_layer(layer, x0, x):
    """Any form of `CrossLayer` on one example."""
    kernel, bias = _dense(layer.dense)
    if layer.num_experts is None:
        if layer.down is not None:
            kernel = np.asarray(layer.down.kernel, "float64") @ kernel
        return cross(x0, x, kernel.T, bias)
    shape = (layer.num_experts, layer.projection_dim, len(x))
    down = np.asarray(layer.down.kernel, "float64").T.reshape(shape)
    core = np.asarray(layer.core, "float64").transpose(0, 2, 1)
    up = kernel.reshape(shape).transpose(0, 2, 1)
    gates = None if layer.gate is None else _dense(layer.gate)
    return mixed_cross(x0, x, down, core, up, bias, gates)


def dcn_v2(model, schema, example):
    fields = Stacked(model.get_layer("embedding")).fields(example)
    x0 = np.concatenate([fields.reshape(-1), _numbers(schema, example)])
    crossed = x0
    for layer in _cross_layers(model):
        crossed = cross_layer(layer, x0, crossed)
    deep = model.get_layer("deep")
    if model.get_layer("heads").dense.kernel.shape[0] == deep.hidden_units[-1]:
        return _answers(schema, _head(model, mlp(crossed, _mlp(deep))))
    tower = np.concatenate([crossed, mlp(x0, _mlp(deep))])
    return _answers(schema, _head(model, tower))


def youtube_ranking(model, schema, example):
    numbers = _numbers(schema, example)
    roots = [math.copysign(math.sqrt(abs(x)), x) for x in numbers]
    fields = Stacked(model.get_layer("embedding")).fields(example)
    x = np.concatenate([fields.reshape(-1), numbers, numbers * numbers, roots])
    return _answers(schema, _head(model, mlp(x, _mlp(model.get_layer("deep")))))


def _all_fields(model, schema, example):
    """The embeddings, and x·v of the numbers behind them."""
    numbers = _numbers(schema, example)
    fields = Stacked(model.get_layer("embedding")).fields(example)
    if len(numbers):
        vectors = np.asarray(model.get_layer("number_embedding").embeddings)
        fields = np.concatenate([fields, numbers[:, None] * vectors])
    return fields


def field_attention_layer(layer, fields):
    """A `FieldAttention` of ReLU on one example: its outputs and weights."""
    heads, residual = [], None
    for dense in (layer.query, layer.key, layer.value):
        kernel = np.asarray(dense.kernel, "float64")
        heads.append(np.split(kernel, layer.num_heads, axis=1))
    if layer.residual is not None:
        residual = np.asarray(layer.residual.kernel, "float64")
    elif layer.use_residual:
        residual = np.eye(fields.shape[1])
    outputs, weights = field_attention(fields, *heads, residual, layer.scaled)
    return relu(outputs), weights


def autoint(model, schema, example):
    fields = attended = _all_fields(model, schema, example)
    names, number = [layer.name for layer in model.layers], 0
    while f"attention_{number}" in names:
        layer = model.get_layer(f"attention_{number}")
        attended, _ = field_attention_layer(layer, attended)
        number += 1
    tower = attended.reshape(-1)
    if "deep" in names:
        deep = mlp(fields.reshape(-1), _mlp(model.get_layer("deep")))
        tower = np.concatenate([tower, deep])
    return _answers(schema, _head(model, tower))


def mask_block(layer, fields, hidden=None):
    """A `MaskBlock` of ReLU on one example."""
    masks = mask(
        fields.reshape(-1), _dense(layer.aggregation), _dense(layer.projection)
    )
    if hidden is None:
        gain, offset = np.asarray(layer.gain), np.asarray(layer.offset)
        rows = [layer_norm(v) * g + o for v, g, o in zip(fields, gain, offset)]
        hidden = np.concatenate(rows)
    x = (masks * hidden) @ np.asarray(layer.dense.kernel, "float64")
    if layer.norm is not None:
        x = layer_norm(x) * np.asarray(layer.norm.gamma) + np.asarray(layer.norm.beta)
    return relu(x)


def masknet(model, schema, example):
    fields = _all_fields(model, schema, example)
    names, number, blocks = [layer.name for layer in model.layers], 0, []
    while f"block_{number}" in names:
        layer = model.get_layer(f"block_{number}")
        if layer.field_norm is None:
            blocks = [mask_block(layer, fields, blocks[0])]
        else:
            blocks.append(mask_block(layer, fields))
        number += 1
    tower = np.concatenate(blocks)
    if "deep" in names:
        tower = mlp(tower, _mlp(model.get_layer("deep")))
    return _answers(schema, _head(model, tower))


def feature_gate(layer, x, condition=None):
    """2σ(MLP(condition)) ⊙ x of one example."""
    if condition is None:
        condition = np.asarray(layer.constant, "float64")[0]
    kernel, bias = _dense(layer.gates)
    return x * 2 * sigmoid(mlp(condition, _mlp(layer.mlp)) @ kernel + bias)


def bilinear_fusion_layer(layer, first, second):
    heads, products = layer.num_heads, np.asarray(layer.products, "float64")
    shape = (heads, len(first) // heads, len(second) // heads, layer.units)
    products = products.reshape(shape)
    kernels = [
        np.asarray(kernel, "float64")
        for kernel in (layer.first_kernel, layer.second_kernel)
    ]
    return bilinear_fusion(first, second, kernels, products, np.asarray(layer.bias))


def finalmlp(model, schema, example):
    x = _all_fields(model, schema, example).reshape(-1)
    names, streams = [layer.name for layer in model.layers], []
    for name in ("first", "second"):
        gated = x
        if f"{name}_gate" in names:
            condition = None
            if f"{name}_gate_embedding" in names:
                own = Stacked(model.get_layer(f"{name}_gate_embedding"))
                condition = own.fields(example).reshape(-1)
            gated = feature_gate(model.get_layer(f"{name}_gate"), x, condition)
        streams.append(mlp(gated, _mlp(model.get_layer(f"{name}_stream"))))
    fusion = model.get_layer("fusion")
    return _answers(schema, bilinear_fusion_layer(fusion, *streams))


# === Losses ===


def weighted_logistic(times, predictions):
    """The mean loss of watch times and e^z, from the sigmoid of z as it is written."""
    total = 0.0
    for time, prediction in zip(times, predictions, strict=True):
        p = 1 / (1 + math.exp(-math.log(prediction)))
        total -= time * math.log(p) if time > 0 else math.log(1 - p)
    return total / len(times)


def _dice_mlp(layer, x):
    for dense, activation, *_ in layer.blocks:
        kernel, bias = _dense(dense)
        statistics = (activation.alpha, activation.moving_mean)
        parts = [np.asarray(w, "float64") for w in statistics]
        variance = np.asarray(activation.moving_variance, "float64")
        x = dice(x @ kernel + bias, *parts, variance)
    return x


def _histories(schema):
    """Lists of pairs of a sequence and its candidate, which tell of the same events."""
    lists = ("MultiValuedFeature", "SequenceFeature")
    candidates = {}
    for f in schema.id_features:
        if type(f).__name__ not in lists and f.name == f.table_name:
            candidates[f.table_name] = f.name
    found = []
    for f in schema.sequence_features:
        if f.table_name not in candidates:
            continue
        pair = (f.name, candidates[f.table_name])
        last = [h for h in found if schema[h[0][0]].max_length == f.max_length][-1:]
        if last and pair[1] not in [target for _, target in last[0]]:
            last[0].append(pair)
        else:
            found.append([pair])
    return found


def _candidate_and_events(table, history, example):
    """The candidate's vector, and those of the events that are there."""
    candidate = np.concatenate([table.vector(t, example) for _, t in history])
    events = []
    for t in range(len(example[history[0][0]])):
        rows = {name: int(example[name][t]) for name, _ in history}
        if any(row != 0 for row in rows.values()):
            parts = [table.event(name, row) for name, row in rows.items()]
            events.append(np.concatenate(parts))
    return candidate, events


def din(model, schema, example):
    table = Stacked(model.get_layer("embedding"))
    parts = [table.fields(example).reshape(-1)]
    for i, history in enumerate(_histories(schema)):
        attention = model.get_layer(f"attention_{i}")
        kernel, bias = _dense(attention.score)

        def score(seen, attention=attention, kernel=kernel, bias=bias):
            return float((_dice_mlp(attention.mlp, seen) @ kernel + bias)[0])

        candidate, events = _candidate_and_events(table, history, example)
        parts.append(attend(candidate, events, score, attention.use_softmax))
    x = np.concatenate([*parts, _numbers(schema, example)])
    return _answers(schema, _head(model, _dice_mlp(model.get_layer("deep"), x)))


def _gru_weights(cell):
    names = ("kernel", "recurrent_kernel", "bias")
    return [np.asarray(getattr(cell, name), "float64") for name in names]


def dien(model, schema, example):
    table = Stacked(model.get_layer("embedding"))
    parts = [table.fields(example).reshape(-1)]
    for i, history in enumerate(_histories(schema)):
        candidate, events = _candidate_and_events(table, history, example)
        extractor = model.get_layer(f"extractor_{i}").gru.cell
        states = gru(events, _gru_weights(extractor))
        kernel = np.asarray(model.get_layer(f"attention_{i}").kernel, "float64")
        shares = softmax([h @ kernel @ candidate for h in states]) if states else []
        evolution = model.get_layer(f"evolution_{i}").rnn.cell.gru
        parts.append(augru(states, shares, _gru_weights(evolution)))
    x = np.concatenate([*parts, _numbers(schema, example)])
    return _answers(schema, _head(model, _dice_mlp(model.get_layer("deep"), x)))


# === Metrics ===


def _number_of(layer, number):
    """The matrices of one of the MLPs side by side."""
    return [
        (np.asarray(k, "float64")[:, number], np.asarray(b, "float64")[number])
        for k, b in zip(layer.kernels, layer.biases)
    ]


def experts(layer, inputs):
    """`(E, H)` of one input `(N,)` for all, or of a list of one for each."""
    apart = isinstance(inputs, list)
    return [
        mlp(inputs[i] if apart else inputs, _number_of(layer, i))
        for i in range(layer.num_experts)
    ]


def mixture(weights, vectors):
    total = 0
    for weight, vector in zip(weights, vectors):
        total = total + weight * vector
    return total


def task_towers(layer, inputs):
    """`(K,)` logits of one input for all tasks, or of a list of one for each."""
    kernel, bias = np.asarray(layer.kernel, "float64"), np.asarray(layer.bias)
    apart = isinstance(inputs, list)
    logits = []
    for k in range(layer.num_tasks):
        x = inputs[k] if apart else inputs
        if layer.hidden is not None:
            x = mlp(x, _number_of(layer.hidden, k))
        logits.append(x @ kernel[:, k] + bias[k])
    return np.array(logits)


def _shared(model, schema, example):
    fields = Stacked(model.get_layer("embedding")).fields(example)
    return np.concatenate([fields.reshape(-1), _numbers(schema, example)])


def shared_bottom(model, schema, example):
    x = mlp(_shared(model, schema, example), _mlp(model.get_layer("shared")))
    return _answers(schema, task_towers(model.get_layer("towers"), x))


def mmoe(model, schema, example):
    x = _shared(model, schema, example)
    vectors = experts(model.get_layer("experts"), x)
    kernel = np.asarray(model.get_layer("gates").dense.kernel, "float64")
    mixed = []
    for k in range(len(schema.labels)):
        own = kernel[:, k * len(vectors) : (k + 1) * len(vectors)]
        mixed.append(mixture(softmax(x @ own), vectors))
    return _answers(schema, task_towers(model.get_layer("towers"), mixed))


def ple(model, schema, example):
    num_tasks = len(schema.labels)
    inputs = [_shared(model, schema, example)] * (num_tasks + 1)  # the shared one last
    levels = [x for x in model.layers if x.name.startswith("extraction_")]
    for layer in sorted(levels, key=lambda layer: layer.name):
        own, shared = layer.num_experts
        readers = [inputs[k] for k in range(num_tasks) for _ in range(own)]
        vectors = experts(layer.experts, readers + [inputs[-1]] * shared)
        gates = np.asarray(layer.gates, "float64")
        mixed = []
        for k in range(num_tasks):
            seen = vectors[k * own : (k + 1) * own] + vectors[num_tasks * own :]
            mixed.append(mixture(softmax(inputs[k] @ gates[:, k]), seen))
        if layer.shared_gate is not None:
            gate = np.asarray(layer.shared_gate, "float64")
            mixed.append(mixture(softmax(inputs[-1] @ gate), vectors))
        inputs = mixed
    return _answers(schema, task_towers(model.get_layer("towers"), inputs))


def esmm(model, schema, example):
    logits = task_towers(model.get_layer("towers"), _shared(model, schema, example))
    answers = _answers(schema, logits)
    own = dict(answers)
    for label, other in schema.given.items():  # a label after the one it needs
        answers[label] = own[label] * answers[other]
        answers[f"{label}_given_{other}"] = own[label]
    return answers


def auc(y_true, y_score, weight=None):
    weight = [1.0] * len(y_true) if weight is None else weight
    right = total = 0.0
    for i, y in enumerate(y_true):
        for j, z in enumerate(y_true):
            if y == 1 and z == 0:
                pair = weight[i] * weight[j]
                total += pair
                if y_score[i] > y_score[j]:
                    right += pair
                elif y_score[i] == y_score[j]:
                    right += pair / 2
    return right / total if total else math.nan


def gauc(y_true, y_score, groups):
    total = size = 0.0
    for group in set(groups):
        members = [i for i, g in enumerate(groups) if g == group]
        value = auc([y_true[i] for i in members], [y_score[i] for i in members])
        if not math.isnan(value):
            total += len(members) * value
            size += len(members)
    return total / size if size else math.nan


def log_loss(y_true, y_score, weight=None):
    weight = [1.0] * len(y_true) if weight is None else weight
    total = 0.0
    for y, p, w in zip(y_true, y_score, weight):
        total -= w * math.log(p if y == 1 else 1 - p)
    return total / sum(weight)


def expected_calibration_error(y_true, y_score, num_bins):
    """Bins of equal size for a number of examples that `num_bins` divides."""
    pairs = sorted(zip(y_score, y_true))
    size = len(pairs) // num_bins
    total = 0.0
    for start in range(0, len(pairs), size):
        part = pairs[start : start + size]
        predicted = sum(p for p, _ in part) / size
        observed = sum(y for _, y in part) / size
        total += abs(predicted - observed) * size / len(pairs)
    return total


def mispredicted_watch_time(times, scores, groups):
    """Over all pairs of a group."""
    wrong = total = 0.0
    for i, time in enumerate(times):
        for j, other in enumerate(times):
            if time > 0 and other == 0 and groups[i] == groups[j]:
                total += time
                if scores[j] > scores[i]:
                    wrong += time
                elif scores[j] == scores[i]:
                    wrong += time / 2
    return wrong / total if total else math.nan
