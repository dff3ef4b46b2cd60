"""torch-rechub's models and layers, at the sizes of a spec.

`Whole` holds one of its models as it is; the others are put together from its layers.
Its MLP always normalizes batches: in the models the normalization is taken out, beside
the layers PyTorch's linear layers stand in.
"""

import peer_torch
import torch
from peer_run import (
    ATTENTION_UNITS,
    CIN_UNITS,
    CROSS_LAYERS,
    EXPERT_UNITS,
    EXPERTS,
    FIELD_ATTENTION_HEADS,
    FIELD_ATTENTION_LAYERS,
    LEVEL_UNITS,
    LEVELS,
    OWN_EXPERTS,
    SHARED_EXPERTS,
    TASKS,
    TOWER_UNITS,
)
from torch import nn
from torch_rechub.basic.features import DenseFeature, SequenceFeature, SparseFeature
from torch_rechub.basic.initializers import RandomUniform
from torch_rechub.basic.layers import CIN, FM, CrossNetV2, EmbeddingLayer
from torch_rechub.models import multi_task, ranking


def make_features(spec, dim, prefix="C", **options):
    """One feature, and so one table, a field."""
    uniform = RandomUniform(-0.05, 0.05)
    return [
        SparseFeature(f"{prefix}{i}", spec.rows, dim, initializer=uniform, **options)
        for i in range(spec.features)
    ]


class Model(nn.Module):
    """Looks the ids up; each model adds its own tower."""

    has_scalars = has_number_fields = False

    def __init__(self, spec):
        super().__init__()
        self.features = make_features(spec, spec.dim)
        self.embedding = EmbeddingLayer(self.features)
        self.fields = spec.features
        if self.has_scalars:
            self.scalar_features = make_features(spec, 1)
            self.scalars = EmbeddingLayer(self.scalar_features)
            self.linear = nn.Linear(spec.numbers, 1) if spec.numbers else None
        if self.has_number_fields and spec.numbers:
            self.vectors = nn.Parameter(0.05 * torch.randn(spec.numbers, spec.dim))
            self.fields += spec.numbers

    def forward(self, batch):
        """Logits `(B,)`."""
        columns, numbers = batch
        fields = self.embedding(columns, self.features)  # (B, F, D)
        if self.fields > len(self.features):
            fields = torch.cat([fields, numbers[:, :, None] * self.vectors], 1)
        logits = self.tower(fields, numbers)  # (B, 1)
        if self.has_scalars:
            logits = logits + self.scalars(columns, self.scalar_features).sum(1)
            if self.linear is not None:
                logits = logits + self.linear(numbers)
        return logits.squeeze(1)

    def loss(self, logits, labels):
        """Cross-entropy."""
        return nn.functional.binary_cross_entropy_with_logits(logits, labels)


class LogisticRegression(nn.Module):
    """A scalar an id."""

    def __init__(self, spec):
        super().__init__()
        self.features = make_features(spec, 1)
        self.scalars = EmbeddingLayer(self.features)
        self.linear = nn.Linear(spec.numbers, 1) if spec.numbers else None
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, batch):
        """Logits `(B,)`."""
        columns, numbers = batch
        logits = self.scalars(columns, self.features).sum(1) + self.bias  # (B, 1)
        if self.linear is not None:
            logits = logits + self.linear(numbers)
        return logits.squeeze(1)

    loss = Model.loss


class FactorizationMachine(Model):
    """Linear term and factorization machine."""

    has_scalars = has_number_fields = True

    def __init__(self, spec):
        super().__init__(spec)
        self.fm = FM(reduce_sum=True)
        self.bias = nn.Parameter(torch.zeros(1))

    def tower(self, fields, numbers):
        """Logits `(B, 1)` of `fields` `(B, F, D)`."""
        return self.fm(fields) + self.bias


class DLRM(Model):
    """Bottom MLP, dot products, top MLP."""

    def __init__(self, spec):
        super().__init__(spec)
        self.bottom = peer_torch.mlp(spec.numbers, [*spec.mlp, spec.dim])
        self.top = peer_torch.mlp(spec.dim + spec.pairs, spec.mlp, 1)
        self.pairs = peer_torch.lower_triangle(spec.features + 1)

    def tower(self, fields, numbers):
        """Logits `(B, 1)` of `fields` `(B, F, D)`."""
        dense = self.bottom(numbers)  # (B, D)
        fields = torch.cat([dense[:, None], fields], 1)  # (B, F + 1, D)
        products = torch.bmm(fields, fields.transpose(1, 2)).flatten(1)
        pairs = products.index_select(1, self.pairs)  # (B, (F + 1)F/2)
        return self.top(torch.cat([dense, pairs], 1))


class DeepFM(Model):
    """Linear term, factorization machine and MLP."""

    has_scalars = has_number_fields = True

    def __init__(self, spec):
        super().__init__(spec)
        self.fm = FM(reduce_sum=True)
        self.deep = peer_torch.mlp(self.fields * spec.dim, spec.mlp, 1)

    def tower(self, fields, numbers):
        """Logits `(B, 1)` of `fields` `(B, F, D)`."""
        return self.fm(fields) + self.deep(fields.flatten(1))


class XDeepFM(Model):
    """Linear term, its compressed interaction network (with its ReLU) and MLP."""

    has_scalars = has_number_fields = True

    def __init__(self, spec):
        super().__init__(spec)
        self.cin = CIN(self.fields, list(CIN_UNITS), split_half=False)
        self.deep = peer_torch.mlp(self.fields * spec.dim, spec.mlp, 1)

    def tower(self, fields, numbers):
        """Logits `(B, 1)` of `fields` `(B, F, D)`."""
        return self.cin(fields) + self.deep(fields.flatten(1))


