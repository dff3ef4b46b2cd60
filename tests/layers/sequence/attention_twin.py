"""Attention and blocks a second time, event by event, in float64."""

import numpy as np


def dense(x, kernel, bias):
    return x @ kernel + bias


def softmax(x):
    powers = np.exp(x - x.max())
    return powers / powers.sum()


def normed(x, gamma, beta, epsilon):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta


def attention(weights, asking, asked, mask, sees, num_heads, prefix=""):
    """Attention by loops.

    Args:
        weights: dict of path to array, such as `"query/kernel"`.
        asking: `(B, T, D)`.
        asked: `(B, T, D)`.
        mask: bool `(B, T)`.
        sees: function of two places.
        num_heads: int.
        prefix: string before each path.
    """
    batch, length, dim = asking.shape
    width = dim // num_heads

    def project(name, x):
        return dense(
            x, weights[f"{prefix}{name}/kernel"], weights[f"{prefix}{name}/bias"]
        )

    q, k, v = project("query", asking), project("key", asked), project("value", asked)
    output = np.zeros((batch, length, dim))
    for b in range(batch):
        for t in range(length):
            seen = [s for s in range(length) if mask[b, s] and sees(t, s)]
            if not seen:
                continue
            for head in range(num_heads):
                part = slice(head * width, (head + 1) * width)
                scores = [q[b, t, part] @ k[b, s, part] / np.sqrt(width) for s in seen]
                for weight, s in zip(softmax(np.array(scores)), seen):
                    output[b, t, part] += weight * v[b, s, part]
    if f"{prefix}output_projection/kernel" in weights:
        output = project("output_projection", output)
    return output


SEES = {
    "past": lambda t, s: s <= t,
    "all": lambda t, s: True,
    1: lambda t, s: abs(t - s) <= 1,
}


def block(weights, x, mask, wiring, num_heads, sees, activation):
    """A transformer block; `sees` is a key of `SEES`."""
    epsilon = 1e-8 if wiring == "sasrec" else 1e-6

    def norm(number, x):
        gamma, beta = (weights[f"norm_{number}/{part}"] for part in ("gamma", "beta"))
        return normed(x, gamma, beta, epsilon)

    def attend(asking, asked):
        return attention(
            weights, asking, asked, mask, SEES[sees], num_heads, "attention/"
        )

    def network(x):
        inner = activation(dense(x, weights["inner/kernel"], weights["inner/bias"]))
        return dense(inner, weights["outer/kernel"], weights["outer/bias"])

    if wiring == "sasrec":
        asking = norm(0, x)
        x = norm(1, asking + attend(asking, x))
        x = x + network(x)
    elif wiring == "pre":
        x = x + attend(norm(0, x), norm(0, x))
        x = x + network(norm(1, x))
    else:
        x = norm(0, x + attend(x, x))
        x = norm(1, x + network(x))
    return x * mask[:, :, None]


def values_of(layer):
    """Random weights of a layer, set, as float64 by their path in it."""
    rng = np.random.default_rng(3)
    values = {}
    for weight in layer.weights:
        drawn = rng.normal(size=weight.shape, scale=0.7)
        weight.assign(drawn)
        path = weight.path.removeprefix(f"{layer.name}/")
        values[path] = np.asarray(weight, "float64")
    return values
