"""Which models to serve, and which of their versions."""

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf import text_format

from serving.errors import ServingError


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """One model of the server's configuration.

    Args:
        name: str. Name in requests.
        base_path: str. Folder that holds the numeric version folders.
        num_latest: int. How many of the newest versions to serve; 0 for all.
            Defaults to 1.
        specific: frozenset of int. If not empty, serve exactly these versions.
        labels: dict of label to version number.
    """

    name: str
    base_path: str
    num_latest: int = 1
    specific: frozenset[int] = frozenset()
    labels: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def choose(self, versions: Iterable[int]) -> list[int]:
        """Returns those of `versions` that should be served, newest first."""
        newest_first = sorted(versions, reverse=True)
        if self.specific:
            return [v for v in newest_first if v in self.specific]
        return newest_first[: self.num_latest or None]


def read_model_config_file(path: str) -> list[ModelConfig]:
    """Reads a `ModelServerConfig` text proto, as `--model_config_file` takes it.

    Raises:
        ValueError: if the file does not parse or a model is not usable; the message
            names the file.
    """
    from tensorflow_serving.config import model_server_config_pb2

    try:
        proto = text_format.Parse(
            pathlib.Path(path).read_text(encoding="utf-8"),
            model_server_config_pb2.ModelServerConfig(),
        )
        return model_configs(proto)
    except (text_format.ParseError, ServingError) as error:
        raise ValueError(
            f"`model_config_file` must hold a ModelServerConfig text proto ({error}). "
            f"Received: model_config_file={path}. See serving/models.config."
        ) from error


def model_configs(proto: Any) -> list[ModelConfig]:
    """Returns the models of a `ModelServerConfig`.

    Raises:
        ServingError: for what TF Serving refuses too: a missing or repeated name, a
            relative base path, a platform other than TensorFlow.
    """
    if proto.WhichOneof("config") == "custom_model_config":
        raise ServingError.invalid_argument(
            "`custom_model_config` is not supported. Use `model_config_list`."
        )
    configs = [_model_config(model) for model in proto.model_config_list.config]
    names = [config.name for config in configs]
    for name in names:
        if names.count(name) > 1:
            raise ServingError.invalid_argument(
                f"Illegal to list model {name} multiple times in config list"
            )
    return configs


def _model_config(model: Any) -> ModelConfig:
    if not model.name:
        raise ServingError.invalid_argument("A model in the config has no `name`.")
    if not pathlib.PurePath(model.base_path).is_absolute():
        raise ServingError.invalid_argument(
            f"Expected model {model.name} to have an absolute path or URI; got "
            f"base_path()={model.base_path}"
        )
    if model.model_platform not in ("tensorflow", ""):
        raise ServingError.invalid_argument(
            f"`model_platform` of model {model.name} must be 'tensorflow'. "
            f"Received: model_platform={model.model_platform!r}"
        )
    policy = model.model_version_policy
    choice = policy.WhichOneof("policy_choice")
    num_latest, specific = 1, frozenset[int]()
    if choice == "all":
        num_latest = 0
    elif choice == "specific":
        specific = frozenset(policy.specific.versions)
        if not specific:
            raise ServingError.invalid_argument(
                f"The `specific` version policy of model {model.name} must list at "
                "least one version."
            )
    elif choice == "latest":
        num_latest = max(policy.latest.num_versions, 1)
    return ModelConfig(
        name=model.name,
        base_path=model.base_path,
        num_latest=num_latest,
        specific=specific,
        labels=dict(model.version_labels),
    )
