"""A name of a variable that another process gives it too."""

import re


def stable_path(variable) -> str:
    """The path of a Keras variable without the numbers by which Keras counts names."""
    return re.sub(r"_\d+(?=/|$)", "", variable.path)
