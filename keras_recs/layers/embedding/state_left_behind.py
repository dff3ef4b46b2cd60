"""What an optimizer does to a variable in which rows come and go."""


def state_left_behind(optimizer, variable):
    """Names of what an optimizer keeps or changes only for the rows in memory.

    What is attached to the variable's pager travels with the rows. All else stays in
    its place when a row leaves, and is taken for that of the row that comes.

    Args:
        optimizer: Keras optimizer that was built with the variable.
        variable: Keras variable of a `TwoLevelTable`, which has a `pager`.

    Returns:
        List of strings, empty for an optimizer that can train the table.
    """
    start = f"{variable.pager.prefix}_"
    travels = {id(slot) for slot in variable.pager.attached.values()}
    kept = [
        slot.name.removeprefix(start)
        for slot in optimizer.variables
        if slot.name.startswith(start) and id(slot) not in travels
    ]
    return kept + ["weight_decay"] * _decays(optimizer, variable)


def _decays(optimizer, variable):
    """Whether an optimizer shrinks a variable as a whole at each step."""
    inner = getattr(optimizer, "inner_optimizer", None)
    parts = [inner] if inner is not None else getattr(optimizer, "parts", [])
    if parts:
        return any(_decays(part, variable) for part in parts)
    return (
        getattr(optimizer, "weight_decay", None) is not None
        and any(mine is variable for mine in optimizer._trainable_variables)
        and optimizer._use_weight_decay(variable)
    )
