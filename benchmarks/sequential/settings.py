"""What is trained on which data, and how."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pretraining:
    """What goes before a run.

    Attributes:
        objective: dict. Of the builder.
        batch_size: int. Parts of sequences.
        learning_rate: float. Of Adam.
        epochs: int.
    """

    objective: dict[str, Any]
    batch_size: int = 256
    learning_rate: float = 1e-3
    epochs: int = 100


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """A run, but for its seed.

    Attributes:
        data_set: string.
        model: string. Name of a builder.
        arguments: dict. Of the builder.
        loss: string or `None`: `"bce"`, `"gbce"`, `"sampled_softmax"`, or over the
            whole catalogue.
        max_length: int.
        unseen_negatives: bool. Whether the data give negatives that are no items of the
            user's training part.
        masking: dict or `None`. Of `masked_item_batches`, for a model of masked places.
        pretraining: `Pretraining` or `None`.
        batch_size: int. Users.
        learning_rate: float. Of Adam.
        beta_2: float. Of Adam.
        epochs: int. At most.
        every: int. Epochs between two validations.
        patience: int. Validations without a better one before training stops.
    """

    data_set: str
    model: str = "sasrec"
    arguments: dict[str, Any]
    loss: str | None = None
    max_length: int
    unseen_negatives: bool = False
    masking: dict[str, Any] | None = None
    pretraining: Pretraining | None = None
    batch_size: int = 128
    learning_rate: float = 1e-3
    beta_2: float = 0.98
    epochs: int
    every: int
    patience: int


def _movielens(**others) -> Setting:
    return Setting(
        **{
            "data_set": "ml-1m",
            "max_length": 200,
            "epochs": 2000,
            "every": 10,
            "patience": 12,
            **others,
        }
    )


def _beauty(**others) -> Setting:
    return Setting(
        **{
            "data_set": "beauty",
            "max_length": 50,
            "epochs": 200,
            "every": 2,
            "patience": 5,
            **others,
        }
    )


def _s3rec(**others) -> Setting:
    return _beauty(
        **{
            "data_set": "s3rec-beauty",
            "model": "s3rec",
            "beta_2": 0.999,
            "pretraining": Pretraining(objective={"form": "authors"}),
            **others,
        }
    )


SETTINGS = {
    # As the authors' code: one unseen negative, 50 wide.
    "ml-1m sasrec bce": _movielens(
        arguments={"embedding_dim": 50, "num_negatives": 1},
        loss="bce",
        unseen_negatives=True,
        patience=40,
    ),
    "ml-1m sasrec ce": _movielens(
        arguments={"embedding_dim": 64, "num_negatives": None}
    ),
    "ml-1m gsasrec": _movielens(
        arguments={"embedding_dim": 128, "num_negatives": 256}, loss="gbce"
    ),
    "beauty sasrec ce": _beauty(
        arguments={"embedding_dim": 64, "num_negatives": None, "dropout": 0.5}
    ),
    # The authors' places and rates; they take 400,000 steps of 256 windows at 1e-4, and
    # shorter training is known to fall short (https://arxiv.org/abs/2207.07483).
    "ml-1m bert4rec": _movielens(
        model="bert4rec",
        arguments={"embedding_dim": 64, "dropout": 0.2},
        masking={"mask_rate": 0.2, "max_masked": 40},
        batch_size=256,
        epochs=16000,
        every=50,
        patience=20,
    ),
    "beauty bert4rec": _beauty(
        model="bert4rec",
        arguments={"embedding_dim": 64, "dropout": 0.5},
        masking={"mask_rate": 0.6, "max_masked": 30},
        batch_size=256,
        epochs=2000,
        every=10,
        patience=20,
    ),
    "s3rec-beauty sasrec bce": _beauty(
        data_set="s3rec-beauty",
        arguments={"embedding_dim": 64, "num_heads": 2, "dropout": 0.5},
        loss="bce",
        unseen_negatives=True,
        batch_size=256,
        epochs=1000,
        every=5,
        patience=20,
    ),
    "s3rec-beauty sasrec ce": _beauty(
        data_set="s3rec-beauty",
        arguments={"embedding_dim": 64, "num_negatives": None, "dropout": 0.5},
    ),
    # The authors' weights and form of the objectives, places and rates; they pre-train
    # on 200 parts a step.
    "s3rec-beauty s3rec": _s3rec(
        arguments={"embedding_dim": 64, "num_heads": 2, "dropout": 0.5},
        loss="bce",
        unseen_negatives=True,
        batch_size=256,
        epochs=1000,
        every=5,
        patience=20,
    ),
    "s3rec-beauty s3rec ce": _s3rec(
        arguments={"embedding_dim": 64, "num_heads": 2, "dropout": 0.5}
        | {"num_negatives": None},
    ),
    "s3rec-beauty s3rec joint": _s3rec(
        arguments={"embedding_dim": 64, "num_heads": 2, "dropout": 0.5}
        | {"num_negatives": None, "stage": "joint"},
        pretraining=None,
    ),
}
