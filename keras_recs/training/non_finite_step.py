"""The error of a step that would have spoilt the model."""


class NonFiniteStep(ValueError):
    """A step whose gradients hold NaN or infinity; nothing of it was applied."""
