"""What is trained on which data, and how."""

import dataclasses
from typing import Any


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
        batch_size: int. Users.
        learning_rate: float. Of Adam.
        beta_2: float. Of Adam.
        epochs: int. At most.
        every: int. Epochs between two validations.
        patience: int. Validations without a better one before training stops.
        selection: string. Whose NDCG@10 of the validation events says which epoch is
            the best: `"full"`, of the whole catalogue, or `"authors"`, among 100 draws
            as SASRec's authors make them.
    """

    data_set: str
    model: str = "sasrec"
    arguments: dict[str, Any]
    loss: str | None = None
    max_length: int
    unseen_negatives: bool = False
    masking: dict[str, Any] | None = None
    batch_size: int = 128
    learning_rate: float = 1e-3
    beta_2: float = 0.98
    epochs: int
    every: int
    patience: int
    selection: str = "full"


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


SETTINGS = {
    # As the authors' code: one unseen negative, 50 wide.
    "ml-1m sasrec bce": _movielens(
        arguments={"embedding_dim": 50, "num_negatives": 1},
        loss="bce",
        unseen_negatives=True,
        patience=40,
        selection="authors",
    ),
    "ml-1m sasrec ce": _movielens(
        arguments={"embedding_dim": 64, "num_negatives": None}
    ),
    "ml-1m sasrec ce 128": _movielens(
        arguments={"embedding_dim": 128, "num_negatives": None}
    ),
    "ml-1m sasrec ce 128 dropout .3": _movielens(
        arguments={"embedding_dim": 128, "num_negatives": None, "dropout": 0.3}
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
    "ml-1m bert4rec 128": _movielens(
        model="bert4rec",
        arguments={"embedding_dim": 128, "num_heads": 2, "dropout": 0.2},
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
}
