"""The counts of all chunks to vocabularies, statistics and a fitted schema."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_recs.preprocessing.fitting.build_vocabulary import (
    BuiltVocabulary,
    build_vocabulary,
)
from keras_recs.preprocessing.fitting.fit_step import ChunkCounts, FitStep
from keras_recs.preprocessing.fitting.numeric_summary import NumericSummary
from keras_recs.preprocessing.fitting.spilled_groups import Piece
from keras_recs.preprocessing.fitting.value_counter import CountedTable, counted_tables
from keras_recs.preprocessing.reading.process_pool import ProcessPool
from keras_recs.schema import (
    CrossedFeature,
    FittedVocabulary,
    NumericFeature,
    Schema,
)

_COUNT_BYTES = 64 << 20  # of the counts of a worker
_MERGE_BYTES = 32 << 20
VOCABULARIES = "vocabularies"
STATISTICS = "statistics.json"


class Fitter:
    """The parent's side of a fit.

    Args:
        schema: `Schema`.
        folder: `Path` for the workers' files.

    Attributes:
        step: `FitStep` for the workers.
        counts: `ChunkCounts` so far.
    """

    def __init__(self, schema: Schema, folder: Path):
        self.schema = schema
        self.folder = folder
        self.step = FitStep(schema, folder, _COUNT_BYTES)
        self.counts = ChunkCounts()

    def add(self, counts: ChunkCounts) -> None:
        """Takes the counts of the next chunk."""
        self.counts.merge(counts)

    def write(
        self,
        finals: Sequence[dict[str, list[Piece]]],
        folder: Path,
        directory: Path,
        pool: ProcessPool,
    ) -> Schema:
        """Writes vocabularies and statistics; returns the fitted schema.

        Args:
            finals: what `step.finish` gave in each worker.
            folder: where the files are written.
            directory: where they will be, for the schema.
            pool: `ProcessPool`; a vocabulary is built by one process.

        Raises:
            ValueError: if there was no training row.
        """
        if not self.counts.rows:
            raise ValueError(
                "There is no training row to fit the schema on. Are the files empty, "
                "or does the split leave nothing for training?"
            )
        tables = counted_tables(self.schema)
        (folder / VOCABULARIES).mkdir(parents=True, exist_ok=True)
        jobs = [
            (
                table,
                [piece for final in finals for piece in final[table.name]],
                folder / VOCABULARIES / f"{table.name}.txt",
            )
            for table in tables
        ]
        built = dict(
            zip(
                (table.name for table in tables),
                pool.run(_BuildTask(self.folder), jobs),
                strict=True,
            )
        )
        vocabularies = {
            name: FittedVocabulary(
                str(directory / VOCABULARIES / f"{name}.txt"), item.size, item.sha256
            )
            for name, item in built.items()
        }
        numerics = {
            feature.name: self.counts.numbers[feature.name].fitted()
            for feature in self.schema.features
            if isinstance(feature, NumericFeature)
        }
        write_json(folder / STATISTICS, self._statistics(built))
        return dataclasses.replace(
            self.schema, vocabularies=vocabularies, numerics=numerics
        )

    def _statistics(self, built: dict[str, BuiltVocabulary]) -> dict[str, Any]:
        counts = self.counts
        features: dict[str, Any] = {}
        for feature in self.schema.features:
            name = feature.name
            if isinstance(feature, CrossedFeature):
                continue
            if isinstance(feature, NumericFeature):
                features[name] = _number(counts.numbers[name])
                continue
            missing, values = counts.missing[name], counts.values[name]
            item: dict[str, Any] = {
                "count": counts.rows - missing,
                "missing": missing,
                "values": values,
                "table": feature.table_name,
            }
            vocabulary = built.get(feature.table_name)
            if vocabulary is not None:
                occurrences = vocabulary.occurrences[name]
                unknown = occurrences - vocabulary.known[name]
                item |= {
                    "distinct": vocabulary.distinct,
                    "kept": vocabulary.kept,
                    "dropped": vocabulary.distinct - vocabulary.kept,
                    "oov_share": unknown / occurrences if occurrences else 0.0,
                    "top": vocabulary.top[name],
                }
            elif name in counts.out_of_range:
                outside = counts.out_of_range[name]
                item |= {
                    "out_of_range": outside,
                    "oov_share": outside / values if values else 0.0,
                }
            features[name] = item
        labels = {
            name: _number(counts.numbers[name]) for name in self.schema.label_names
        }
        return {"rows": counts.rows, "features": features, "labels": labels}


class _BuildTask:
    """Builds the vocabulary of a table, in a worker."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __call__(self, job: tuple[CountedTable, list[Piece], Path]) -> BuiltVocabulary:
        table, pieces, path = job
        return build_vocabulary(table, pieces, path, self.folder, _MERGE_BYTES)


def _number(summary: NumericSummary) -> dict[str, Any]:
    item: dict[str, Any] = {"count": summary.count, "missing": summary.missing}
    if summary.count:
        fitted = summary.fitted()
        item |= {"min": fitted.minimum, "max": fitted.maximum, "mean": fitted.mean}
        item["std"] = summary.moments()[1]
        if summary.feature.transforms:
            item["transformed_mean"] = fitted.transformed_mean
            item["transformed_std"] = fitted.transformed_std
        if fitted.boundaries:
            item["boundaries"] = fitted.boundaries
            item["rank_error"] = summary.rank_error
    return item


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file and puts it on disk."""
    with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
        json.dump(value, file, indent=2, ensure_ascii=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
