"""Models of FuxiCTR's layers, at the sizes of a spec.

Its way is to give each number a vector (`Linear(1, D)`): a number is one more field,
but for DLRM and the cross networks, which read the numbers as they are.
"""

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import (
    CompressedInteractionNet,
    CrossNet,
    CrossNetV2,
    DIN_Attention,
    FactorizationMachine,
    FeatureEmbedding,
    FeatureEmbeddingDict,
    InnerProductInteraction,
    LogisticRegression,
    MLP_Block,
    ScaledDotProductAttention,
)
from fuxictr.pytorch.layers.activations import Dice
from peer_run import (
    ATTENTION_UNITS,
    CIN_UNITS,
    CROSS_LAYERS,
    FIELD_ATTENTION_HEADS,
    FIELD_ATTENTION_LAYERS,
)
from torch import nn

UNIFORM = "partial(nn.init.uniform_, a=-0.05, b=0.05)"


def make_feature_map(spec, with_numbers):
    """What `FeatureMap.load` reads from a file."""
    feature_map = FeatureMap("random", ".")
    features = feature_map.features
    category = {"source": "", "type": "categorical", "vocab_size": spec.rows}
    for i in range(spec.features):
        features[f"C{i}"] = dict(category)
    if spec.history:
        features["C0"]["padding_idx"] = 0
        features["history"] = {
            **category,
            "type": "sequence",
            "padding_idx": 0,
            "share_embedding": "C0",
        }
    for i in range(spec.numbers if with_numbers else 0):
        features[f"I{i}"] = {"source": "", "type": "numeric"}
    feature_map.num_fields = len(features)
    return feature_map


class Model(nn.Module):
    """Looks the ids up; each model adds its own tower."""

    has_number_fields = True

    def __init__(self, spec):
        super().__init__()
        self.feature_map = make_feature_map(spec, self.has_number_fields)
        self.embedding = FeatureEmbedding(
            self.feature_map, spec.dim, embedding_initializer=UNIFORM
        )
        for layer in self.embedding.modules():
            if isinstance(layer, nn.Linear):  # vectors of the numbers, like the tables
                nn.init.uniform_(layer.weight, -0.05, 0.05)
        self.fields = self.feature_map.num_fields

    def forward(self, batch):
        """Logits `(B,)`."""
        columns, numbers = batch
        columns = {k: v for k, v in columns.items() if k in self.feature_map.features}
        return self.tower(self.embedding(columns), numbers, columns).squeeze(1)


class Linear(nn.Module):
    """Its logistic regression."""

    def __init__(self, spec):
        super().__init__()
        self.linear = LogisticRegression(make_feature_map(spec, True))

    def forward(self, batch):
        """Logits `(B,)`."""
        return self.linear(batch[0]).squeeze(1)


class FM(Model):
    """Linear term and factorization machine."""

    def __init__(self, spec):
        super().__init__(spec)
        self.fm = FactorizationMachine(self.feature_map)

    def tower(self, fields, numbers, columns):
        """Logits `(B, 1)` of `fields` `(B, F, D)`."""
        return self.fm(columns, fields)


class WideDeep(Model):
    """Linear term and MLP."""

    def __init__(self, spec):
        super().__init__(spec)
        self.wide = LogisticRegression(self.feature_map)
        self.deep = MLP_Block(self.fields * spec.dim, list(spec.mlp), output_dim=1)

    def tower(self, fields, numbers, columns):
        """Logits `(B, 1)` of `fields` `(B, F, D)`."""
        return self.wide(columns) + self.deep(fields.flatten(1))


class DeepFM(FM):
    """Linear term, factorization machine and MLP."""

    def __init__(self, spec):
        super().__init__(spec)
        self.deep = MLP_Block(self.fields * spec.dim, list(spec.mlp), output_dim=1)

    def tower(self, fields, numbers, columns):
        """Logits `(B, 1)` of `fields` `(B, F, D)`."""
        return self.fm(columns, fields) + self.deep(fields.flatten(1))


class XDeepFM(WideDeep):
    """Linear term, compressed interaction network and MLP."""

    def __init__(self, spec):
        super().__init__(spec)
        self.cin = CompressedInteractionNet(self.fields, list(CIN_UNITS))

    def tower(self, fields, numbers, columns):
        """Logits `(B, 1)` of `fields` `(B, F, D)`."""
        return super().tower(fields, numbers, columns) + self.cin(fields)


