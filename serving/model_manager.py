"""Which versions are loaded: watching folders, loading, swapping, unloading."""

import contextlib
import dataclasses
import os
import pathlib
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from absl import logging
from grpc import StatusCode

from serving.errors import ServingError
from serving.model_config import ModelConfig
from serving.servable import Servable

Loader = Callable[[str, int, pathlib.Path], Servable]

_MAX_VERSION = 2**63 - 1
# Unloaded versions stay in the status; a server that runs for months must not grow.
_MAX_ENDED_VERSIONS = 100


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """State of one version, as `GetModelStatus` reports it.

    Args:
        version: int.
        state: str. `START`, `LOADING`, `AVAILABLE`, `UNLOADING` or `END`.
        error: optional `ServingError`, why the load failed.
    """

    version: int
    state: str
    error: ServingError | None = None


class _Failure:
    """Failed loads of one version, and when to try again."""

    def __init__(self) -> None:
        self.count = 0
        self.retry_at = 0.0


class _Model:
    """One configured model and its versions; guarded by the manager's lock."""

    def __init__(self, config: ModelConfig):
        self.config = config
        self.loaded: dict[int, Servable] = {}
        self.statuses: dict[int, VersionStatus] = {}
        self.failures: dict[int, _Failure] = {}
        self.warned = ""

    def warn_once(self, message: str) -> None:
        """Logs `message` unless it was the last one: a poll repeats every second."""
        if message != self.warned:
            logging.warning("%s", message)
        self.warned = message


