"""The processes that train together, as `TF_CONFIG` describes them."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import re
import socket
import time
from collections.abc import Mapping
from typing import Any

_logger = logging.getLogger(__name__)
_ADDRESS = re.compile(r"(.+):(\d{1,5})")
TASKS = ("chief", "worker", "ps", "evaluator")
_PAUSE = 1.0  # seconds


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Who takes part, and which of them this process is.

    Attributes:
        addresses: dict of kind of task to the `host:port` of each.
        task: string. Kind of this process: `"chief"`, `"worker"`, `"ps"` or
            `"evaluator"`.
        index: int. Its number among those of its kind.
    """

    addresses: Mapping[str, tuple[str, ...]]
    task: str
    index: int

    @classmethod
    def from_environment(cls, timeout_seconds: float = 300.0) -> Cluster:
        """Reads `TF_CONFIG`, as launchers set it, and looks up the names of its hosts.

        Args:
            timeout_seconds: float. How long to wait for names that are not known yet,
                as in Kubernetes that of a process that has not started. Defaults to
                `300.0`.

        Raises:
            ValueError: if it is missing, is no JSON, lacks what is needed, or names an
                address that is none, a task that is not in it, or a host that stays
                unknown.
        """
        text = os.environ.get("TF_CONFIG", "")
        if not text.strip():
            raise ValueError(
                "The environment variable TF_CONFIG must describe the cluster, such as "
                '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": '
                '{"type": "worker", "index": 0}}. It is not set.'
            )
        try:
            config = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(
                f"TF_CONFIG must be JSON. {error}. Received: {text[:200]!r}"
            ) from None
        cluster = cls._of(config)
        cluster._await_hosts(timeout_seconds)
        return cluster

    @property
    def address(self) -> str:
        """Of this process."""
        return self.addresses[self.task][self.index]

    @classmethod
    def _of(cls, config: Any) -> Cluster:
        def wrong(what: str, value: Any) -> ValueError:
            return ValueError(f"TF_CONFIG: {what}. Received: {value!r}")

        if not isinstance(config, dict) or not isinstance(config.get("cluster"), dict):
            raise wrong('it must be an object with "cluster" and "task"', config)
        addresses = {}
        for kind, hosts in config["cluster"].items():
            if kind not in TASKS:
                raise wrong(f'"cluster" may have {list(TASKS)}', kind)
            if not isinstance(hosts, list) or not hosts:
                raise wrong(f'"{kind}" must be a list of "host:port"', hosts)
            for host in hosts:
                match = isinstance(host, str) and _ADDRESS.fullmatch(host)
                if not match or not 0 < int(match[2]) < 65536:
                    raise wrong(f'"{kind}" must be a list of "host:port"', host)
            addresses[kind] = tuple(hosts)
        everyone = [host for hosts in addresses.values() for host in hosts]
        twice = sorted({host for host in everyone if everyone.count(host) > 1})
        if twice:
            raise wrong("each process needs an address of its own", twice)
        task = config.get("task")
        if not isinstance(task, dict):
            raise wrong('"task" must be {"type": …, "index": …}', task)
        kind, index = task.get("type"), task.get("index", 0)
        if not isinstance(kind, str) or kind not in addresses:
            raise wrong(f'"task" must be of a type in {sorted(addresses)}', kind)
        if not isinstance(index, int) or not 0 <= index < len(addresses[kind]):
            raise wrong(
                f'"index" of "task" must be 0 … {len(addresses[kind]) - 1}', index
            )
        return cls(addresses, kind, index)

    def _await_hosts(self, timeout_seconds: float) -> None:
        unknown = {
            address: f"{kind} {number}"
            for kind, addresses in self.addresses.items()
            for number, address in enumerate(addresses)
        }
        deadline = time.monotonic() + timeout_seconds
        told = time.monotonic() + 10
        while True:
            errors = {address: _lookup_error(address) for address in unknown}
            unknown = {a: name for a, name in unknown.items() if errors[a]}
            if not unknown:
                return
            if time.monotonic() >= deadline:
                (address, name), *_ = unknown.items()
                raise ValueError(
                    f"TF_CONFIG: the host '{_host(address)}' of {name} is unknown "
                    f"({errors[address]}). Mend the name, or start that process first."
                )
            if time.monotonic() > told:
                told = time.monotonic() + 30
                hosts = [f"{_host(a)} of {name}" for a, name in unknown.items()]
                _logger.warning("Waiting for the names %s.", ", ".join(hosts))
            time.sleep(_PAUSE)


def _host(address: str) -> str:
    return address.rpartition(":")[0]


def _lookup_error(address: str) -> OSError | None:
    host, _, port = address.rpartition(":")
    try:
        socket.getaddrinfo(host, int(port))
    except OSError as error:
        return error
    return None