class DLRM(Model):
    """Bottom MLP, dot products, top MLP."""

    has_number_fields = False

    def __init__(self, spec):
        super().__init__(spec)
        self.bottom = MLP_Block(spec.numbers, [*spec.mlp, spec.dim])
        self.dot = InnerProductInteraction(spec.features + 1, output="inner_product")
        self.top = MLP_Block(spec.dim + spec.pairs, list(spec.mlp), output_dim=1)

    def tower(self, fields, numbers, columns):
        """Logits `(B, 1)` of `fields` `(B, F, D)`."""
        dense = self.bottom(numbers)  # (B, D)
        pairs = self.dot(torch.cat([dense[:, None], fields], 1))
        return self.top(torch.cat([dense, pairs], 1))


class DCN(Model):
    """Cross layers beside an MLP."""

    has_number_fields = False
    cross_net = CrossNet

    def __init__(self, spec):
        super().__init__(spec)
        self.cross = self.cross_net(spec.width, CROSS_LAYERS)
        self.deep = MLP_Block(spec.width, list(spec.mlp))
        self.head = nn.Linear(spec.width + spec.mlp[-1], 1)

    def tower(self, fields, numbers, columns):
        """Logits `(B, 1)` of `fields` `(B, F, D)`."""
        x = torch.cat([fields.flatten(1), numbers], 1)  # (B, N)
        return self.head(torch.cat([self.cross(x), self.deep(x)], 1))


class DCNV2(DCN):
    """Full-matrix cross layers beside an MLP."""

    cross_net = CrossNetV2


class FieldAttention(nn.Module):
    """Its dot-product attention over the fields, between linear maps."""

    def __init__(self, dim):
        super().__init__()
        self.query, self.key, self.value = (
            nn.Linear(dim, dim, bias=False) for _ in range(3)
        )
        self.attention = ScaledDotProductAttention()

    def forward(self, fields):
        """`(B, F, D)` to the same shape."""
        batch, count, dim = fields.shape
        shape = (batch, count, FIELD_ATTENTION_HEADS, dim // FIELD_ATTENTION_HEADS)
        query, key, value = (
            layer(fields).view(shape).transpose(1, 2)  # (B, A, F, D/A)
            for layer in (self.query, self.key, self.value)
        )
        output, _ = self.attention(query, key, value)
        output = output.transpose(1, 2).reshape(batch, count, dim)
        return (output + fields).relu()


class AutoInt(Model):
    """Self-attention over the fields beside an MLP."""

    def __init__(self, spec):
        super().__init__(spec)
        layers = [FieldAttention(spec.dim) for _ in range(FIELD_ATTENTION_LAYERS)]
        self.attention = nn.Sequential(*layers)
        width = self.fields * spec.dim
        self.deep = MLP_Block(width, list(spec.mlp), output_dim=1)
        self.head = nn.Linear(width, 1)

    def tower(self, fields, numbers, columns):
        """Logits `(B, 1)` of `fields` `(B, F, D)`."""
        attended = self.head(self.attention(fields).flatten(1))
        return attended + self.deep(fields.flatten(1))


class DIN(nn.Module):
    """Its target attention, and an MLP with its Dice."""

    def __init__(self, spec):
        super().__init__()
        self.feature_map = make_feature_map(spec, False)
        self.embedding = FeatureEmbeddingDict(
            self.feature_map, spec.dim, embedding_initializer=UNIFORM
        )
        self.attention = DIN_Attention(spec.dim, list(ATTENTION_UNITS), "Dice")
        self.deep = MLP_Block(
            (spec.features + 1) * spec.dim,
            list(spec.mlp),
            [Dice(units) for units in spec.mlp],
            output_dim=1,
        )

    def forward(self, batch):
        """Logits `(B,)`."""
        columns = {k: v for k, v in batch[0].items() if k in self.feature_map.features}
        embedded = self.embedding(columns)
        history = embedded["history"]  # (B, T, D)
        mask = columns["history"] > 0
        embedded["history"] = self.attention(embedded["C0"], history, mask)
        return self.deep(torch.cat(list(embedded.values()), 1)).squeeze(1)


MODELS = {
    "logistic_regression": Linear,
    "fm": FM,
    "wide_and_deep": WideDeep,
    "deepfm": DeepFM,
    "xdeepfm": XDeepFM,
    "dcn": DCN,
    "dcn_v2": DCNV2,
    "dlrm": DLRM,
    "autoint": AutoInt,
    "din": DIN,
}