class ModelManager:
    """Loaded versions of all models, kept equal to what lies on disk.

    A new version is loaded and warmed up beside the old one; requests move over when
    it is ready, and the old one closes when its last request has finished. A version
    that fails to load never replaces one that works.

    Args:
        loader: callable of name, version and folder that returns a `Servable`; it
            raises when the version must not be served.
        max_load_retries: int. Further attempts after a failed load. Defaults to 5.
        retry_interval: float. Seconds between them. Defaults to 60.
    """

    def __init__(
        self,
        loader: Loader,
        max_load_retries: int = 5,
        retry_interval: float = 60.0,
    ):
        self._loader = loader
        self._max_load_retries = max_load_retries
        self._retry_interval = retry_interval
        self._models: dict[str, _Model] = {}
        self._leases: dict[Servable, int] = {}
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._poll_lock = threading.Lock()
        self._stop = threading.Event()
        self._watcher: threading.Thread | None = None

    # === Requests ===

    @contextlib.contextmanager
    def lease(
        self, name: str, version: int | None = None, label: str | None = None
    ) -> Iterator[Servable]:
        """Lends a version for one request; it stays open until the request is over.

        Args:
            name: str. Model name.
            version: optional int. Defaults to the newest that is loaded.
            label: optional str. Label of a version, instead of `version`.

        Raises:
            ServingError: NOT_FOUND if it is not loaded, INVALID_ARGUMENT if the name
                is empty or the label unknown.
        """
        with self._lock:
            servable = self._find(name, version, label)
            self._leases[servable] = self._leases.get(servable, 0) + 1
        try:
            yield servable
        finally:
            with self._lock:
                self._leases[servable] -= 1
                if not self._leases[servable]:
                    del self._leases[servable]
                    self._idle.notify_all()

    def status(self, name: str, version: int | None = None) -> list[VersionStatus]:
        """Returns the states of a model's versions, newest first.

        Raises:
            ServingError: NOT_FOUND if nothing is known of the model or version.
        """
        with self._lock:
            model = self._models.get(name)
            statuses = dict(model.statuses) if model else {}
        if version is None:
            if not statuses:
                raise ServingError(
                    StatusCode.NOT_FOUND,
                    f"Could not find any versions of model {name}",
                )
            return [statuses[v] for v in sorted(statuses, reverse=True)]
        if version not in statuses:
            raise ServingError(
                StatusCode.NOT_FOUND,
                f"Could not find version {version} of model {name}",
            )
        return [statuses[version]]

    # === Configuration and watching ===

    def configure(self, configs: Iterable[ModelConfig]) -> None:
        """Replaces the whole configuration and loads what it asks for.

        Models that are not in `configs` are unloaded.

        Raises:
            ServingError: if a model has versions on disk but none could be loaded
                (UNKNOWN), or a label points at a version that is not loaded
                (FAILED_PRECONDITION).
        """
        configs = list(configs)
        with self._poll_lock:
            with self._lock:
                kept = {}
                for config in configs:
                    model = self._models.pop(config.name, None) or _Model(config)
                    if model.config.base_path != config.base_path:
                        # The same number means another model there.
                        self._models[config.name] = model
                        model = _Model(config)
                    model.config = config
                    model.failures.clear()
                    kept[config.name] = model
                dropped, self._models = self._models, kept
            for model in dropped.values():
                self._unload(model, list(model.loaded))
            self._poll()
        self._check_available(configs)

    def start_watching(self, interval: float) -> None:
        """Looks for new and removed versions every `interval` seconds."""

        def watch() -> None:
            while not self._stop.wait(interval):
                try:
                    with self._poll_lock:
                        self._poll()
                except Exception:
                    # Whatever happened to one poll, the next may succeed.
                    logging.exception("Polling the model folders failed.")

        self._watcher = threading.Thread(target=watch, name="watcher", daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """Stops watching and closes every version once its requests are over."""
        self._stop.set()
        if self._watcher:
            self._watcher.join()
        with self._poll_lock:
            for model in self._models.values():
                for thread in self._unload(model, list(model.loaded)):
                    thread.join()

    def _find(self, name: str, version: int | None, label: str | None) -> Servable:
        if not name:
            raise ServingError.invalid_argument("ModelSpec has no name specified.")
        model = self._models.get(name)
        if label is not None:
            labels = model.config.labels if model else {}
            if label not in labels:
                raise ServingError.invalid_argument(
                    f"Unrecognized servable version label: {label}"
                )
            version = labels[label]
        loaded = model.loaded if model else {}
        if version is None:
            if loaded:
                return loaded[max(loaded)]
            wanted = f"Latest({name})"
        else:
            if version in loaded:
                return loaded[version]
            wanted = f"Specific({name}, {version})"
        raise ServingError(
            StatusCode.NOT_FOUND, f"Servable not found for request: {wanted}"
        )

    def _check_available(self, configs: list[ModelConfig]) -> None:
        for config in configs:
            with self._lock:
                model = self._models[config.name]
                loaded = set(model.loaded)
                failed = [s for s in model.statuses.values() if s.error]
            if failed and not loaded:
                reasons = "; ".join(f"version {s.version}: {s.error}" for s in failed)
                raise ServingError(
                    StatusCode.UNKNOWN,
                    f"Model {config.name} did not become available: {reasons}",
                )
            for version in config.labels.values():
                if loaded and version not in loaded:
                    raise ServingError(
                        StatusCode.FAILED_PRECONDITION,
                        f"Request to assign label to version {version} of model "
                        f"{config.name}, which is not currently available for "
                        "inference",
                    )

    def _poll(self) -> None:
        for model in list(self._models.values()):
            try:
                folders = _version_folders(model.config.base_path)
            except OSError as error:
                # A file system that is away for a moment must not unload the model.
                model.warn_once(f"Could not list {model.config.base_path}: {error}")
                continue
            aspired = model.config.choose(folders)
            if aspired:
                model.warned = ""
            else:
                model.warn_once(
                    f"No versions of servable {model.config.name} found under base "
                    f"path {model.config.base_path}. Did you forget to name your leaf "
                    "directory as a number (eg. '/1/')?"
                )
            for version in set(model.failures) - set(aspired):
                del model.failures[version]
            for version in aspired:
                if version not in model.loaded:
                    self._load(model, version, folders[version])
            # While none of the wanted versions works, keep those that do.
            if not aspired or any(version in model.loaded for version in aspired):
                self._unload(model, [v for v in model.loaded if v not in aspired])

    def _load(self, model: _Model, version: int, folder: pathlib.Path) -> None:
        name = model.config.name
        failure = model.failures.setdefault(version, _Failure())
        if (
            failure.count > self._max_load_retries
            or time.monotonic() < failure.retry_at
        ):
            return
        self._set_status(model, VersionStatus(version, "LOADING"))
        logging.info("Loading servable: {name: %s version: %d}", name, version)
        started = time.monotonic()
        try:
            servable = self._loader(name, version, folder)
        except Exception as error:
            failure.count += 1
            failure.retry_at = time.monotonic() + self._retry_interval
            # The reason of a failed load is for the operator, so never hidden.
            cause = (
                ServingError.of(error)
                if isinstance(error, ServingError) or hasattr(error, "error_code")
                else ServingError(StatusCode.UNKNOWN, str(error) or repr(error))
            )
            self._set_status(model, VersionStatus(version, "END", cause))
            logging.error(
                "Loading servable: {name: %s version: %d} failed: %s",
                name,
                version,
                cause,
            )
            return
        with self._lock:
            model.failures.pop(version, None)
            model.loaded[version] = servable
            model.statuses[version] = VersionStatus(version, "AVAILABLE")
        logging.info(
            "Successfully loaded servable version {name: %s version: %d} in %.1f s",
            name,
            version,
            time.monotonic() - started,
        )

    def _unload(self, model: _Model, versions: list[int]) -> list[threading.Thread]:
        """Takes versions out of service; a thread each closes them when idle."""
        threads = []
        for version in versions:
            with self._lock:
                servable = model.loaded.pop(version)
                model.statuses[version] = VersionStatus(version, "UNLOADING")
            # A slow last request must not hold up the next version of any model.
            thread = threading.Thread(
                target=self._close_when_idle, args=(model, servable), daemon=True
            )
            thread.start()
            threads.append(thread)
        return threads

    def _close_when_idle(self, model: _Model, servable: Servable) -> None:
        with self._idle:
            self._idle.wait_for(lambda: servable not in self._leases)
        servable.close()
        with self._lock:
            # The number may be back in service by now.
            if servable.version not in model.loaded:
                self._end(model, servable.version)
        logging.info(
            "Unloaded servable version {name: %s version: %d}",
            servable.name,
            servable.version,
        )

    def _end(self, model: _Model, version: int) -> None:
        model.statuses[version] = VersionStatus(version, "END")
        ended = sorted(v for v, s in model.statuses.items() if s.state == "END")
        for old in ended[:-_MAX_ENDED_VERSIONS]:
            del model.statuses[old]

    def _set_status(self, model: _Model, status: VersionStatus) -> None:
        with self._lock:
            model.statuses[status.version] = status


def _version_folders(base_path: str) -> dict[int, pathlib.Path]:
    """Returns the numeric folders below `base_path` by their number."""
    folders = {}
    with os.scandir(base_path) as entries:
        for entry in entries:
            if re.fullmatch(r"[0-9]{1,19}", entry.name) and entry.is_dir():
                version = int(entry.name)
                if version <= _MAX_VERSION:
                    folders[version] = pathlib.Path(entry.path)
    return folders
