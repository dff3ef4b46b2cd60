r"""FinalMLP of FuxiCTR, with its published setting, on the leaderboard's files.

It runs in FuxiCTR's environment and needs nothing of keras_recs:

  python benchmarks/peers/build_venvs.py --peers=fuxictr
  .venv-peers/fuxictr/bin/python benchmarks/peers/fuxictr_on_frappe.py \
      data/frappe 2021 >> benchmarks/results/fuxictr_on_frappe.jsonl

Layers, gates and fusion are FuxiCTR's; the loop around them does what its own does:
Adam at 1e-3 on gradients clipped to 10, λ/2·‖W‖² of the tables in the loss, a tenth of
the rate after an epoch whose validation AUC is not better, the end after two in a row,
the best epoch measured on the test part. One line of JSON a seed.
"""

import csv
import datetime
import gzip
import json
import sys
from pathlib import Path

import numpy as np
import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding, FeatureEmbeddingDict, MLP_Block
from model_zoo.LongCTR.FinalMLP.FinalMLP import FeatureSelection, InteractionAggregation
from sklearn.metrics import log_loss, roc_auc_score
from torch import nn

DIM, BATCH_SIZE, MAX_EPOCHS, L2 = 10, 4096, 100, 0.05
SPLITS = ("train", "valid", "test")


def read(folder):
    """Feature map, inputs and labels; values that training lacks are one unknown."""
    tables = {}
    for split in SPLITS:
        with gzip.open(folder / f"{split}.csv.gz", "rt", newline="") as file:
            rows = csv.reader(file)
            names = next(rows)
            columns = np.array([[int(value) for value in row] for row in rows]).T
        tables[split] = dict(zip(names, columns, strict=True))
    labels = {s: torch.tensor(t.pop("label")).float() for s, t in tables.items()}
    feature_map = FeatureMap("frappe", ".")
    inputs = {split: {} for split in SPLITS}
    for name, values in tables["train"].items():
        rows = {value: row for row, value in enumerate(np.unique(values), start=1)}
        unknown = len(rows) + 1
        feature_map.features[name] = {
            "source": "",
            "type": "categorical",
            "padding_idx": 0,
            "oov_idx": unknown,
            "vocab_size": unknown + 1,
        }
        for split in SPLITS:
            column = [rows.get(value, unknown) for value in tables[split][name]]
            inputs[split][name] = torch.tensor(column)
    feature_map.num_fields = len(feature_map.features)
    return feature_map, inputs, labels


class FinalMLP(nn.Module):
    """The published sizes: streams of 400 and 100, five heads, gates of 400."""

    def __init__(self, feature_map):
        super().__init__()
        width = feature_map.num_fields * DIM
        tower = {"hidden_activations": "relu", "dropout_rates": 0.4, "batch_norm": True}
        self.embedding = FeatureEmbedding(feature_map, DIM)
        gates = [400], ["user"], ["item"]
        self.gates = FeatureSelection(feature_map, width, DIM, *gates)
        self.first = MLP_Block(input_dim=width, hidden_units=[400], **tower)
        self.second = MLP_Block(input_dim=width, hidden_units=[100], **tower)
        self.fusion = InteractionAggregation(400, 100, output_dim=1, num_heads=5)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, inputs):
        """Logits `(B,)`."""
        first, second = self.gates(inputs, self.embedding(inputs, flatten_emb=True))
        return self.fusion(self.first(first), self.second(second)).squeeze(1)

    def tables(self):
        """All embedding tables, those of the gates too."""
        for layer in self.modules():
            if isinstance(layer, FeatureEmbeddingDict):
                yield from layer.parameters()


def measure(model, inputs, labels):
    """AUC and log loss."""
    model.eval()
    with torch.no_grad():
        parts = [
            torch.sigmoid(model({k: v[i : i + 16384] for k, v in inputs.items()}))
            for i in range(0, len(labels), 16384)
        ]
    p = torch.cat(parts).numpy()
    return roc_auc_score(labels.numpy(), p), log_loss(labels.numpy(), p)


def train(model, inputs, labels):
    """Leaves the best epoch in the model; returns the validation AUC of each."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss = nn.BCEWithLogitsLoss()
    history, best, stale, kept = [], 0.0, 0, None
    while len(history) < MAX_EPOCHS and stale < 2:
        model.train()
        for batch in torch.randperm(len(labels["train"])).split(BATCH_SIZE):
            logits = model({k: v[batch] for k, v in inputs["train"].items()})
            penalty = sum((table**2).sum() for table in model.tables())
            total = loss(logits, labels["train"][batch]) + L2 / 2 * penalty
            optimizer.zero_grad()
            total.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimizer.step()
        auc, _ = measure(model, inputs["valid"], labels["valid"])
        history.append(round(float(auc), 6))
        if auc > best + 1e-6:
            best, stale = auc, 0
            kept = {key: value.clone() for key, value in model.state_dict().items()}
        else:
            stale += 1
            for group in optimizer.param_groups:
                group["lr"] /= 10
    model.load_state_dict(kept)
    return history


def main(folder, seed):
    """One run."""
    torch.manual_seed(seed)
    feature_map, inputs, labels = read(Path(folder))
    model = FinalMLP(feature_map)
    history = train(model, inputs, labels)
    auc, logloss = measure(model, inputs["test"], labels["test"])
    line = {
        "model": "finalmlp",
        "seed": seed,
        "auc": round(float(auc), 6),
        "logloss": round(float(logloss), 6),
        "valid_auc": history,
        "parameters": sum(p.numel() for p in model.parameters()),
        "torch": torch.__version__,
        "date": datetime.date.today().isoformat(),
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
