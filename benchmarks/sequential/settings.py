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
    epochs: int = 50


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """A run, but for its seed.

    Attributes:
        data_set: string.
        model: string. Name of a builder.
        arguments: dict. Of the builder.
        loss: string or `None`: `"bce"`, `"gbce"`, `"sampled_softmax"`, `"bpr_max"`, or
            over the whole catalogue.
        max_length: int.
        unseen_negatives: bool. Whether the data give negatives that are no items of the
            user's training part.
        masking: dict or `None`. Of `masked_item_batches`, for a model of masked places.
        session: dict or `None`. Of `session_batches`, for sessions side by side; with
            `"alpha"` in the place of the sampler.
        lengths: ints. Of batches of users with like lengths, below `max_length`.
        batch_size: int. Users, or slots.
        pretraining: `Pretraining` or `None`.
        learning_rate: float. Of Adam.
        beta_2: float. Of Adam.
        anneals: bool. Whether the learning rate falls by a cosine, to nothing after
            `epochs`.
        epochs: int. At most.
        every: int. Epochs between two validations.
        patience: int. Validations without a better one before training stops.
        selection: string. Whose NDCG@10 of the validation events says which epoch is
            the best: `"full"`, of the whole catalogue, or `"authors"`, among 100 draws
            as SASRec's authors make them.
        refit: bool. Whether the tested weights are trained from the start on the
            training and the validation sessions, for the best number of epochs.
    """

    data_set: str
    model: str = "sasrec"
    arguments: dict[str, Any]
    loss: str | None = None
    max_length: int
    unseen_negatives: bool = False
    masking: dict[str, Any] | None = None
    session: dict[str, Any] | None = None
    lengths: tuple[int, ...] | None = None
    pretraining: Pretraining | None = None
    batch_size: int = 128
    learning_rate: float = 1e-3
    beta_2: float = 0.98
    anneals: bool = False
    epochs: int
    every: int
    patience: int
    selection: str = "full"
    refit: bool = False


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


def _movielens_bce(dim, num_negatives, dropout=None, **others) -> Setting:
    """Unseen negatives, chosen by the authors' protocol."""
    arguments = {"embedding_dim": dim, "num_negatives": num_negatives}
    if dropout is not None:
        arguments["dropout"] = dropout
    return _movielens(
        arguments=arguments,
        loss="bce",
        unseen_negatives=True,
        selection="authors",
        **others,
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


def _gru4rec(make, units, dropouts, num_negatives=None, slots=128, **others) -> Setting:
    """One table for events and candidates, as wide as the GRU."""
    return make(
        **{
            "model": "gru4rec",
            "arguments": {
                "hidden_units": (units,),
                "embedding_dropout": dropouts[0],
                "dropout": dropouts[1],
                "num_slots": slots,
                "num_negatives": num_negatives,
                "initializer": "uniform",
            },
            "batch_size": slots,
            "beta_2": 0.999,
            **others,
        }
    )


def _diginetica(**others) -> Setting:
    return Setting(
        **{
            "data_set": "diginetica",
            "max_length": 70,
            "epochs": 60,
            "every": 1,
            "patience": 3,
            "refit": True,
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
    "ml-1m sasrec bce": _movielens_bce(50, 1, patience=25),
    "ml-1m sasrec bce annealed": _movielens_bce(
        50, 1, anneals=True, epochs=300, patience=25
    ),
    "ml-1m sasrec bce 16 annealed": _movielens_bce(
        64, 16, anneals=True, epochs=300, patience=30
    ),
    "ml-1m sasrec bce 16 128 annealed": _movielens_bce(
        128, 16, dropout=0.3, anneals=True, epochs=200, patience=20
    ),
    "ml-1m gsasrec annealed": _movielens(
        arguments={"embedding_dim": 128, "num_negatives": 256, "dropout": 0.3},
        loss="gbce",
        anneals=True,
        epochs=200,
        patience=20,
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
    "ml-1m sasrec ce 128 annealed": _movielens(
        arguments={"embedding_dim": 128, "num_negatives": None, "dropout": 0.3},
        anneals=True,
        epochs=150,
    ),
    "ml-1m gsasrec": _movielens(
        arguments={"embedding_dim": 128, "num_negatives": 256}, loss="gbce"
    ),
    "beauty sasrec ce": _beauty(
        arguments={"embedding_dim": 64, "num_negatives": None, "dropout": 0.5},
    ),
    "beauty sasrec ce like lengths": _beauty(
        arguments={"embedding_dim": 64, "num_negatives": None, "dropout": 0.5},
        lengths=(5, 10, 20),
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
        patience=10,
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
    # Minutes on two cores, for whoever wants to repeat one.
    "s3rec-beauty sasrec ce small budget": _beauty(
        data_set="s3rec-beauty",
        arguments={"embedding_dim": 64, "num_negatives": None, "dropout": 0.5},
        learning_rate=3e-3,
        anneals=True,
        epochs=12,
        every=3,
    ),
    "diginetica gru4rec bpr-max": _gru4rec(
        _diginetica,
        256,
        (0.5, 0.25),
        num_negatives=2048,
        loss="bpr_max",
        session={"num_steps": 4, "num_negatives": 2048, "alpha": 0.5},
        refit=False,
    ),
    "diginetica gru4rec ce": _gru4rec(
        _diginetica, 256, (0.5, 0.5), session={"num_steps": 4}
    ),
    "ml-1m gru4rec bpr-max": _gru4rec(
        _movielens,
        128,
        (0.2, 0.2),
        num_negatives=2048,
        slots=64,
        loss="bpr_max",
        session={"num_steps": 32, "num_negatives": 2048, "alpha": 0.5},
        epochs=400,
        selection="authors",
        every=2,
        patience=15,
    ),
    "ml-1m gru4rec ce": _gru4rec(
        _movielens,
        128,
        (0.2, 0.2),
        slots=64,
        session={"num_steps": 32},
        epochs=400,
        selection="authors",
        every=2,
        patience=15,
    ),
    "s3rec-beauty gru4rec ce": _gru4rec(
        _beauty, 64, (0.5, 0.5), data_set="s3rec-beauty", session={"num_steps": 4}
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
