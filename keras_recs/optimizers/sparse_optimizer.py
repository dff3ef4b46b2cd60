"""What the optimizers of embedding tables have in common."""

import keras
from keras import ops

from keras_recs.copies_of import copies_of
from keras_recs.optimizers.sum_duplicates import is_sparse, sum_duplicates

# A table of less than so many numbers a looked-up row is updated whole, where that is
# the same: one pass over it takes less time than finding its rows in the batch.
NUMBERS_A_ROW = 32


class SparseOptimizer(keras.optimizers.Optimizer):
    """Updates the rows of a table that a batch looked up, and no other.

    The gradients of a row that was looked up several times are summed first. A variable
    is a table where its layer says so (`variable.is_table`, as `FeatureEmbedding`
    does) or where its gradient comes as `tf.IndexedSlices`; all others take the
    ordinary path, with the same formula. On the JAX and torch backends gradients are
    dense, and the rows with a gradient other than zero are those that are updated.

    A subclass gives `slots` and `new_values`, and says with `moves_without_gradient`
    whether its formula changes a row whose gradient is zero.

    Args:
        learning_rate: float, or a Keras schedule.
        **kwargs: of `keras.optimizers.Optimizer`: `clipnorm`, `global_clipnorm`,
            `clipvalue`, `loss_scale_factor`, `name` and others.

    Raises:
        ValueError: when a model with tables is built for an option that would touch
            the whole table at every step: `weight_decay` (unless the table is
            excluded), `use_ema`, `gradient_accumulation_steps`.
    """

    moves_without_gradient = False

    def build(self, variables):
        """Creates the slots, each beside its variable."""
        if self.built:
            return
        super().build(variables)
        self._is_table = [getattr(v, "is_table", False) for v in variables]
        self._check_options(variables)
        self._slots = []
        for variable, is_table in zip(variables, self._is_table):
            self._slots.append(
                [
                    self._add_slot(variable, name, value, by_row)
                    for name, (value, by_row) in self.slots(is_table).items()
                ]
            )

    def slots(self, is_table):
        """What is kept beside a variable.

        Args:
            is_table: bool.

        Returns:
            dict of slot name to a pair of the initial value and whether the slot holds
            one number a row, `(rows,)`; else, and where a row is one number, it has the
            variable's shape.
        """
        raise NotImplementedError

    def new_values(self, value, gradient, slots, learning_rate):
        """The formula.

        Args:
            value: float32 tensor, a variable or some of its rows.
            gradient: of the shape of `value`.
            slots: list in the order of `slots`, for the same rows.
            learning_rate: float32 scalar.

        Returns:
            The new value and the list of new slots.
        """
        raise NotImplementedError

    def update_at_once(self, gradient, variable, slots, learning_rate):
        """Updates a whole variable, if TensorFlow has an operation for it.

        Args:
            gradient: tensor.
            variable: float32 `tf.Variable`.
            slots: its Keras variables, in the order of `slots`.
            learning_rate: float32 scalar.

        Returns:
            bool. Whether it did; otherwise `new_values` does.
        """
        return False

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable."""
        index = self._get_variable_index(variable)
        slots = self._slots[index]
        learning_rate = ops.cast(learning_rate, "float32")
        if is_sparse(gradient):
            self._update_table(gradient, variable, slots, learning_rate)
            return
        if (
            keras.backend.backend() == "tensorflow"
            and not self._is_table[index]
            and variable.dtype == "float32"
            and self.update_at_once(gradient, variable, slots, learning_rate)
        ):
            return
        value = ops.cast(variable, "float32")
        gradient = ops.cast(gradient, "float32")
        before = [ops.convert_to_tensor(slot) for slot in slots]
        new_value, new_slots = self.new_values(value, gradient, before, learning_rate)
        if self._is_table[index] and self.moves_without_gradient:
            new_value, *new_slots = _where_touched(
                gradient, [new_value, *new_slots], [value, *before]
            )
        self.assign(variable, ops.cast(new_value, variable.dtype))
        for slot, new in zip(slots, new_slots):
            self.assign(slot, new)

    def reset_rows(self, variable, rows):
        """Gives rows of a table their initial slots, as if they had never been trained.

        Args:
            variable: a Keras variable that the optimizer was built with.
            rows: ints `(n,)`.
        """
        index = self._get_variable_index(variable)
        initial = self.slots(self._is_table[index]).values()
        for slot, (value, _) in zip(self._slots[index], initial):
            fresh = ops.full((len(rows), *slot.shape[1:]), value, dtype=slot.dtype)
            rows = ops.cast(rows, "int64")
            if keras.backend.backend() == "tensorflow":
                for copy in copies_of(slot):
                    _write_rows(copy, rows, fresh)
            else:
                indices = ops.reshape(rows, (-1, 1))
                slot.assign(ops.scatter_update(slot, indices, fresh))

    def _check_ranges(self, **ranges):
        """Raises a `ValueError` for an argument outside its range, named by it."""
        for argument, (low, high) in ranges.items():
            value = getattr(self, argument)
            if not low <= value < high:
                raise ValueError(
                    f"`{argument}` must be at least {low} and below {high}. Received: "
                    f"{argument}={value}"
                )

    def _update_table(self, gradient, variable, slots, learning_rate):
        """Updates a table by its rows, or a small one whole."""
        import tensorflow as tf

        size = variable.shape.num_elements()
        is_same = (
            not self.moves_without_gradient
            and variable.dtype == tf.float32
            and all(slot.shape == tuple(variable.shape) for slot in slots)
        )
        if not is_same:
            self._update_rows(gradient, variable, slots, learning_rate)
            return

        def update_whole():
            values = tf.cast(gradient.values, tf.float32)
            whole = tf.math.unsorted_segment_sum(
                values, gradient.indices, variable.shape[0]
            )
            if not self.update_at_once(whole, variable, slots, learning_rate):
                self._update_rows(gradient, variable, slots, learning_rate)
            return 0

        def update_rows():
            self._update_rows(gradient, variable, slots, learning_rate)
            return 0

        rows = gradient.indices.shape[0]
        if rows is None:
            rows = tf.size(gradient.indices, tf.int64)
            tf.cond(NUMBERS_A_ROW * rows >= size, update_whole, update_rows)
        elif NUMBERS_A_ROW * rows >= size:
            update_whole()
        else:
            update_rows()

    def _update_rows(self, gradient, variable, slots, learning_rate):
        import tensorflow as tf

        gradient = sum_duplicates(gradient)
        rows = gradient.indices  # (n,)
        values = tf.cast(_read_rows(variable, rows), tf.float32)  # (n, D)
        before = [_read_rows(slot.value, rows) for slot in slots]
        after, new_slots = self.new_values(
            values, gradient.values, before, learning_rate
        )
        if self.moves_without_gradient:  # as on the backends with dense gradients
            after, *new_slots = _where_touched(
                gradient.values, [after, *new_slots], [values, *before]
            )
        for slot, new in zip(slots, new_slots):
            _write_rows(slot.value, rows, new)
        if variable.dtype == tf.bfloat16:
            from keras_recs.optimizers.round_stochastically import round_stochastically

            index = self._get_variable_index(variable)
            step = tf.cast(self.iterations.value, tf.int32)
            after = round_stochastically(after, tf.stack([step, index]))
        _write_rows(variable, rows, after)

    def _clip_gradients(self, grads):
        # The norm of unsummed duplicates is not that of the gradient.
        if self.clipnorm or self.global_clipnorm or self.clipvalue:
            grads = [
                sum_duplicates(gradient) if is_sparse(gradient) else gradient
                for gradient in grads
            ]
        return super()._clip_gradients(grads)

    def _add_slot(self, variable, name, value, by_row):
        # A row of one number has the one that its variable's shape gives it.
        is_by_row = by_row and variable.shape[-1] > 1

        def add():
            return self.add_variable(
                shape=variable.shape[:1] if is_by_row else variable.shape,
                dtype="float32",  # that of a bfloat16 table, too
                # One operation: Keras's `Constant` takes the memory of the slot twice.
                initializer=lambda shape, dtype: ops.full(shape, value, dtype),
                name=f"{variable.path.replace('/', '_')}_{name}",
            )

        if keras.backend.backend() == "tensorflow":
            extended = self._distribution_strategy.extended
            with extended.colocate_vars_with(variable.value):
                slot = add()
        else:
            slot = add()
        pager = getattr(variable, "pager", None)
        if pager is not None:
            pager.attach(slot, value)
        return slot

    def _check_options(self, variables):
        tables = [v for v, is_table in zip(variables, self._is_table) if is_table]
        if not tables:
            return
        for option in ("use_ema", "gradient_accumulation_steps"):
            if getattr(self, option):
                raise ValueError(
                    f"`{option}` touches every row of a table at every step, which "
                    f"{type(self).__name__} exists to avoid. Train the tables without "
                    f"it. Received: {option}={getattr(self, option)} and the table "
                    f"'{tables[0].path}'"
                )
        if self.weight_decay is not None:
            decayed = [v.path for v in tables if self._use_weight_decay(v)]
            if decayed:
                raise ValueError(
                    "`weight_decay` touches every row of a table at every step. Call "
                    "`optimizer.exclude_from_weight_decay(var_list=…)` with the tables "
                    "before training, and regularize the rows of the batch with "
                    "`keras_recs.layers.BatchL2`. Received: "
                    f"weight_decay={self.weight_decay} and the tables {decayed}"
                )


def _where_touched(gradient, after, before):
    """The new values of the rows that have a gradient, the old ones of the others."""
    touched = ops.any(gradient != 0, axis=-1)  # (n,)
    wide = ops.expand_dims(touched, -1)
    return [
        ops.where(wide if len(new.shape) > 1 else touched, new, old)
        for new, old in zip(after, before)
    ]


def _read_rows(variable, rows):
    import tensorflow as tf

    # Through the handle: inside an update of a mirrored variable it is the replica's.
    return tf.raw_ops.ResourceGather(
        resource=variable.handle, indices=rows, dtype=variable.dtype
    )


def _write_rows(variable, rows, values):
    import tensorflow as tf

    # Reading the rows just before brought them into the cache; adding to rows that are
    # not there costs four times as much.
    tf.raw_ops.ResourceScatterUpdate(
        resource=variable.handle, indices=rows, updates=tf.cast(values, variable.dtype)
    )
