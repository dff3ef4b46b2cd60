"""Metrics by epoch, as a file."""

import csv
import os

import keras


class HistoryFile(keras.callbacks.Callback):
    """Writes all epochs to a CSV file; goes on with an earlier one on resume."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_epoch_end(self, epoch, logs=None):
        """Adds the epoch to the file."""
        rows = []
        if epoch and self.path.exists():
            with open(self.path, newline="", encoding="utf-8") as file:
                rows = [r for r in csv.DictReader(file) if int(r["epoch"]) < epoch]
        rows.append({"epoch": epoch, **{k: float(v) for k, v in logs.items()}})
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            names = list(dict.fromkeys(name for row in rows for name in row))
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)
        os.replace(temporary, self.path)