class DCNV2(Model):
    """Full-matrix cross layers beside an MLP."""

    def __init__(self, spec):
        super().__init__(spec)
        self.cross = CrossNetV2(spec.width, CROSS_LAYERS)
        self.deep = peer_torch.mlp(spec.width, spec.mlp)
        self.head = nn.Linear(spec.width + spec.mlp[-1], 1)

    def tower(self, fields, numbers):
        """Logits `(B, 1)` of `fields` `(B, F, D)`."""
        x = torch.cat([fields.flatten(1), numbers], 1)  # (B, N)
        return self.head(torch.cat([self.cross(x), self.deep(x)], 1))


class Whole(nn.Module):
    """One of its models, which give probabilities."""

    def __init__(self, model):
        super().__init__()
        for module in list(model.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.BatchNorm1d):
                    setattr(module, name, nn.Identity())
        self.model = model

    def forward(self, batch):
        """Probabilities `(B,)`, and of DIEN its auxiliary loss."""
        return self.model(batch[0])

    def loss(self, output, labels):
        """Cross-entropy, and the auxiliary loss where there is one."""
        if isinstance(output, tuple):
            return self.loss(output[0], labels) + output[1]
        return nn.functional.binary_cross_entropy(output, labels)


def make_numbers(spec):
    """Its numeric features."""
    return [DenseFeature(f"I{i}") for i in range(spec.numbers)]


class WideDeep(Whole):
    """Its `WideDeep`, whose wide part reads a scalar an id."""

    def __init__(self, spec):
        wide = make_features(spec, 1, prefix="wide_C") + make_numbers(spec)
        deep = make_features(spec, spec.dim) + make_numbers(spec)
        super().__init__(ranking.WideDeep(wide, deep, {"dims": list(spec.mlp)}))

    def forward(self, batch):
        """Probabilities `(B,)`; the scalars are looked up by names of their own."""
        columns = batch[0]
        wide = {f"wide_{name}": x for name, x in columns.items() if name[0] == "C"}
        return self.model(columns | wide)


class DCN(Whole):
    """Its `DCN`."""

    def __init__(self, spec):
        features = make_features(spec, spec.dim) + make_numbers(spec)
        super().__init__(ranking.DCN(features, CROSS_LAYERS, {"dims": list(spec.mlp)}))


class AutoInt(Whole):
    """Its `AutoInt`, with an MLP and a linear term over the embeddings."""

    def __init__(self, spec):
        super().__init__(
            ranking.AutoInt(
                make_features(spec, spec.dim),
                make_numbers(spec),
                FIELD_ATTENTION_LAYERS,
                FIELD_ATTENTION_HEADS,
                mlp_params={"dims": list(spec.mlp)},
            )
        )


def make_history(spec, name):
    """Item ids beside those of feature 0, in its table."""
    options = {"pooling": "concat", "shared_with": "C0", "padding_idx": 0}
    return SequenceFeature(name, spec.rows, spec.dim, **options)


class DIN(Whole):
    """Its `DIN`, which does not mask padding."""

    def __init__(self, spec):
        item, *others = make_features(spec, spec.dim, padding_idx=0)
        attention = {"dims": list(ATTENTION_UNITS), "activation": "dice"}
        super().__init__(
            ranking.DIN(
                others,
                [make_history(spec, "history")],
                [item],
                {"dims": list(spec.mlp)},
                attention,
            )
        )


class DIEN(Whole):
    """Its `DIEN`, with negatives and the auxiliary loss; attention is bilinear."""

    def __init__(self, spec):
        item, *others = make_features(spec, spec.dim, padding_idx=0)
        super().__init__(
            ranking.DIEN(
                others,
                [make_history(spec, "history")],
                [make_history(spec, "negatives")],
                [item],
                {"dims": list(spec.mlp)},
            )
        )


class SeveralTasks(Whole):
    """One of its models of several tasks, whose losses are added."""

    def loss(self, output, labels):
        """Sum of the tasks' cross-entropies."""
        return len(TASKS) * nn.functional.binary_cross_entropy(output, labels)


class MMOE(SeveralTasks):
    """Its `MMOE`."""

    def __init__(self, spec):
        super().__init__(
            multi_task.MMOE(
                make_features(spec, spec.dim),
                ["classification"] * len(TASKS),
                EXPERTS,
                {"dims": list(EXPERT_UNITS)},
                [{"dims": list(TOWER_UNITS)}] * len(TASKS),
            )
        )


class PLE(SeveralTasks):
    """Its `PLE`."""

    def __init__(self, spec):
        super().__init__(
            multi_task.PLE(
                make_features(spec, spec.dim),
                ["classification"] * len(TASKS),
                LEVELS,
                OWN_EXPERTS,
                SHARED_EXPERTS,
                {"dims": list(LEVEL_UNITS)},
                [{"dims": list(TOWER_UNITS)}] * len(TASKS),
            )
        )


MODELS = {
    "logistic_regression": LogisticRegression,
    "fm": FactorizationMachine,
    "wide_and_deep": WideDeep,
    "deepfm": DeepFM,
    "xdeepfm": XDeepFM,
    "dcn": DCN,
    "dcn_v2": DCNV2,
    "dlrm": DLRM,
    "autoint": AutoInt,
    "din": DIN,
    "dien": DIEN,
    "mmoe": MMOE,
    "ple": PLE,
}
