"""The configuration of a training run: a Python file, overridden by `--set`."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import importlib.util
import json
from pathlib import Path
from typing import Any

_DICTS = (
    "model_arguments",
    "embedding_options",
    "optimizer_groups",
    "down_sampling",
    "task_weighting",
    "masking",
    "session",
    "attributes",
    "loss",
    "space",
)
_POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """What `pipelines.train` needs to know.

    Args:
        data: folder that `pipelines.prepare` wrote.
        model: name of a builder in `keras_recs.models`.
        model_arguments: further arguments of the builder.
        embedding_options: arguments of `keras_recs.models.EmbeddingOptions`.
        optimizer: name of an optimizer of Keras or of `keras_recs.optimizers`, such as
            `"adam"` or `"rowwise_adagrad"`, whose step does not grow with the tables.
        learning_rate: float.
        optimizer_groups: layer name to the optimizer of its weights, where that is
            another: `{"wide": {"optimizer": "sparse_ftrl", "learning_rate": 0.05,
            "l1": 0.001}}` trains Wide & Deep as in its paper.
        down_sampling: arguments of `keras_recs.data.DownSampleNegatives`, such as
            `{"rate": 0.1}` for a tenth of the training part's negative examples. They
            weigh as much as all did (`weigh=True`), so that evaluation and export have
            nothing to correct.
        labels: labels that are trained, such as one alone; all by default.
        task_weighting: of several labels: the name of a weighting of
            `keras_recs.training` and its arguments, such as `{"name": "grad_norm",
            "shared_layer": "experts"}`; `given_weights`, `uncertainty_weights`,
            `dynamic_weight_average`, `grad_norm` or `pc_grad`.
        task_cosines: bool. Log the cosine of each two labels' gradients after each
            epoch, as `pipelines.evaluate` draws it.
        masking: of a model of masked places, such as `bert4rec`: arguments of
            `keras_recs.data.sequence_dataset`, such as `{"mask_rate": 0.2,
            "max_masked": 40}`.
        session: of `gru4rec` on sessions side by side, whose slots are `batch_size`:
            arguments of `keras_recs.data.session_batches`, such as `{"num_steps": 4}`,
            and with draws `num_negatives` and `alpha`, the power of an item's count
            that its chance goes with. Training reads whole histories, however long.
        unseen_negatives: bool. Of a model of sequences with `num_negatives`: draw them
            among the items that are not in the user's training history, in the place
            of any.
        exclude_seen: bool. Of a model of sequences: whether items of a history are no
            candidates when epochs are compared, in `pipelines.evaluate` and in an
            export, unless their flag says otherwise. `False` where users come back to
            items, as in sessions.
        attributes: of a model that reads attributes of items, such as `s3rec` before
            the fine-tuning: where they are, as `keras_recs.data.item_attributes` takes
            it: `{"files": "items.csv", "columns": ["brand", "category"]}`; with
            `item_column` where that is not named as the feature.
        start_from: run directory of another training on the same data, such as a
            pre-training: layers begin with the weights of their namesakes there.
        loss: of a model of sequences with negatives: the name of a loss of
            `keras_recs.losses` and its arguments, such as `{"name":
            "GeneralizedBinaryCrossentropy", "calibration": 0.75}`; `num_items` is
            filled in. By default `CandidateBinaryCrossentropy`.
        batch_size: int. Examples a step, over all replicas.
        epochs: int. At most.
        monitor: metric that chooses the epoch; `None` is what
            `keras_recs.training.fit` takes for the first label.
        patience: int. Epochs without a better one before training stops.
        dtype_policy: `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`, which ends
            at 65,504 and asks for a `transform` of each number.
        steps_per_execution: int. Steps between two returns to Python.
        seed: int. Of the weights and of the order of the data.
        space: ranges that `pipelines.tune` searches in the place of the default ones
            and of what `model_arguments` holds, by argument; see
            `keras_recs.tuning.search_space`.
    """

    data: str
    model: str = "deepfm"
    model_arguments: dict[str, Any] = dataclasses.field(default_factory=dict)
    embedding_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    optimizer_groups: dict[str, Any] = dataclasses.field(default_factory=dict)
    down_sampling: dict[str, Any] = dataclasses.field(default_factory=dict)
    labels: list[str] = dataclasses.field(default_factory=list)
    task_weighting: dict[str, Any] = dataclasses.field(default_factory=dict)
    task_cosines: bool = False
    masking: dict[str, Any] = dataclasses.field(default_factory=dict)
    session: dict[str, Any] = dataclasses.field(default_factory=dict)
    unseen_negatives: bool = False
    exclude_seen: bool = True
    attributes: dict[str, Any] = dataclasses.field(default_factory=dict)
    start_from: str | None = None
    loss: dict[str, Any] = dataclasses.field(default_factory=dict)
    batch_size: int = 1024
    epochs: int = 10
    monitor: str | None = None
    patience: int = 2
    dtype_policy: str = "float32"
    steps_per_execution: int = 1
    seed: int = 0
    space: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("batch_size", "epochs", "steps_per_execution"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"Config: `{name}` must be a positive integer. Received: "
                    f"{name}={value!r}"
                )
        rules = {
            "learning_rate": (
                isinstance(self.learning_rate, (int, float)) and self.learning_rate > 0,
                "a positive number",
            ),
            "patience": (
                isinstance(self.patience, int) and self.patience >= 0,
                "an integer of at least 0",
            ),
            "seed": (isinstance(self.seed, int), "an integer"),
            "start_from": (
                self.start_from is None or isinstance(self.start_from, str),
                "a run directory or None",
            ),
            "labels": (
                isinstance(self.labels, list)
                and all(isinstance(name, str) for name in self.labels),
                "a list of names",
            ),
            "dtype_policy": (self.dtype_policy in _POLICIES, f"one of {_POLICIES}"),
        }
        for name in ("task_cosines", "unseen_negatives", "exclude_seen"):
            rules[name] = (isinstance(getattr(self, name), bool), "True or False")
        for name in _DICTS:
            rules[name] = (isinstance(getattr(self, name), dict), "a dict")
        for name, (holds, rule) in rules.items():
            if not holds:
                raise ValueError(
                    f"Config: `{name}` must be {rule}. Received: "
                    f"{name}={getattr(self, name)!r}"
                )

    def replaced(self, settings: list[str]) -> Config:
        """The configuration with `key=value` settings applied.

        Values are Python literals; what is none is text. `model_arguments.key=value`
        reaches the builder, `embedding_options.key=value` its tables,
        `optimizer_groups.layer=value` its optimizers, `down_sampling.rate=value` the
        data, and `space.key=value` what is searched.

        Raises:
            ValueError: for an unknown key or a setting without `=`.
        """
        config = self
        for setting in settings:
            key, separator, text = setting.partition("=")
            if not separator:
                raise ValueError(
                    f"`--set` takes key=value. Received: --set {setting!r}"
                )
            try:
                value = ast.literal_eval(text)
            except (ValueError, SyntaxError):
                value = text
            parent, _, child = key.partition(".")
            known = [field.name for field in dataclasses.fields(self)]
            if parent not in known or (child and parent not in _DICTS):
                near = difflib.get_close_matches(key, known, 1)
                hint = f" Did you mean '{near[0]}'?" if near else ""
                raise ValueError(
                    f"`--set` received the unknown key '{key}'; known are {known}."
                    f"{hint}"
                )
            if child:
                value = {**getattr(config, parent), child: value}
            config = dataclasses.replace(config, **{parent: value})
        return config

    def to_json(self) -> str:
        """The resolved configuration.

        Raises:
            ValueError: for a value that JSON does not have.
        """
        try:
            return json.dumps(dataclasses.asdict(self), indent=2) + "\n"
        except TypeError as error:
            raise ValueError(
                f"Config: {' and '.join(f'`{name}`' for name in _DICTS)} must hold "
                f"numbers, text and lists of them, so that the run can be repeated "
                f"({error}). Received: model_arguments={self.model_arguments}, "
                f"embedding_options={self.embedding_options}, space={self.space}"
            ) from error

    def save(self, path: Path) -> None:
        """Writes the resolved configuration as JSON."""
        path.write_text(self.to_json(), encoding="utf-8")


def load_config(path: str) -> Config:
    """Runs the Python file of a configuration and returns its `get_config()`.

    The `config.json` of a run is one too.

    Raises:
        ValueError: if the file is not there, has no `get_config` or unknown keys.
    """
    file = Path(path)
    if file.is_file() and file.suffix == ".json":
        try:
            return Config(**json.loads(file.read_text(encoding="utf-8")))
        except TypeError as error:
            raise ValueError(
                f"'{path}' must hold the arguments of Config, as the config.json of a "
                f"run does ({error})."
            ) from error
    if not file.is_file() or file.suffix != ".py":
        raise ValueError(
            "`--config` must be a Python file such as "
            f"pipelines/configs/synthetic_deepfm.py. Received: --config={path}"
        )
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    config = getattr(module, "get_config", lambda: None)()
    if not isinstance(config, Config):
        raise ValueError(
            f"'{path}' must define get_config() that returns pipelines.config.Config."
        )
    return config
