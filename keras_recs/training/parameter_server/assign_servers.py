"""Variables are spread over servers by what they cost."""

from __future__ import annotations

from collections.abc import Sequence


def assign_servers(
    num_bytes: Sequence[float], traffic: Sequence[float], num_servers: int
) -> list[int]:
    """Gives each variable a server, so that none has much more than its share.

    The largest come first. Each goes where the larger of that server's shares, of all
    bytes and of all traffic, is then the smallest.

    Args:
        num_bytes: of each variable.
        traffic: of each variable, in any unit.
        num_servers: int.

    Returns:
        Number of the server of each variable.
    """
    costs = list(zip(_shares(num_bytes), _shares(traffic), strict=True))
    loads = [(0.0, 0.0)] * num_servers
    servers = [0] * len(costs)

    def after(server: int, cost: tuple[float, float]) -> tuple[float, float]:
        both = (loads[server][0] + cost[0], loads[server][1] + cost[1])
        return max(both), sum(both)

    for number in sorted(range(len(costs)), key=lambda i: (-max(costs[i]), i)):
        cost = costs[number]
        server = min(range(num_servers), key=lambda s: after(s, cost))
        loads[server] = (loads[server][0] + cost[0], loads[server][1] + cost[1])
        servers[number] = server
    return servers


def _shares(values: Sequence[float]) -> list[float]:
    total = sum(values) or 1.0
    return [value / total for value in values]
