"""The same models in plain PyTorch, trained by a plain loop."""

from __future__ import annotations

import os
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.sequential.sides.cells import (
    BETA_2,
    CELLS,
    CHECK_RATE,
    CHECKED_STEPS,
    EPSILON,
    FIRST_ROW,
    LEARNING_RATE,
    Cell,
    make_batches,
    serve,
)

DEVICE, DTYPE = sys.argv[1], getattr(torch, sys.argv[2])
NAMES = {"kernel": "weight", "gamma": "weight"}  # of Keras's variables


class Block(nn.Module):
    """Attention and a network of two layers."""

    def __init__(self, cell: Cell, dropout: float):
        super().__init__()
        self.is_sasrec = cell.model == "sasrec"
        self.heads, self.rate = cell.heads, dropout
        dim, hidden = cell.dim, cell.dim * (1 if self.is_sasrec else 4)
        self.attention = nn.ModuleDict(
            {name: nn.Linear(dim, dim) for name in ("query", "key", "value")}
        )
        if not self.is_sasrec:
            self.attention["output_projection"] = nn.Linear(dim, dim)
        epsilon = 1e-8 if self.is_sasrec else 1e-6
        self.norm_0 = nn.LayerNorm(dim, eps=epsilon)
        self.norm_1 = nn.LayerNorm(dim, eps=epsilon)
        self.inner, self.outer = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.dropout = nn.Dropout(dropout)

    def attend(self, asking, asked, mask):
        """Scaled dot-product attention `(B, T, D)`."""
        batch, length, dim = asking.shape
        query, key, value = (
            self.attention[name](x)
            .view(batch, length, self.heads, dim // self.heads)
            .transpose(1, 2)  # (B, A, T, D / A)
            for name, x in (("query", asking), ("key", asked), ("value", asked))
        )
        seen = functional.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=mask,
            dropout_p=self.rate if self.training else 0.0,
        )
        return seen.transpose(1, 2).reshape(batch, length, dim)

    def forward(self, x, mask, there):
        """The next states."""
        if self.is_sasrec:
            asking = self.norm_0(x)
            x = self.norm_1(asking + self.attend(asking, x, mask))
            hidden = self.dropout(functional.relu(self.inner(x)))
            return (x + self.dropout(self.outer(hidden))) * there
        seen = self.attention["output_projection"](self.attend(x, x, mask))
        x = self.norm_0(x + self.dropout(seen))
        hidden = functional.gelu(self.inner(x))
        return self.norm_1(x + self.dropout(self.outer(hidden))) * there


class Model(nn.Module):
    """SASRec or BERT4Rec; called with a batch it gives the loss."""

    def __init__(self, cell: Cell, dropout: float):
        super().__init__()
        self.cell = cell
        rows = FIRST_ROW + cell.items
        self.items = nn.Embedding(rows, cell.dim, padding_idx=0)
        self.positions = nn.Parameter(torch.empty(cell.length, cell.dim))
        nn.init.normal_(self.items.weight, std=0.02)
        nn.init.normal_(self.positions, std=0.02)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(cell, dropout) for _ in range(cell.layers))
        if cell.model == "sasrec":
            self.norm = nn.LayerNorm(cell.dim, eps=1e-8)
        else:
            self.norm = nn.LayerNorm(cell.dim, eps=1e-6)
            self.dense = nn.Linear(cell.dim, cell.dim)
            self.head_norm = nn.LayerNorm(cell.dim, eps=1e-6)
            self.item_biases = nn.Parameter(torch.zeros(rows, 1))
        places = torch.ones(cell.length, cell.length, dtype=torch.bool)
        seen = places.tril() if cell.model == "sasrec" else places
        self.register_buffer("seen", seen)
        self.register_buffer("itself", torch.eye(cell.length, dtype=torch.bool))

    def forward(self, batch):
        """The mean loss of the places that have a target."""
        there = batch["items"] != 0  # (B, T)
        # Padding sees itself, for a softmax of nothing is no number.
        mask = (there[:, None, :] & self.seen) | self.itself
        mask, there = mask[:, None], there[:, :, None]
        x = self.items(batch["items"])
        if self.cell.model == "sasrec":
            x = self.dropout(x * self.cell.dim**0.5 + self.positions) * there
        else:
            x = self.dropout(self.norm(x + self.positions))
        for block in self.blocks:
            x = block(x, mask, there)
        # States of the places that have a target alone: (N, D).
        targets = batch["next_item"]
        if self.cell.model == "bert4rec":
            # Those of the chosen places, then the head, which no other place needs.
            users = torch.arange(len(x), device=x.device)[:, None]
            x = x[users, batch["places"]]
        has_target = targets >= FIRST_ROW
        x, targets = x[has_target], targets[has_target]
        if self.cell.model == "bert4rec":
            x = self.head_norm(functional.gelu(self.dense(x)))
        else:
            x = self.norm(x)
        if self.cell.loss == "bce":
            negatives = batch["negatives"][..., 0][has_target]
            positive = (x * self.items(targets)).sum(-1).float()
            negative = (x * self.items(negatives)).sum(-1).float()
            counts = (negatives != targets).float()
            losses = functional.softplus(-positive)
            return (losses + counts * functional.softplus(negative)).mean()
        bias = None
        if self.cell.model == "bert4rec":
            bias = self.item_biases[FIRST_ROW:, 0]
        logits = functional.linear(x, self.items.weight[FIRST_ROW:], bias)
        return functional.cross_entropy(logits.float(), targets - FIRST_ROW)


