"""The inputs of cross layers."""


def checked_pair(input_shape, layer):
    """The number of features of a pair of inputs `(B, N)`.

    Raises:
        ValueError: for inputs that are not a pair of one shape.
    """
    shapes = [tuple(shape) for shape in input_shape if isinstance(shape, (tuple, list))]
    pair = len(shapes) == 2 and len(input_shape) == 2
    if not pair or shapes[0] != shapes[1] or shapes[0][-1] is None:
        raise ValueError(
            f"The inputs of {layer} must be the pair [x0, x] of one shape (batch, "
            f"features). Received: shape={input_shape}"
        )
    return shapes[0][-1]
