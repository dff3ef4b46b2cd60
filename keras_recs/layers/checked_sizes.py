"""Sizes of the layers of a stack."""

import operator


def checked_sizes(name, sizes):
    """The sizes as a tuple of ints.

    Args:
        name: string. Argument that holds them.
        sizes: positive integers, one at least.

    Raises:
        ValueError: for anything else.
    """
    try:
        checked = tuple(operator.index(size) for size in sizes)
    except TypeError:
        checked = ()
    if not checked or min(checked) < 1:
        raise ValueError(
            f"`{name}` must be one or more positive integers, such as (64, 32). "
            f"Received: {name}={sizes!r}"
        )
    return checked