class SessionModel(nn.Module):
    """GRU4Rec; called with a batch it gives the loss and keeps the states."""

    def __init__(self, cell: Cell, dropout: float):
        super().__init__()
        rows = FIRST_ROW + cell.items
        self.items = nn.Embedding(rows, cell.dim, padding_idx=0)
        nn.init.xavier_uniform_(self.items.weight)
        self.item_biases = nn.Parameter(torch.zeros(rows, 1))
        self.gru = nn.GRU(cell.dim, cell.dim, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("state", torch.zeros(1, cell.batch, cell.dim))

    def forward(self, batch):
        """The mean loss of all places."""
        goes_on = (batch["starts"][:, :1] == 0)[None]  # (1, B, 1)
        x, state = self.gru(
            self.dropout(self.items(batch["items"])), self.state * goes_on
        )
        self.state = state.detach()
        logits = functional.linear(
            self.dropout(x).flatten(0, 1),
            self.items.weight[FIRST_ROW:],
            self.item_biases[FIRST_ROW:, 0],
        )
        targets = batch["next_item"].flatten() - FIRST_ROW
        return functional.cross_entropy(logits.float(), targets)


class Side:
    """What the other process asks for."""

    def about(self):
        """Versions and device."""
        name = "cpu" if DEVICE == "cpu" else torch.cuda.get_device_name()
        return {"torch": torch.__version__, "device": name}

    def floor(self):
        """Floating-point operations a second of one large matrix product."""
        side = 2048 if DEVICE == "cpu" else 8192
        x = torch.randn(side, side, device=DEVICE, dtype=DTYPE)
        times = []
        for _ in range(10):
            _wait()
            start = time.perf_counter()
            x @ x
            _wait()
            times.append(time.perf_counter() - start)
        return 2 * side**3 / min(times)

    def check(self, name, path):
        """Losses of some steps without dropout, from saved weights."""
        torch.set_float32_matmul_precision("highest")
        self._make(name, dropout=0.0)
        _load(self.model, path)
        self.optimizer = torch.optim.SGD(self.model.parameters(), CHECK_RATE)
        losses = [self._step(batch).item() for batch in self.batches[:CHECKED_STEPS]]
        torch.set_float32_matmul_precision("high")
        return losses

    def start(self, name):
        """Makes the model and takes its first steps."""
        self._make(name, CELLS[name].dropout)
        return self.round(3)

    def round(self, steps):
        """Milliseconds a step."""
        start = time.perf_counter()
        for number in range(steps):
            loss = self._step(self.batches[number % len(self.batches)])
        loss.item()
        _wait()
        return 1e3 * (time.perf_counter() - start) / steps

    def _make(self, name, dropout):
        torch.manual_seed(0)
        make = SessionModel if CELLS[name].model == "gru4rec" else Model
        self.model = make(CELLS[name], dropout).to(DEVICE)
        self.optimizer = torch.optim.Adam(
            self.model.parameters(),
            lr=LEARNING_RATE,
            betas=(0.9, BETA_2),
            eps=EPSILON,
            fused=True,
        )
        self.batches = make_batches(CELLS[name])

    def _step(self, batch):
        batch = {k: torch.from_numpy(v).to(DEVICE).long() for k, v in batch.items()}
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(DEVICE, DTYPE, enabled=torch.float32 != DTYPE):
            loss = self.model(batch)
        loss.backward()
        self.optimizer.step()
        return loss.detach()


def _wait():
    if DEVICE != "cpu":
        torch.cuda.synchronize()


def _load(model, path):
    """Weights of the Keras model; every one must find its place."""
    own = dict(model.named_parameters())
    with np.load(path) as arrays:
        if isinstance(model, SessionModel):
            names = [name for name in arrays.files if "cell_0" in name]
            _load_gru(model.gru, {n.split("/")[-1]: arrays[n] for n in names})
            own = {k: v for k, v in own.items() if not k.startswith("gru.")}
        for name in arrays.files:
            if "cell_0" in name:
                continue
            value = torch.from_numpy(arrays[name])
            *layers, last = name.split("/")
            if last == "embeddings":
                key = "item_biases" if layers[0] == "item_biases" else "items.weight"
            elif last == "positions":
                key = "positions"
            else:
                if layers[0] == "head":
                    layers = ["head_norm" if layers[1] == "norm" else layers[1]]
                key = ".".join([*layers, NAMES.get(last, "bias")])
                key = key.replace("block_", "blocks.")
            value = value.T if last == "kernel" else value
            with torch.no_grad():
                own.pop(key).copy_(value)
    if own:
        raise ValueError(f"Weights without a value: {list(own)}")


def _load_gru(gru, arrays):
    """Ours has update, reset, new, and u where PyTorch has 1 - u; one bias of gates."""
    arrays = {name: torch.from_numpy(array.T) for name, array in arrays.items()}
    own_bias = arrays.pop("candidate_bias")

    def ordered(array):
        update, reset, new = array.chunk(3)
        return torch.cat([reset, -update, new])

    counts = torch.zeros_like(gru.bias_hh_l0)
    counts[-len(own_bias) :] = 1
    with torch.no_grad():
        gru.weight_ih_l0.copy_(ordered(arrays["kernel"]))
        gru.weight_hh_l0.copy_(ordered(arrays["recurrent_kernel"]))
        gru.bias_ih_l0.copy_(ordered(arrays["bias"]))
        gru.bias_hh_l0.zero_()
        gru.bias_hh_l0[-len(own_bias) :] = own_bias.to(counts.device)
    # A second bias would learn twice as fast.
    gru.bias_hh_l0.register_hook(lambda gradient: gradient * counts)


if __name__ == "__main__":
    torch.set_num_threads(os.cpu_count() or 1)
    side = Side()
    commands = ("about", "floor", "check", "start", "round")
    serve({name: getattr(side, name) for name in commands})
