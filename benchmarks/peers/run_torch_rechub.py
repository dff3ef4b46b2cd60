"""torch-rechub: its `EmbeddingLayer`, `FM` and `CrossNetV2`, in its trainer's step.

Its tables give dense gradients and it has no other; its trainer is a plain step with
`torch.optim`, which is driven here without its progress bar. Its MLP always normalizes
batches, so PyTorch's linear layers stand in for it; it has no layer of dot products.
DeepFM: each number times a vector of its own is one more field of the factorization
machine and of the MLP, as in keras_recs.
"""

import peer_torch
import torch
from peer_run import (
    CROSS_LAYERS,
    NUM_NUMBERS,
    Clock,
    load_batches,
    read_spec,
    versions_of,
)
from torch import nn
from torch_rechub.basic.features import SparseFeature
from torch_rechub.basic.initializers import RandomUniform
from torch_rechub.basic.layers import FM, CrossNetV2, EmbeddingLayer


class Model(nn.Module):
    """Looks the ids up; each model adds its own tower."""

    def __init__(self, spec):
        super().__init__()
        self.features = self.make_features(spec, spec.dim)
        self.embedding = EmbeddingLayer(self.features)

    def make_features(self, spec, dim):
        """One feature, and so one table, a field."""
        return [
            SparseFeature(
                f"C{i}", spec.rows, dim, initializer=RandomUniform(-0.05, 0.05)
            )
            for i in range(spec.features)
        ]

    def forward(self, batch):
        """Logits `(B,)`."""
        ids, numbers = batch
        return self.tower(self.embedding(ids, self.features), numbers, ids).squeeze(1)


class DLRM(Model):
    """Bottom MLP, dot products, top MLP."""

    def __init__(self, spec):
        super().__init__(spec)
        self.bottom = peer_torch.mlp(NUM_NUMBERS, [*spec.mlp, spec.dim])
        self.top = peer_torch.mlp(spec.dim + spec.pairs, spec.mlp, 1)
        self.pairs = peer_torch.lower_triangle(spec.features + 1)

    def tower(self, fields, numbers, ids):
        """Logits `(B, 1)` of `fields` `(B, F, D)`."""
        dense = self.bottom(numbers)  # (B, D)
        fields = torch.cat([dense[:, None], fields], 1)  # (B, F + 1, D)
        products = torch.bmm(fields, fields.transpose(1, 2)).flatten(1)
        pairs = products.index_select(1, self.pairs)  # (B, (F + 1)F/2)
        return self.top(torch.cat([dense, pairs], 1))


class DeepFM(Model):
    """Linear term, factorization machine and MLP over 39 fields."""

    def __init__(self, spec):
        super().__init__(spec)
        self.scalar_features = self.make_features(spec, 1)
        self.scalars = EmbeddingLayer(self.scalar_features)
        self.vectors = nn.Parameter(0.05 * torch.randn(NUM_NUMBERS, spec.dim))
        self.linear = nn.Linear(NUM_NUMBERS, 1)
        self.fm = FM(reduce_sum=True)
        fields = spec.features + NUM_NUMBERS
        self.deep = peer_torch.mlp(fields * spec.dim, spec.mlp, 1)

    def tower(self, fields, numbers, ids):
        """Logits `(B, 1)` of `fields` `(B, F, D)`."""
        scalars = self.scalars(ids, self.scalar_features).sum(1)  # (B, 1)
        fields = torch.cat([fields, numbers[:, :, None] * self.vectors], 1)
        linear = scalars + self.linear(numbers)
        return linear + self.fm(fields) + self.deep(fields.flatten(1))


class DCNV2(Model):
    """Full-matrix cross layers beside an MLP."""

    def __init__(self, spec):
        super().__init__(spec)
        self.cross = CrossNetV2(spec.width, CROSS_LAYERS)
        self.deep = peer_torch.mlp(spec.width, spec.mlp)
        self.head = nn.Linear(spec.width + spec.mlp[-1], 1)

    def tower(self, fields, numbers, ids):
        """Logits `(B, 1)` of `fields` `(B, F, D)`."""
        x = torch.cat([fields.flatten(1), numbers], 1)  # (B, N)
        return self.head(torch.cat([self.cross(x), self.deep(x)], 1))


MODELS = {"dlrm": DLRM, "deepfm": DeepFM, "dcn_v2": DCNV2}


def main() -> None:
    """Runs one cell."""
    spec = read_spec()
    peer_torch.start(spec)
    ids, numbers, labels = load_batches(spec)
    inputs = [
        (
            {
                f"C{i}": torch.from_numpy(batch[:, i].copy())
                for i in range(spec.features)
            },
            torch.from_numpy(number),
        )
        for batch, number in zip(ids, numbers)
    ]
    clock = Clock(spec)
    model = MODELS[spec.model](spec)
    optimizer = peer_torch.adagrad(model.parameters())
    peer_torch.train(clock, model, optimizer, inputs, torch.from_numpy(labels))
    clock.report(
        parameters=peer_torch.count(model),
        versions=versions_of("torch", "torch-rechub", "numpy"),
        optimizer="torch.optim.Adagrad (fused), dense gradients of the tables",
    )


if __name__ == "__main__":
    main()
