"""What each parameter server holds, and what is asked of it."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from pathlib import Path

from keras_recs.training.parameter_server.assign_servers import assign_servers

_SHOWN = 20  # variables in a summary


@dataclasses.dataclass(frozen=True)
class Load:
    """What a server holds and does.

    Attributes:
        num_bytes: int. Of weights and of the optimizer's slots.
        requests: float. Rows that a step asks for; a weight that is read as a whole
            counts as one.
        traffic_bytes: float. What a step reads, and the gradients that it sends.
    """

    num_bytes: int
    requests: float
    traffic_bytes: float


@dataclasses.dataclass(frozen=True)
class VariableLoad(Load):
    """What a variable adds to the load of its server.

    Attributes:
        name: string. Path of the Keras variable.
        shape: tuple of int.
        is_table: bool. Whether single rows of it are asked for.
        server: int.
    """

    name: str
    shape: tuple[int, ...]
    is_table: bool
    server: int = 0


@dataclasses.dataclass(frozen=True)
class ServerLoads:
    """Loads of all variables that are trained, as `server_report` measured them.

    Attributes:
        variables: tuple of `VariableLoad`.
        num_servers: int.
        num_batches: int. Batches that were measured.
    """

    variables: tuple[VariableLoad, ...]
    num_servers: int
    num_batches: int

    @property
    def servers(self) -> list[Load]:
        """The `Load` of each server."""
        return [
            _sum([v for v in self.variables if v.server == number])
            for number in range(self.num_servers)
        ]

    def planned(self, num_servers: int) -> ServerLoads:
        """The same variables, spread over servers by their bytes and their traffic.

        Args:
            num_servers: int.

        Raises:
            ValueError: for no servers.
        """
        _check_number(num_servers)
        numbers = assign_servers(
            [v.num_bytes for v in self.variables],
            [v.traffic_bytes for v in self.variables],
            num_servers,
        )
        moved = [
            dataclasses.replace(v, server=number)
            for v, number in zip(self.variables, numbers, strict=True)
        ]
        return ServerLoads(tuple(moved), num_servers, self.num_batches)

    def num_shards(self, num_servers: int | None = None) -> int:
        """The smallest `num_shards` with which no shard is too much for a server.

        A shard then has at most the share of one server, of all bytes and of all
        traffic. As row r lies in shard r mod N and a step asks for a row once, however
        many examples have it, hot rows do not gather in one shard.

        Args:
            num_servers: int. Defaults to `None`: those of this report.

        Returns:
            int, for `embedding_options={"num_shards": …}`: what the table needs that
            needs the most.

        Raises:
            ValueError: for no servers.
        """
        num_servers = self.num_servers if num_servers is None else num_servers
        _check_number(num_servers)
        tables: dict[str, list[VariableLoad]] = {}
        for variable in self.variables:
            if variable.is_table:
                table = variable.name.rpartition("/")[0]
                tables.setdefault(table, []).append(variable)
        whole = _sum(self.variables)
        most = 1
        for shards in tables.values():
            table_sum = _sum(shards)
            share = max(
                table_sum.num_bytes / (whole.num_bytes or 1),
                table_sum.traffic_bytes / (whole.traffic_bytes or 1),
            )
            most = max(most, math.ceil(share * num_servers - 1e-9))
        return most

    def save(self, path: str | os.PathLike) -> None:
        """Writes a JSON file, all of it or nothing.

        Args:
            path: of the file.
        """
        path = Path(path)
        text = json.dumps(dataclasses.asdict(self), indent=2)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        temporary.write_text(text + "\n", encoding="utf-8")
        os.replace(temporary, path)

    @classmethod
    def load(cls, path: str | os.PathLike) -> ServerLoads:
        """Reads what `save` wrote.

        Args:
            path: of the file.

        Raises:
            ValueError: for a file that is not there or is not such a report.
        """
        try:
            stored = json.loads(Path(path).read_text(encoding="utf-8"))
            variables = [
                VariableLoad(**{**entry, "shape": tuple(entry["shape"])})
                for entry in stored.pop("variables")
            ]
            return cls(variables=tuple(variables), **stored)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f"'{path}' is not what `ServerLoads.save` writes: {error!r}. Measure "
                "with `keras_recs.training.server_report`."
            ) from error

    def summary(self) -> str:
        """A table of the servers, and one of the variables with the most traffic."""
        servers = [
            (str(number), *_cells(load)) for number, load in enumerate(self.servers)
        ]
        largest = sorted(self.variables, key=lambda v: -v.traffic_bytes)
        variables = [(v.name, *_cells(v), str(v.server)) for v in largest[:_SHOWN]]
        head = ("MiB", "requests a step", "KiB a step")
        lines = [
            *_table([("server", *head), *servers]),
            "",
            *_table([("variable", *head, "server"), *variables]),
        ]
        if len(largest) > _SHOWN:
            lines.append(f"and {len(largest) - _SHOWN} with less traffic")
        return "\n".join(lines)

    def __str__(self):
        return self.summary()


def _sum(loads) -> Load:
    return Load(
        sum(load.num_bytes for load in loads),
        sum(load.requests for load in loads),
        sum(load.traffic_bytes for load in loads),
    )


def _check_number(num_servers: int) -> None:
    if not isinstance(num_servers, int) or num_servers < 1:
        raise ValueError(
            "`num_servers` must be a positive integer. Received: "
            f"num_servers={num_servers!r}"
        )


def _cells(load: Load) -> tuple[str, str, str]:
    return (
        f"{load.num_bytes / 2**20:.2f}",
        f"{load.requests:.1f}",
        f"{load.traffic_bytes / 2**10:.1f}",
    )


def _table(rows) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    ]
