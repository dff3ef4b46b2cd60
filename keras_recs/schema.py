"""The one description of the data: features, labels and what was fitted to them.

A `Schema` is plain frozen dataclasses and JSON (standard library only). The TFRecord
parse spec, the preprocessing layers, the Keras inputs and the serving signatures are
all derived from it, so training and serving cannot disagree.

A missing value has one encoding everywhere: the empty string, NaN, or `MISSING_ID` for
integer ids. Each feature says what stands in for it (`default`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any, Literal

MISSING_ID = -1
PADDING_ROW = 0
SCHEMA_FORMAT = 1

COMBINERS = ("mean", "sum", "sqrtn", "max")
Task = Literal["binary", "regression", "watch_time"]
TASKS = ("binary", "regression", "watch_time")


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _is_name(name: Any) -> bool:
    return (
        isinstance(name, str) and bool(name) and "/" not in name and name.isprintable()
    )


def _check_name(owner: str, name: Any) -> None:
    _check(
        _is_name(name),
        f"`name` of a {owner} must be a non-empty printable string without '/'. "
        f"Received: name={name!r}",
    )


def _check_count(feature: str, argument: str, value: Any, minimum: int) -> None:
    _check(
        isinstance(value, int) and not isinstance(value, bool) and value >= minimum,
        f"Feature '{feature}': `{argument}` must be an integer of at least {minimum}. "
        f"Received: {argument}={value!r}",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _IdFeature:
    """What every feature shares whose values are looked up in an embedding table."""

    name: str = dataclasses.field(kw_only=False)
    vocabulary_size: int | None = None
    hash_bins: int | None = None
    min_count: int = 1
    max_vocabulary_size: int | None = None
    max_keys: int | None = None
    admission_count: int = 1
    expire_after: int | None = None
    num_oov: int = 1
    default: str | int | None = None
    table: str | None = None

    def __post_init__(self) -> None:
        _check_name("feature", self.name)
        kinds = (self.vocabulary_size, self.hash_bins, self.max_keys)
        _check(
            sum(size is not None for size in kinds) <= 1,
            f"Feature '{self.name}': give `vocabulary_size` (integer ids as they are), "
            "or `hash_bins` (hashed values), or `max_keys` (keys learnt in training), "
            f"one of them at most. Received: vocabulary_size={self.vocabulary_size}, "
            f"hash_bins={self.hash_bins}, max_keys={self.max_keys}",
        )
        optional = "vocabulary_size hash_bins max_vocabulary_size max_keys expire_after"
        for name in optional.split():
            if getattr(self, name) is not None:
                _check_count(self.name, name, getattr(self, name), 1)
        for name in ("min_count", "admission_count", "num_oov"):
            _check_count(self.name, name, getattr(self, name), 1)
        if self.kind != "vocabulary":
            _check(
                self.min_count == 1 and self.max_vocabulary_size is None,
                f"Feature '{self.name}': `min_count` and `max_vocabulary_size` apply "
                "to a fitted vocabulary only; leave them out beside `vocabulary_size` "
                "or `hash_bins`; beside `max_keys` give `admission_count`.",
            )
        if self.kind != "dynamic":
            _check(
                self.admission_count == 1 and self.expire_after is None,
                f"Feature '{self.name}': `admission_count` and `expire_after` apply to "
                "keys that are learnt in training; give `max_keys` with them. "
                f"Received: admission_count={self.admission_count}, "
                f"expire_after={self.expire_after}, max_keys=None",
            )
        if self.default is not None:
            _check(
                isinstance(self.default, int if self.dtype == "int64" else str)
                and not isinstance(self.default, bool)
                and self.default != "",
                f"Feature '{self.name}': `default` must be "
                f"{'an integer id' if self.dtype == 'int64' else 'a non-empty string'}"
                f" or None (the out-of-vocabulary row). Received: default="
                f"{self.default!r}",
            )
        if self.kind == "identity" and self.default is not None:
            _check(
                0 <= int(self.default) < self.vocabulary_size,  # type: ignore[operator]
                f"Feature '{self.name}': `default` must be an id from 0 to "
                f"vocabulary_size - 1. Received: default={self.default}, "
                f"vocabulary_size={self.vocabulary_size}",
            )

    @property
    def kind(self) -> Literal["vocabulary", "hash", "identity", "dynamic"]:
        """How a raw value becomes a row of the table."""
        if self.vocabulary_size is not None:
            return "identity"
        if self.max_keys is not None:
            return "dynamic"
        return "vocabulary" if self.hash_bins is None else "hash"

    @property
    def dtype(self) -> Literal["string", "int64", "float32"]:
        """Type of the raw value in a TFRecord and in a serving request."""
        return "int64" if self.kind == "identity" else "string"

    @property
    def table_name(self) -> str:
        """The embedding table (and vocabulary) that the feature uses."""
        return self.table or self.name

    def _table_options(self) -> dict[str, Any]:
        names = (
            "vocabulary_size hash_bins min_count max_vocabulary_size max_keys "
            "admission_count expire_after num_oov"
        )
        return {name: getattr(self, name) for name in names.split()}


@dataclasses.dataclass(frozen=True, kw_only=True)
class CategoricalFeature(_IdFeature):
    """One categorical value an example.

    By default the values are strings and a vocabulary is fitted; integers are taken
    as their decimal strings. `vocabulary_size` takes integer ids as they are,
    `hash_bins` hashes, `max_keys` learns the values while the model trains; none of
    them needs fitting.

    With `max_keys` a value that training saw `admission_count` times gets a row of its
    own, which is part of the model and saved with it. Every occurrence counts, in each
    epoch anew, and in all features that share the table. A value without a row (not
    admitted yet, never, or evicted) has one of the out-of-vocabulary rows, by its hash:
    the same in training and in serving, hence the vector that its sightings trained.
    Serving admits nothing. Values are known by 63 bits of their hash: of n values any
    two share a row with probability n²/2⁶⁴, for a million 5e-8, for a billion 5%.

    Args:
        name: string. Name of the feature; the column of the raw data.
        vocabulary_size: int. Integer ids `0 … vocabulary_size - 1`, unfitted. An id
            outside goes to the out-of-vocabulary row.
        hash_bins: int. Number of hash buckets, unfitted.
        min_count: int. A value seen less often in the training split goes to the
            out-of-vocabulary rows. Defaults to `1`.
        max_vocabulary_size: int. Keep only the most frequent values. Defaults to
            `None` (all).
        max_keys: int. Number of values that can have a row at once, learnt in training,
            unfitted. `keras_recs.training.grow_table` raises it later.
        admission_count: int. Sightings after which a value gets its row, beside
            `max_keys`. Defaults to `1`.
        expire_after: int. Steps of training without a sighting after which a value
            loses its row, beside `max_keys`: `keras_recs.training.fit` sees to it, or
            `EvictStaleKeys`. Defaults to `None`: never.
        num_oov: int. Number of out-of-vocabulary rows. Defaults to `1`.
        default: Value that stands in for a missing one. Defaults to `None`: the first
            out-of-vocabulary row.
        table: string. Name of a feature or table whose vocabulary and embedding this
            feature shares. Defaults to `None`: its own.

    Raises:
        ValueError: for options that contradict each other; the feature is named.
    """


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiValuedFeature(_IdFeature):
    """A set of categorical values an example, pooled by a combiner.

    Args:
        name: string. Name of the feature.
        separator: string. Separates the values in a text column. Defaults to `"|"`.
        max_length: int. Values beyond it are dropped. Defaults to `None`: as many as
            the longest example of a batch.
        combiner: `"mean"`, `"sum"`, `"sqrtn"` or `"max"` over the values that are
            there. Defaults to `"mean"`. An empty set gives zeros.
        weights: string. Column with a list of floats, one a value, by which the values
            are weighed when they are pooled (not with `"max"`), in first-order terms
            too. It serves no other feature. A text column has the same separator. A
            list without any weight means that all values weigh 1. A value that is
            dropped (a missing one, or one beyond `max_length`) takes its weight along;
            the `default` of an empty set weighs 1. A negative weight is taken as it is.
            Another number of weights than of values is an error: a bad row when data
            are prepared, an error of the whole request in serving. A weight that is
            missing beside others, NaN or infinite makes a bad row too; in serving it
            counts as 0. Models in float16 take none with `"sum"`, which may exceed
            65,504. Defaults to `None`: all values weigh 1.
        vocabulary_size, hash_bins, min_count, max_vocabulary_size, max_keys,
            admission_count, expire_after, num_oov, default, table: as in
            `CategoricalFeature`; `default` stands in for an empty set.
    """

    separator: str = "|"
    max_length: int | None = None
    combiner: str = "mean"
    weights: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_list_options(self)
        if self.weights is not None:
            _check(
                _is_name(self.weights),
                f"Feature '{self.name}': `weights` must name a column, by a non-empty "
                f"printable string without '/'. Received: weights={self.weights!r}",
            )
            _check(
                self.combiner != "max",
                f"Feature '{self.name}' has `weights` and needs the `combiner` 'mean', "
                f"'sum' or 'sqrtn'. Received: combiner='max', weights={self.weights!r}",
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SequenceFeature(_IdFeature):
    """An ordered history of categorical values, oldest first, padded.

    A longer history keeps its most recent `max_length` values.

    Args:
        name: string. Name of the feature.
        max_length: int. Length after padding. Defaults to `50`.
        padding: `"right"` or `"left"`: the side that is filled. Defaults to `"right"`.
        separator: string. Separates the values in a text column. Defaults to `"|"`.
        combiner: how models that read no order pool it. Defaults to `"mean"`.
        vocabulary_size, hash_bins, min_count, max_vocabulary_size, max_keys,
            admission_count, expire_after, num_oov, default, table: as in
            `CategoricalFeature`; `default` stands in for an empty history.
    """

    separator: str = "|"
    max_length: int = 50
    padding: str = "right"
    combiner: str = "mean"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_list_options(self)
        _check_count(self.name, "max_length", self.max_length, 1)
        _check(
            self.padding in ("left", "right"),
            f"Feature '{self.name}': `padding` must be 'left' or 'right'. Received: "
            f"padding={self.padding!r}",
        )


def _check_list_options(feature: MultiValuedFeature | SequenceFeature) -> None:
    if feature.max_length is not None:
        _check_count(feature.name, "max_length", feature.max_length, 1)
    _check(
        isinstance(feature.separator, str) and feature.separator != "",
        f"Feature '{feature.name}': `separator` must be a non-empty string. "
        f"Received: separator={feature.separator!r}",
    )
    _check(
        feature.combiner in COMBINERS,
        f"Feature '{feature.name}': `combiner` must be one of {COMBINERS}. "
        f"Received: combiner={feature.combiner!r}",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class NumericFeature:
    """One number an example.

    Args:
        name: string. Name of the feature.
        transform: `None`, `"log1p"` (sign(x)·log(1+|x|)), `"zscore"`, the tuple
            `("log1p", "zscore")`, or `"quantile"`: the share of the training split that
            lies below x, in 0 … 1, linear between its percentiles; a value that is
            several percentiles stands in their middle. Models in float16, whose numbers
            end at 65,504, need one. Defaults to `None`.
        num_buckets: int. Cut into that many quantile buckets of the training split;
            the feature is then categorical and embedded. Defaults to `None`.
        default: float or `"mean"` (of the training split): the raw value that stands in
            for a missing or non-finite one. Defaults to `None`: 0 after the
            transform (0.5, the median, after `"quantile"`), or a bucket of its own.

    Raises:
        ValueError: for options that contradict each other; the feature is named.
    """

    name: str = dataclasses.field(kw_only=False)
    transform: str | tuple[str, ...] | None = None
    num_buckets: int | None = None
    default: float | str | None = None

    def __post_init__(self) -> None:
        _check_name("feature", self.name)
        if isinstance(self.transform, list):  # as JSON brings it
            object.__setattr__(self, "transform", tuple(self.transform))
        _check(
            self.transforms
            in ((), ("log1p",), ("zscore",), ("log1p", "zscore"), ("quantile",)),
            f"Feature '{self.name}': `transform` must be None, 'log1p', 'zscore', "
            f"('log1p', 'zscore') or 'quantile'. Received: transform="
            f"{self.transform!r}",
        )
        if self.num_buckets is not None:
            _check_count(self.name, "num_buckets", self.num_buckets, 2)
            _check(
                not self.transforms,
                f"Feature '{self.name}': `transform` does not change quantile buckets; "
                f"leave it out beside `num_buckets`. Received: transform="
                f"{self.transform!r}",
            )
        is_number = isinstance(self.default, (int, float)) and not isinstance(
            self.default, bool
        )
        _check(
            self.default is None
            or self.default == "mean"
            or (is_number and abs(float(self.default)) < float("inf")),
            f"Feature '{self.name}': `default` must be a finite number, 'mean' or "
            f"None. Received: default={self.default!r}",
        )

    @property
    def transforms(self) -> tuple[str, ...]:
        """The transforms in the order in which they are applied."""
        if self.transform is None:
            return ()
        if isinstance(self.transform, str):
            return (self.transform,)
        return tuple(self.transform)

    @property
    def dtype(self) -> Literal["float32"]:
        """Type of the raw value in a TFRecord and in a serving request."""
        return "float32"

    @property
    def table_name(self) -> str:
        """The embedding table of a bucketized feature."""
        return self.name

    @property
    def needs_fit(self) -> bool:
        """Whether the training split must be read before the feature can be used."""
        return (
            "zscore" in self.transforms
            or "quantile" in self.transforms
            or self.num_buckets is not None
            or self.default == "mean"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CrossedFeature:
    """The hashed combination of two or more categorical features.

    Args:
        name: string. Name of the feature; no column of the raw data.
        keys: names of the single-valued categorical features that are crossed.
        hash_bins: int. Number of hash buckets.
    """

    name: str = dataclasses.field(kw_only=False)
    keys: tuple[str, ...]
    hash_bins: int

    def __post_init__(self) -> None:
        _check_name("feature", self.name)
        _check(
            not isinstance(self.keys, str),
            f"Feature '{self.name}': `keys` must be a list of names. Received: "
            f"keys={self.keys!r}",
        )
        object.__setattr__(self, "keys", tuple(self.keys))
        _check(
            len(self.keys) >= 2 and len(set(self.keys)) == len(self.keys),
            f"Feature '{self.name}': `keys` must name two or more different features. "
            f"Received: keys={self.keys!r}",
        )
        _check_count(self.name, "hash_bins", self.hash_bins, 1)

    @property
    def table_name(self) -> str:
        """The embedding table of the cross."""
        return self.name


Feature = (
    CategoricalFeature
    | MultiValuedFeature
    | SequenceFeature
    | NumericFeature
    | CrossedFeature
)
FEATURE_TYPES = {
    "categorical": CategoricalFeature,
    "multi_valued": MultiValuedFeature,
    "sequence": SequenceFeature,
    "numeric": NumericFeature,
    "crossed": CrossedFeature,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Label:
    """One target.

    Args:
        name: string. Name of the label; the column of the raw data and the model's
            output.
        task: `"binary"` (0 or 1), `"regression"` (a number), or `"watch_time"`: how
            long an impression was watched, 0 where it was not; the prediction is a
            time in the same unit, whose odds `WeightedLogisticLoss` fits. Defaults
            to `"binary"`.
        sample_weight: string. Column of non-negative example weights for this label.
            Defaults to `None`: all 1.
        optional: bool. The value may be missing: empty or NaN. Such an example does not
            count for this label, in training or in metrics, but for the others it does.
            Where the label that is `given` is 0, a missing value counts as 0.
            Defaults to `False`: a missing value is an error.
        given: string. Another binary label without which this one, binary too, cannot
            be 1: `Label("conversion", given="click")`. An example that contradicts it
            is an error, or a bad row when data are prepared. `esmm` builds on it.
            Defaults to `None`.

    Raises:
        ValueError: for an unknown task, and a `given` that is not binary or the label
            itself.
    """

    name: str = dataclasses.field(kw_only=False)
    task: Task = "binary"
    sample_weight: str | None = None
    optional: bool = False
    given: str | None = None

    def __post_init__(self) -> None:
        _check_name("label", self.name)
        _check(
            self.task in TASKS,
            f"Label '{self.name}': `task` must be one of {TASKS}. Received: "
            f"task={self.task!r}",
        )
        _check(
            isinstance(self.optional, bool),
            f"Label '{self.name}': `optional` must be True or False. Received: "
            f"optional={self.optional!r}",
        )
        _check(
            self.given is None or self.task == "binary",
            f"Label '{self.name}': only a binary label can have `given`. Received: "
            f"given={self.given!r} and task={self.task!r}",
        )


@dataclasses.dataclass(frozen=True)
class Table:
    """An embedding table as the data define it: row 0 padding, then OOV, then values.

    Attributes:
        name: string.
        kind: `"vocabulary"`, `"hash"`, `"identity"`, `"buckets"`, or `"dynamic"` where
            the model learns which value has which row.
        num_oov: int. Rows 1 … num_oov are out of vocabulary.
        num_values: int. Values known, or room for them; `None` while a vocabulary is
            still to be fitted.
    """

    name: str
    kind: str
    num_oov: int
    num_values: int | None

    @property
    def num_rows(self) -> int:
        """Rows of the table, padding and out-of-vocabulary rows included."""
        if self.num_values is None:
            raise ValueError(
                f"Table '{self.name}' is still to be fitted: call "
                "`schema = keras_recs.preprocessing.fit(schema, files, directory)`."
            )
        return 1 + self.num_oov + self.num_values


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of the raw data and its form in a `tf.train.Example`.

    Attributes:
        name: string.
        dtype: `"string"`, `"int64"` or `"float32"`.
        is_list: bool. Any number of values an example, else at most one.
        required: bool. Labels, weights, keys and times must be there; a missing
            feature is left out of the example.
        separator: string. Between the values of a list in a text column.
    """

    name: str
    dtype: str
    is_list: bool = False
    required: bool = False
    separator: str | None = None


