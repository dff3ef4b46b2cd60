"""TorchRec: fused embedding bags of FBGEMM, its DLRM, DeepFM and cross-net modules.

`FusedEmbeddingBagCollection` updates the rows in the backward pass (exact row-wise
Adagrad); FBGEMM's accumulator starts at 0 and cannot be set. `KeyedJaggedTensor`s are
made before the clock starts. DeepFM: each number times a vector of its own is one more
field of the factorization machine and of the MLP, as in keras_recs.
"""

import peer_torch
import torch
import torchrec
from peer_run import (
    CROSS_LAYERS,
    LEARNING_RATE,
    NUM_NUMBERS,
    Clock,
    load_batches,
    read_spec,
    versions_of,
)
from torch import nn
from torchrec.models.dlrm import DenseArch, InteractionArch, OverArch
from torchrec.modules.crossnet import CrossNet
from torchrec.modules.fused_embedding_modules import FusedEmbeddingBagCollection
from torchrec.sparse.jagged_tensor import KeyedJaggedTensor

LINEAR_DIM = 4  # FBGEMM's rows are multiples of four floats; one of them is read


def make_tables(spec, dim):
    """The embedding bags, with their optimizer inside."""
    names = [f"C{i}" for i in range(spec.features)]
    groups = [names] if spec.tables == 1 else [[name] for name in names]
    return FusedEmbeddingBagCollection(
        [
            torchrec.EmbeddingBagConfig(
                name=f"table_{i}",
                embedding_dim=dim,
                num_embeddings=spec.rows,
                feature_names=group,
            )
            for i, group in enumerate(groups)
        ],
        optimizer_type=torchrec.optim.RowWiseAdagrad,
        optimizer_kwargs={"lr": LEARNING_RATE},
    )


class DLRM(nn.Module):
    """Bottom MLP, dot products, top MLP."""

    def __init__(self, spec):
        super().__init__()
        self.bottom = DenseArch(NUM_NUMBERS, [*spec.mlp, spec.dim])
        self.dot = InteractionArch(spec.features)
        self.top = OverArch(spec.dim + spec.pairs, [*spec.mlp, 1])

    def forward(self, fields, numbers, linear):
        """Logits of `fields` `(B, F, D)` and `numbers` `(B, 13)`."""
        return self.top(self.dot(self.bottom(numbers), fields)).squeeze(1)


class DeepFM(nn.Module):
    """Linear term, factorization machine and MLP over 39 fields."""

    def __init__(self, spec):
        super().__init__()
        self.vectors = nn.Parameter(0.05 * torch.randn(NUM_NUMBERS, spec.dim))
        self.linear = nn.Linear(NUM_NUMBERS, 1)
        fields = spec.features + NUM_NUMBERS
        self.deep = peer_torch.mlp(fields * spec.dim, spec.mlp, 1)

    def forward(self, fields, numbers, linear):
        """Logits; `linear` holds one scalar an id."""
        fields = torch.cat([fields, numbers[:, :, None] * self.vectors], 1)
        pairs = 0.5 * (fields.sum(1).square() - fields.square().sum(1)).sum(1)
        deep = self.deep(fields.flatten(1)) + self.linear(numbers)
        return pairs + deep.squeeze(1) + linear


class DCNV2(nn.Module):
    """Full-matrix cross layers beside an MLP."""

    def __init__(self, spec):
        super().__init__()
        self.cross = CrossNet(spec.width, CROSS_LAYERS)
        self.deep = peer_torch.mlp(spec.width, spec.mlp)
        self.head = nn.Linear(spec.width + spec.mlp[-1], 1)

    def forward(self, fields, numbers, linear):
        """Logits."""
        x = torch.cat([fields.flatten(1), numbers], 1)
        return self.head(torch.cat([self.cross(x), self.deep(x)], 1)).squeeze(1)


MODELS = {"dlrm": DLRM, "deepfm": DeepFM, "dcn_v2": DCNV2}


def main() -> None:
    """Runs one cell."""
    spec = read_spec(shared_table=True)
    peer_torch.start(spec)
    ids, numbers, labels = load_batches(spec)
    keys = [f"C{i}" for i in range(spec.features)]
    lengths = torch.ones(spec.features * spec.batch, dtype=torch.int32)
    inputs = [
        (
            KeyedJaggedTensor(
                keys, torch.from_numpy(batch.T.copy()).reshape(-1), lengths=lengths
            ),
            torch.from_numpy(number),
        )
        for batch, number in zip(ids, numbers)
    ]
    clock = Clock(spec)
    tables = make_tables(spec, spec.dim)
    scalars = make_tables(spec, LINEAR_DIM) if spec.model == "deepfm" else None
    model = MODELS[spec.model](spec)

    def forward(batch):
        ids, numbers = batch
        fields = tables(ids).values().view(-1, spec.features, spec.dim)  # (B, F, D)
        linear = None
        if scalars is not None:
            linear = scalars(ids).values()[:, ::LINEAR_DIM].sum(1)  # (B,)
        return model(fields, numbers, linear)

    optimizer = peer_torch.adagrad(model.parameters())
    peer_torch.train(clock, forward, optimizer, inputs, torch.from_numpy(labels))
    scalar_rows = spec.tables * spec.rows if scalars is not None else 0
    clock.report(
        parameters=peer_torch.count(model)
        + spec.tables * spec.rows * spec.dim
        + scalar_rows,
        versions=versions_of("torch", "torchrec", "fbgemm-gpu-cpu", "numpy"),
        optimizer="FBGEMM exact row-wise Adagrad in the backward pass; "
        "torch.optim.Adagrad (fused) for the dense part",
    )


if __name__ == "__main__":
    main()
