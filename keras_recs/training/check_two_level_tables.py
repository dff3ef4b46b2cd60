"""Whether a run can train the tables that lie partly in files."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from keras_recs.layers.embedding.find_two_level_tables import find_two_level_tables
from keras_recs.layers.embedding.two_level_table import TwoLevelTable


def check_two_level_tables(
    model: keras.Model, callbacks: Sequence[keras.callbacks.Callback], resumes: bool
) -> list[TwoLevelTable]:
    """Finds out before training what would fail, or train wrong, in its course.

    Args:
        model: compiled `keras.Model`.
        callbacks: of the run.
        resumes: bool. Whether an interrupted run goes on, whose checkpoint takes the
            place of what is in the files.

    Returns:
        The `TwoLevelTable` layers of the model.

    Raises:
        ValueError: for an optimizer that keeps something which does not travel with the
            rows, a table that is too large for the checkpoints, a callback that
            restores weights in memory, and files that an earlier run left.
    """
    tables = find_two_level_tables(model)
    if not tables:
        return []
    optimizer = model.optimizer
    if not optimizer.built:  # which `model.fit` would do next
        optimizer.build(model.trainable_variables)
    for callback in callbacks:
        if getattr(callback, "restore_best_weights", False):
            raise ValueError(
                "`restore_best_weights` keeps weights in memory, but the table of "
                f"layer '{tables[0].name}' lies in files. Leave it out: with "
                "`validation` the best epoch is kept in any case. Received: "
                f"{type(callback).__name__}(restore_best_weights=True)"
            )
    for table in tables:
        table.check_size()
        if table.trainable:
            table.check_optimizer(optimizer)
        if not resumes and table.pager.is_left_over:
            raise ValueError(
                f"'{table.folder}' holds rows that were trained before, but the other "
                f"weights of model '{model.name}' are new. Remove the folder to begin "
                "anew; to go on, load the saved model or its weights before."
            )
    return tables
