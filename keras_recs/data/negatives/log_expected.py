"""How often an item is a candidate."""

import numpy as np


def log_expected(targets, sampler, num_negatives, first_row):
    """The log of how often each row is expected among targets and draws.

    Args:
        targets: float `(V,)`, of each row of the items' table how often it is expected
            among the targets that are negatives of others; 0 where there are none.
        sampler: sampler of negatives.
        num_negatives: int. Draws.
        first_row: int. First row that is an item.

    Returns:
        float32 `(V,)`. A row that is never expected, such as a target that is never
        drawn, has that of the rarest one that is: without limits it would count for
        all. Rows before `first_row` mean nothing.
    """
    expected = np.array(targets, "float64")
    drawn = sampler.log_probability(np.arange(sampler.num_items))
    expected[first_row:] += num_negatives * np.exp(drawn)
    least = expected[expected > 0].min()
    return np.log(np.maximum(expected, least)).astype("float32")
