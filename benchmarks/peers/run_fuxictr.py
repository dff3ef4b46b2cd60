"""FuxiCTR: its embedding, linear, inner-product, cross and MLP layers, in its step.

The wheel holds the layers only, so the models are put together from them. The step is
that of its `train_step` without the clipping of the gradient's norm, which no other
peer does. DeepFM: its way is to give each number a vector (`Linear(1, D)`), so the
factorization machine and the MLP see 39 fields.
"""

import peer_torch
import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import (
    CrossNetV2,
    FactorizationMachine,
    FeatureEmbedding,
    InnerProductInteraction,
    MLP_Block,
)
from peer_run import (
    CROSS_LAYERS,
    NUM_NUMBERS,
    Clock,
    load_batches,
    read_spec,
    versions_of,
)
from torch import nn


def make_feature_map(spec):
    """What `FeatureMap.load` reads from a file."""
    feature_map = FeatureMap("random", ".")
    for i in range(spec.features):
        feature_map.features[f"C{i}"] = {
            "source": "",
            "type": "categorical",
            "vocab_size": spec.rows,
        }
    if spec.model == "deepfm":
        for i in range(NUM_NUMBERS):
            feature_map.features[f"I{i}"] = {"source": "", "type": "numeric"}
    feature_map.num_fields = len(feature_map.features)
    return feature_map


class Model(nn.Module):
    """Looks the ids up; each model adds its own tower."""

    def __init__(self, spec):
        super().__init__()
        self.feature_map = make_feature_map(spec)
        self.embedding = FeatureEmbedding(
            self.feature_map,
            spec.dim,
            embedding_initializer="partial(nn.init.uniform_, a=-0.05, b=0.05)",
        )
        for layer in self.embedding.modules():
            if isinstance(layer, nn.Linear):  # vectors of the numbers, like the tables
                nn.init.uniform_(layer.weight, -0.05, 0.05)

    def forward(self, batch):
        """Logits `(B,)`."""
        columns, numbers = batch
        return self.tower(self.embedding(columns), numbers, columns).squeeze(1)


class DLRM(Model):
    """Bottom MLP, dot products, top MLP."""

    def __init__(self, spec):
        super().__init__(spec)
        self.bottom = MLP_Block(NUM_NUMBERS, [*spec.mlp, spec.dim])
        self.dot = InnerProductInteraction(spec.features + 1, output="inner_product")
        self.top = MLP_Block(spec.dim + spec.pairs, list(spec.mlp), output_dim=1)

    def tower(self, fields, numbers, columns):
        """Logits `(B, 1)` of `fields` `(B, F, D)`."""
        dense = self.bottom(numbers)  # (B, D)
        pairs = self.dot(torch.cat([dense[:, None], fields], 1))
        return self.top(torch.cat([dense, pairs], 1))


class DeepFM(Model):
    """Linear term, factorization machine and MLP over 39 fields."""

    def __init__(self, spec):
        super().__init__(spec)
        self.fm = FactorizationMachine(self.feature_map)
        width = self.feature_map.num_fields * spec.dim
        self.deep = MLP_Block(width, list(spec.mlp), output_dim=1)

    def tower(self, fields, numbers, columns):
        """Logits `(B, 1)` of `fields` `(B, 39, D)`."""
        return self.fm(columns, fields) + self.deep(fields.flatten(1))


class DCNV2(Model):
    """Full-matrix cross layers beside an MLP."""

    def __init__(self, spec):
        super().__init__(spec)
        self.cross = CrossNetV2(spec.width, CROSS_LAYERS)
        self.deep = MLP_Block(spec.width, list(spec.mlp))
        self.head = nn.Linear(spec.width + spec.mlp[-1], 1)

    def tower(self, fields, numbers, columns):
        """Logits `(B, 1)` of `fields` `(B, F, D)`."""
        x = torch.cat([fields.flatten(1), numbers], 1)  # (B, N)
        return self.head(torch.cat([self.cross(x), self.deep(x)], 1))


MODELS = {"dlrm": DLRM, "deepfm": DeepFM, "dcn_v2": DCNV2}


def make_inputs(spec, ids, numbers):
    """The columns that the embedding reads, and the numbers as they are."""
    inputs = []
    for batch, number in zip(ids, numbers):
        columns = {f"C{i}": batch[:, i] for i in range(spec.features)}
        if spec.model == "deepfm":
            columns |= {f"I{i}": number[:, i] for i in range(NUM_NUMBERS)}
        columns = {k: torch.from_numpy(v.copy()) for k, v in columns.items()}
        inputs.append((columns, torch.from_numpy(number)))
    return inputs


def main() -> None:
    """Runs one cell."""
    spec = read_spec()
    peer_torch.start(spec)
    ids, numbers, labels = load_batches(spec)
    inputs = make_inputs(spec, ids, numbers)
    clock = Clock(spec)
    model = MODELS[spec.model](spec)
    optimizer = peer_torch.adagrad([p for p in model.parameters() if p.requires_grad])
    peer_torch.train(clock, model, optimizer, inputs, torch.from_numpy(labels))
    clock.report(
        parameters=peer_torch.count(model),
        versions=versions_of("torch", "fuxictr", "numpy"),
        optimizer="torch.optim.Adagrad (fused), dense gradients of the tables",
    )


if __name__ == "__main__":
    main()
