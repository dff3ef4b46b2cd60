"""One optimizer a group of layers."""

import keras

from keras_recs.register import register


@register
class CompositeOptimizer(keras.optimizers.Optimizer):
    """Trains each group of layers with an optimizer of its own.

    Args:
        default: Keras optimizer of all variables that no group takes.
        groups: dict of layer name, or path such as `"wide/weight_of_value"`, to the
            optimizer of the variables below it.
        **kwargs: `name` and `loss_scale_factor`; all else is set on the optimizers.

    Attributes:
        learning_rate: that of `default`, which callbacks read and set; the others are
            at `groups[name].learning_rate`.

    Raises:
        TypeError: for what is not an optimizer, and `groups` that are no dict.
        ValueError: for one optimizer in two places, and when built: for a group that
            no variable belongs to, and a variable of two groups.

    Example:
    >>> optimizer = keras_recs.optimizers.CompositeOptimizer(
    ...     default=keras_recs.optimizers.RowwiseAdagrad(0.01),
    ...     groups={"wide": keras_recs.optimizers.SparseFTRL(0.05, l1=0.001)},
    ... )
    >>> optimizer.groups["wide"].l1
    0.001
    """

    _ready = False  # while Keras's own constructor runs

    def __init__(self, default, groups, **kwargs):
        unknown = set(kwargs) - {"name", "loss_scale_factor"}
        if unknown:
            raise ValueError(
                "CompositeOptimizer takes only `name` and `loss_scale_factor` beside "
                "`default` and `groups`; set the rest on the optimizers themselves. "
                f"Received: {sorted(unknown)}"
            )
        if not isinstance(groups, dict):
            raise TypeError(
                "CompositeOptimizer takes the optimizer `default`, then `groups`, a "
                f"dict of layer name to optimizer. Received: groups={groups!r}"
            )
        super().__init__(learning_rate=0.0, **kwargs)
        self.default = _optimizer(default, "default")
        self.groups = {k: _optimizer(v, f"groups['{k}']") for k, v in groups.items()}
        if len({id(part) for part in self.parts}) < len(self.parts):
            raise ValueError(
                "Each group needs an optimizer object of its own. Received: "
                f"groups={groups}"
            )
        self._ready = True

    @property
    def parts(self):
        """The optimizers, the default last."""
        return [*self.groups.values(), self.default]

    def build(self, variables):
        """Builds each optimizer with the variables of its group."""
        if self.built:
            return
        super().build(variables)
        names = [*self.groups, None]
        self._part_of = [names.index(self._group_of(v)) for v in variables]
        for number, part in enumerate(self.parts):
            mine = [v for v, p in zip(variables, self._part_of) if p == number]
            if not mine and names[number] is not None:
                known = sorted({v.path.split("/")[0] for v in variables})
                raise ValueError(
                    f"Group '{names[number]}' has no trainable variable. Layers that "
                    f"have: {known}"
                )
            if mine:
                part.build(mine)

    def apply(self, grads, trainable_variables=None):
        """Hands each gradient to the optimizer of its variable."""
        if trainable_variables is None:
            trainable_variables = self._trainable_variables
        trainable_variables = list(trainable_variables)
        if not self.built:
            self.build(trainable_variables)
            self.built = True
        pairs = [[] for _ in self.parts]
        self._check_variables_are_known(trainable_variables)
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            number = self._part_of[self._get_variable_index(variable)]
            pairs[number].append((gradient, variable))
        if all(gradient is None for gradient in grads):
            raise ValueError(
                "No gradient was given for any variable. Received: "
                f"{[variable.path for variable in trainable_variables]}"
            )
        for part, mine in zip(self.parts, pairs):
            # A group that the loss does not reach rests, as a variable would.
            if any(gradient is not None for gradient, _ in mine):
                part.loss_scale_factor = self.loss_scale_factor
                part.apply(*map(list, zip(*mine)))
        self._iterations.assign_add(1)

    def part_of(self, variable):
        """The optimizer that trains a variable; known once built."""
        return self.parts[self._part_of[self._get_variable_index(variable)]]

    def reset_rows(self, variable, rows):
        """As `SparseOptimizer.reset_rows`, in the optimizer of the variable."""
        part = self.part_of(variable)
        if not hasattr(part, "reset_rows"):
            raise ValueError(
                f"The optimizer of '{variable.path}' cannot reset rows. Received: "
                f"{type(part).__name__}; use one of keras_recs.optimizers"
            )
        part.reset_rows(variable, rows)

    def finalize_variable_values(self, var_list):
        """Lets each optimizer finish its variables."""
        for number, part in enumerate(self.parts):
            mine = [
                v
                for v in var_list
                if self._part_of[self._get_variable_index(v)] == number
            ]
            if mine:
                part.finalize_variable_values(mine)

    @property
    def variables(self):
        """Own step count, then the variables of the optimizers."""
        own = list(self._variables)
        if not self._ready:
            return own
        return own + [v for part in self.parts for v in part.variables]

    @property
    def learning_rate(self):
        """Learning rate of the default optimizer."""
        return self.default.learning_rate if self._ready else self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        """Sets that of the default optimizer."""
        self.default.learning_rate = value

    def get_config(self):
        """Constructor arguments."""
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "loss_scale_factor": self.loss_scale_factor,
            "default": serialize(self.default),
            "groups": {name: serialize(part) for name, part in self.groups.items()},
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Makes the optimizers first."""

        def make(part):
            return keras.saving.deserialize_keras_object(part, custom_objects)

        config = dict(config)
        config["default"] = make(config["default"])
        config["groups"] = {name: make(p) for name, p in config["groups"].items()}
        return cls(**config)

    def _group_of(self, variable):
        parts = variable.path.split("/")
        found = [name for name in self.groups if _holds(name.split("/"), parts)]
        if len(found) > 1:
            raise ValueError(
                f"Variable '{variable.path}' belongs to several groups. Received: "
                f"{found}"
            )
        return found[0] if found else None


def _holds(name, path):
    """Whether the components of a layer's path occur in those of a variable's."""
    length = len(name)
    return any(
        path[start : start + length] == name
        for start in range(len(path) - length)  # the last component is the variable
    )


def _optimizer(value, where):
    optimizer = keras.optimizers.get(value)
    if isinstance(optimizer, (CompositeOptimizer, keras.optimizers.LossScaleOptimizer)):
        raise TypeError(
            f"`{where}` must be a plain optimizer: wrap the composite in a "
            f"LossScaleOptimizer, not its parts. Received: {type(optimizer).__name__}"
        )
    return optimizer