@dataclasses.dataclass(frozen=True)
class FittedVocabulary:
    """A vocabulary file: one value a line, most frequent first."""

    path: str
    size: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class FittedNumeric:
    """What was measured of a number on the training split, missing values left out.

    `mean` is of the raw value; `transformed_mean` and `transformed_std` of the value
    after `log1p` where that is applied; `boundaries` cut the quantile buckets, or are
    the percentiles from 0 to 100.
    """

    mean: float
    transformed_mean: float
    transformed_std: float
    minimum: float
    maximum: float
    missing: int = 0
    boundaries: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "boundaries", tuple(self.boundaries))


@dataclasses.dataclass(frozen=True)
class Schema:
    """Features and labels of a data set, and what was fitted to them.

    Args:
        features: list of features; their order is the order of the fields.
        labels: list of `Label`; may be empty for data that is only served.
        group_key: string. Column that groups examples for GAUC, usually the user.
        timestamp: string. Column with the time of the example, in seconds.
        vocabularies: fitted vocabularies by table; filled by `preprocessing.fit`.
        numerics: fitted statistics by feature; filled by `preprocessing.fit`.

    Raises:
        ValueError: for a name given twice, an unknown cross key, or features that
            share a table but not its options; the feature is named.

    Example:
    >>> schema = keras_recs.Schema(
    ...     features=[keras_recs.CategoricalFeature("user_id", min_count=2)],
    ...     labels=[keras_recs.Label("click")],
    ... )
    >>> keras_recs.Schema.from_json(schema.to_json()) == schema
    True
    """

    features: tuple[Feature, ...]
    labels: tuple[Label, ...] = ()
    group_key: str | None = None
    timestamp: str | None = None
    vocabularies: dict[str, FittedVocabulary] = dataclasses.field(default_factory=dict)
    numerics: dict[str, FittedNumeric] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("features", "labels"):
            value = getattr(self, name)
            _check(
                isinstance(value, (list, tuple)),
                f"`{name}` must be a list. Received: {name}={value!r}",
            )
            object.__setattr__(self, name, tuple(value))
        for feature in self.features:
            _check(
                isinstance(feature, tuple(FEATURE_TYPES.values())),
                "`features` must hold keras_recs features such as CategoricalFeature. "
                f"Received: {feature!r}",
            )
        for label in self.labels:
            _check(
                isinstance(label, Label),
                f"`labels` must hold keras_recs.Label. Received: {label!r}",
            )
        _check(bool(self.features), "A Schema needs at least one feature.")
        self._check_names()
        self._check_funnel()
        self._check_weights()
        self._check_value_weights()
        self._check_crosses()
        self._check_tables()

    # === Parts ===

    def __getitem__(self, name: str) -> Feature:
        for feature in self.features:
            if feature.name == name:
                return feature
        raise KeyError(
            f"The schema has no feature '{name}'. It has: "
            f"{[feature.name for feature in self.features]}"
        )

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of all features, crosses included.

        With the columns of `value_weights` they are the keys of the model's inputs.
        """
        return tuple(feature.name for feature in self.features)

    @property
    def value_weights(self) -> dict[str, str]:
        """By feature: the column that weighs its values, where there is one."""
        return {
            feature.name: feature.weights
            for feature in self.features
            if isinstance(feature, MultiValuedFeature) and feature.weights is not None
        }

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of all labels: the keys of the model's outputs."""
        return tuple(label.name for label in self.labels)

    @property
    def tasks(self) -> dict[str, str]:
        """The task of each label by its name, as `PredictionHeads` takes it."""
        return {label.name: label.task for label in self.labels}

    def with_labels(self, names: Any) -> Schema:
        """The schema with some of its labels, such as for a single-task model.

        Args:
            names: names of labels; the order is the schema's. A `given` that is not
                among them is left out.

        Raises:
            ValueError: for a name that is no label, and for none.
        """
        wanted = [names] if isinstance(names, str) else list(names)
        unknown = [name for name in wanted if name not in self.label_names]
        _check(
            bool(wanted) and not unknown,
            f"`names` must be of labels of the schema, {list(self.label_names)}. "
            f"Received: {wanted}",
        )
        labels = tuple(
            label if label.given in wanted else dataclasses.replace(label, given=None)
            for label in self.labels
            if label.name in wanted
        )
        return dataclasses.replace(self, labels=labels)

    @property
    def given(self) -> dict[str, str]:
        """By label: the one without which it cannot be 1, where there is one."""
        return {
            label.name: label.given for label in self.labels if label.given is not None
        }

    @property
    def raw_features(self) -> tuple[Feature, ...]:
        """Features that are columns of the raw data (all but crosses)."""
        return tuple(f for f in self.features if not isinstance(f, CrossedFeature))

    @property
    def id_features(self) -> tuple[Feature, ...]:
        """Features that reach the model as table rows: all but plain numbers."""
        return tuple(
            f
            for f in self.features
            if not isinstance(f, NumericFeature) or f.num_buckets is not None
        )

    @property
    def numeric_features(self) -> tuple[NumericFeature, ...]:
        """Features that reach the model as numbers."""
        return tuple(
            f
            for f in self.features
            if isinstance(f, NumericFeature) and f.num_buckets is None
        )

    @property
    def sequence_features(self) -> tuple[SequenceFeature, ...]:
        """Features that are ordered histories."""
        return tuple(f for f in self.features if isinstance(f, SequenceFeature))

    @property
    def crossed_features(self) -> tuple[CrossedFeature, ...]:
        """Features that are hashed combinations of others."""
        return tuple(f for f in self.features if isinstance(f, CrossedFeature))

    @property
    def request_columns(self) -> dict[str, Column]:
        """Columns of a serving request: raw features and the weights of their values.

        The weights follow their feature.
        """
        columns: dict[str, Column] = {}
        for feature in self.raw_features:
            separator = getattr(feature, "separator", None)
            columns[feature.name] = Column(
                feature.name,
                feature.dtype,  # type: ignore[union-attr]
                is_list=separator is not None,
                separator=separator,
            )
            weights = self.value_weights.get(feature.name)
            if weights is not None:
                columns[weights] = Column(
                    weights, "float32", is_list=True, separator=separator
                )
        return columns

    @property
    def columns(self) -> dict[str, Column]:
        """Columns of the raw data that the schema reads, by name.

        A column may serve twice (a feature that is also the group key); the feature's
        type then holds.
        """
        columns = self.request_columns
        optional = {label.name for label in self.labels if label.optional}
        others = [(label.name, "float32") for label in self.labels]
        others += [(label.sample_weight, "float32") for label in self.labels]  # type: ignore[misc]
        others += [(self.group_key, "string"), (self.timestamp, "int64")]  # type: ignore[list-item]
        for name, dtype in others:
            if name:
                shared = columns.get(name, Column(name, dtype))
                columns[name] = dataclasses.replace(
                    shared, required=name not in optional
                )
        return columns

    # === Tables ===

    @property
    def table_owners(self) -> dict[str, Feature]:
        """By table: the feature whose options define it.

        That is the feature of the table's name or, where there is none, the first that
        uses it.
        """
        owners: dict[str, Feature] = {}
        for feature in self.id_features:
            name = feature.table_name
            if name not in owners or feature.name == name:
                owners[name] = feature
        return owners

    @property
    def tables(self) -> dict[str, Table]:
        """Every embedding table by name."""
        return {name: self._table(name, f) for name, f in self.table_owners.items()}

    def _table(self, name: str, owner: Feature) -> Table:
        if isinstance(owner, CrossedFeature):
            return Table(name, "hash", 1, owner.hash_bins)
        if isinstance(owner, NumericFeature):
            fitted = self.numerics.get(owner.name)
            size = None if fitted is None else len(fitted.boundaries) + 1
            return Table(name, "buckets", 1, size)
        if owner.kind == "identity":
            return Table(name, "identity", owner.num_oov, owner.vocabulary_size)
        if owner.kind == "hash":
            return Table(name, "hash", owner.num_oov, owner.hash_bins)
        if owner.kind == "dynamic":
            return Table(name, "dynamic", owner.num_oov, owner.max_keys)
        vocabulary = self.vocabularies.get(name)
        size = None if vocabulary is None else vocabulary.size
        return Table(name, "vocabulary", owner.num_oov, size)

    def table_fingerprint(self, name: str) -> str:
        """SHA-256 of how raw values become rows of a table; its size does not count.

        Args:
            name: string. Name of a fitted table.
        """
        owner, table = self.table_owners[name], self.tables[name]
        value: list[Any] = [table.kind, table.num_oov]
        if table.kind == "vocabulary":
            value.append(self.vocabularies[name].sha256)
        elif table.kind == "buckets":
            value.append(self.numerics[name].boundaries)
        elif isinstance(owner, CrossedFeature):
            value.append(owner.keys)
        return hashlib.sha256(json.dumps(value).encode()).hexdigest()

    # === Fitting ===

    @property
    def unfitted(self) -> tuple[str, ...]:
        """Features that still need the training split, by name."""
        names = []
        for feature in self.features:
            if isinstance(feature, NumericFeature):
                missing = feature.needs_fit and feature.name not in self.numerics
            elif isinstance(feature, CrossedFeature):
                missing = False
            else:
                owner = self.table_owners[feature.table_name]
                missing = (
                    owner.kind == "vocabulary"  # type: ignore[union-attr]
                    and feature.table_name not in self.vocabularies
                )
            if missing:
                names.append(feature.name)
        return tuple(names)

    @property
    def is_fitted(self) -> bool:
        """Whether models and preprocessing can be built."""
        return not self.unfitted

    def check_fitted(self, user: str) -> None:
        """Raises a `ValueError` that says how to fit, if anything is still unfitted.

        Args:
            user: string. Who asks, for the message.
        """
        if self.unfitted:
            raise ValueError(
                f"{user} needs a fitted schema, but {list(self.unfitted)} are still to "
                "be fitted on the training data: call `schema = "
                "keras_recs.preprocessing.fit(schema, 'train.csv', 'prepared/')`, or "
                "load the schema.json that `python -m pipelines.prepare` wrote."
            )

    # === JSON ===

    def to_json(self, directory: str | os.PathLike | None = None) -> str:
        """The schema as JSON text.

        Args:
            directory: Folder of the JSON file. Vocabulary paths inside it are written
                relative to it, so that the folder can move.
        """
        features = []
        kinds = {kind: name for name, kind in FEATURE_TYPES.items()}
        for feature in self.features:
            features.append(
                {"type": kinds[type(feature)], **_without_defaults(feature)}
            )
        value: dict[str, Any] = {"format": SCHEMA_FORMAT, "features": features}
        value["labels"] = [_without_defaults(label) for label in self.labels]
        for name in ("group_key", "timestamp"):
            if getattr(self, name) is not None:
                value[name] = getattr(self, name)
        fitted = {k: dataclasses.asdict(v) for k, v in self.vocabularies.items()}
        for item in fitted.values():
            item["path"] = _relative_path(item["path"], directory)
        value["vocabularies"] = fitted
        value["numerics"] = {
            name: dataclasses.asdict(item) for name, item in self.numerics.items()
        }
        return json.dumps(value, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, directory: str | os.PathLike | None = None) -> Schema:
        """The schema that `to_json` wrote.

        Args:
            text: string. JSON.
            directory: Folder against which relative vocabulary paths are resolved.

        Raises:
            ValueError: for JSON that is not a schema; the part is named.
        """
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"The schema is not valid JSON: {error}") from error
        _check(
            isinstance(value, dict) and value.get("format") == SCHEMA_FORMAT,
            f'The schema must be a JSON object with "format": {SCHEMA_FORMAT}. '
            f"Received: {str(value)[:80]}",
        )
        known = {field.name for field in dataclasses.fields(cls)} | {"format"}
        unknown = sorted(set(value) - known)
        _check(not unknown, f"The schema has unknown keys: {unknown}")
        features = []
        for number, item in enumerate(value.get("features", [])):
            item = dict(item)
            kind = item.pop("type", None)
            _check(
                kind in FEATURE_TYPES,
                f"Feature number {number} of the schema has an unknown type. Received: "
                f"type={kind!r}; known are {sorted(FEATURE_TYPES)}",
            )
            features.append(_construct(FEATURE_TYPES[kind], item))
        vocabularies = {}
        for name, item in value.get("vocabularies", {}).items():
            if directory is not None:
                item = {**item, "path": str(Path(directory) / item["path"])}
            vocabularies[name] = _construct(FittedVocabulary, item)
        return cls(
            features=tuple(features),
            labels=tuple(_construct(Label, item) for item in value.get("labels", [])),
            group_key=value.get("group_key"),
            timestamp=value.get("timestamp"),
            vocabularies=vocabularies,
            numerics={
                name: _construct(FittedNumeric, item)
                for name, item in value.get("numerics", {}).items()
            },
        )

    def save(self, path: str | os.PathLike) -> None:
        """Writes `schema.json` whole or not at all."""
        path = Path(path)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(self.to_json(path.parent))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Schema:
        """Reads a `schema.json`, or the one in a folder.

        Raises:
            FileNotFoundError: if there is none.
            ValueError: if it is not a schema.
        """
        path = Path(path)
        if path.is_dir():
            path = path / "schema.json"
        if not path.is_file():
            raise FileNotFoundError(
                f"There is no schema at '{path}'. `python -m pipelines.prepare` writes "
                "<output>/schema.json and `python -m pipelines.train` "
                "<workdir>/schema.json."
            )
        return cls.from_json(path.read_text(encoding="utf-8"), path.parent)

    def fingerprint(self) -> str:
        """SHA-256 of features, labels and fitted values; paths do not count."""
        value = json.loads(self.to_json())
        for item in value["vocabularies"].values():
            del item["path"]
        text = json.dumps(value, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    # === Checks ===

    def _check_names(self) -> None:
        names = [*self.feature_names, *self.label_names]
        doubled = sorted({name for name in names if names.count(name) > 1})
        _check(
            not doubled,
            "Names of features and labels must differ from each other. "
            f"Received twice: {doubled}",
        )

        for name in self.label_names if len(self.labels) > 1 else ():
            # Keras names a loss of its own after each of several labels.
            _check(
                re.fullmatch(r"[A-Za-z0-9_.\-]+", name) is not None,
                f"Label '{name}': beside another label, `name` must consist of letters "
                f"without accents, digits, '_', '.' and '-'. Received: name={name!r}",
            )

    def _check_funnel(self) -> None:
        for label, other in self.given.items():
            _check(
                self.tasks.get(other) == "binary",
                f"Label '{label}': `given` must name another binary label. Received: "
                f"given={other!r}; labels are {self.tasks}",
            )
            seen = [label]
            while other in self.given:
                seen.append(other)
                other = self.given[other]
                _check(
                    other not in seen,
                    f"Labels {seen}: `given` leads in a circle. The first label of a "
                    "funnel has none.",
                )
            name = f"{label}_given_{self.given[label]}"
            _check(
                name not in self.label_names,
                f"Label '{name}': the name is that of the probability of '{label}' "
                f"given '{self.given[label]}'. Give the label another one.",
            )

    def _check_weights(self) -> None:
        names = {feature.name: feature for feature in self.features}
        for label in self.labels:
            weight = label.sample_weight
            shared = names.get(weight or "")
            _check(
                weight not in self.label_names
                and (shared is None or isinstance(shared, NumericFeature)),
                f"Label '{label.name}': `sample_weight` must be a column of numbers "
                f"that is no label. Received: sample_weight={weight!r}",
            )

    def _check_value_weights(self) -> None:
        used = [*self.feature_names, *self.label_names, *self.value_weights.values()]
        used += [label.sample_weight or "" for label in self.labels]
        used += [self.group_key or "", self.timestamp or ""]
        for name, weights in self.value_weights.items():
            _check(
                used.count(weights) == 1,
                f"Feature '{name}': `weights` must name a column of its own, which is "
                "no feature, label, sample weight, group key or timestamp, and weighs "
                f"no other feature. Received: weights={weights!r}",
            )

    def _check_crosses(self) -> None:
        names = {f.name: f for f in self.features}
        for cross in self.crossed_features:
            for key in cross.keys:
                _check(
                    isinstance(names.get(key), CategoricalFeature),
                    f"Feature '{cross.name}': `keys` must name CategoricalFeatures of "
                    f"the same schema. Received: '{key}'",
                )

    def _check_tables(self) -> None:
        owners = self.table_owners
        names = {feature.name: feature for feature in self.features}
        users = [feature.table_name for feature in self.id_features]
        features: list[Feature] = []
        for feature in self.features:
            table = getattr(feature, "table_name", "")
            if getattr(feature, "table", None):
                _check(
                    table in names or users.count(table) > 1,
                    f"Feature '{feature.name}': `table` must name a feature of the "
                    "schema, or a table that another feature names too. Received: "
                    f"table='{table}'; there are {list(names)}",
                )
                named = getattr(names.get(table), "table_name", table)
                _check(
                    named == table,
                    f"Feature '{feature.name}': `table` names '{table}', which itself "
                    f"uses table '{named}'. Give table='{named}'.",
                )
            owner = owners.get(table)
            if isinstance(feature, _IdFeature) and owner is not feature:
                feature = _share_table(feature, owner)
            features.append(feature)
        object.__setattr__(self, "features", tuple(features))


def _share_table(feature: Any, owner: Any) -> Any:
    """The feature with the options of the table's owner, which hold for all."""
    _check(
        isinstance(owner, _IdFeature),
        f"Feature '{feature.name}' cannot share table '{feature.table_name}': "
        f"'{owner.name}' is a {type(owner).__name__}.",
    )
    for name, value in feature._table_options().items():
        default = CategoricalFeature.__dataclass_fields__[name].default
        _check(
            value in (default, getattr(owner, name)),
            f"Feature '{feature.name}' shares table '{feature.table_name}', so "
            f"`{name}` belongs to '{owner.name}'; leave it out. Received: "
            f"{name}={value!r}",
        )
    return dataclasses.replace(feature, **owner._table_options())


def _without_defaults(item: Any) -> dict[str, Any]:
    value = {}
    for field in dataclasses.fields(item):
        current = getattr(item, field.name)
        if field.default is dataclasses.MISSING or current != field.default:
            value[field.name] = current
    return value


def _construct(kind: type, item: dict[str, Any]) -> Any:
    known = {field.name for field in dataclasses.fields(kind)}
    unknown = sorted(set(item) - known)
    _check(
        not unknown,
        f"{kind.__name__} '{item.get('name', '')}' of the schema has unknown keys: "
        f"{unknown}; known are {sorted(known)}",
    )
    try:
        return kind(**item)
    except TypeError as error:
        raise ValueError(f"{kind.__name__} of the schema: {error}") from error


def _relative_path(path: str, directory: str | os.PathLike | None) -> str:
    if directory is None:
        return path
    absolute, base = os.path.abspath(path), os.path.abspath(directory)
    if os.path.commonpath([absolute, base]) == base:
        return os.path.relpath(absolute, base)
    return absolute
