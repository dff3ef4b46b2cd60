"""The schema: its checks, its derived parts, and its JSON."""

import dataclasses
import json

import pytest

import keras_recs
from keras_recs import (
    CategoricalFeature,
    CrossedFeature,
    Label,
    MultiValuedFeature,
    NumericFeature,
    Schema,
    SequenceFeature,
)
from keras_recs.schema import Column, FittedNumeric, FittedVocabulary, Table
from tests.harness import run_python
from tests.samples import click_schema, unfitted_schema

LISTS = (MultiValuedFeature, SequenceFeature)
ID_KINDS = (CategoricalFeature, *LISTS)


# === Features: every message ===


@pytest.mark.parametrize("kind", [*ID_KINDS, NumericFeature])
@pytest.mark.parametrize("name", ["", "a/b", "a\nb", 3, None])
def test_name_of_a_feature(kind, name):
    with pytest.raises(
        ValueError, match="`name` of a feature must be a non-empty"
    ) as error:
        kind(name)
    assert f"name={name!r}" in str(error.value)


@pytest.mark.parametrize("kind", ID_KINDS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"vocabulary_size": 3, "hash_bins": 4},
            "'x': give `vocabulary_size` .* or `hash_bins` .* vocabulary_size=3, hash_bins=4",
        ),
        (
            {"vocabulary_size": 0},
            "'x': `vocabulary_size` must be an integer of at least 1",
        ),
        ({"vocabulary_size": 2.0}, "Received: vocabulary_size=2.0"),
        ({"vocabulary_size": True}, "Received: vocabulary_size=True"),
        ({"hash_bins": -1}, "'x': `hash_bins` must be an integer of at least 1"),
        ({"max_vocabulary_size": 0}, "'x': `max_vocabulary_size` must be an integer"),
        ({"min_count": 0}, "'x': `min_count` must be an integer of at least 1"),
        ({"num_oov": 0}, "'x': `num_oov` must be an integer of at least 1"),
        (
            {"hash_bins": 3, "min_count": 2},
            "'x': `min_count` and `max_vocabulary_size`",
        ),
        (
            {"vocabulary_size": 3, "max_vocabulary_size": 2},
            "apply to a fitted vocabulary only",
        ),
        (
            {"vocabulary_size": 3, "max_keys": 4},
            "'x': give .*one of them at most.*vocabulary_size=3.*max_keys=4",
        ),
        ({"hash_bins": 3, "max_keys": 4}, "one of them.*hash_bins=3, max_keys=4"),
        ({"max_keys": 0}, "'x': `max_keys` must be an integer of at least 1"),
        ({"max_keys": 1e6}, "Received: max_keys=1000000.0"),
        (
            {"max_keys": 3, "admission_count": 0},
            "'x': `admission_count` must be an integer of at least 1",
        ),
        (
            {"max_keys": 3, "expire_after": True},
            "'x': `expire_after` must be an integer .* expire_after=True",
        ),
        (
            {"max_keys": 3, "min_count": 2},
            "'x': `min_count` and .* beside `max_keys` give `admission_count`",
        ),
        (
            {"max_keys": 3, "max_vocabulary_size": 2},
            "apply to a fitted vocabulary only",
        ),
        (
            {"admission_count": 2},
            "'x': `admission_count` and `expire_after` .* give `max_keys` with them"
            ".*admission_count=2, expire_after=None, max_keys=None",
        ),
        (
            {"hash_bins": 3, "expire_after": 2},
            "'x': `admission_count` and `expire_after` apply to keys that are learnt",
        ),
        ({"max_keys": 3, "default": 1}, "`default` must be a non-empty string"),
        ({"default": 1}, "'x': `default` must be a non-empty string .* default=1"),
        ({"default": ""}, "`default` must be a non-empty string"),
        ({"vocabulary_size": 3, "default": "a"}, "`default` must be an integer id"),
        ({"vocabulary_size": 3, "default": True}, "`default` must be an integer id"),
        (
            {"vocabulary_size": 3, "default": 3},
            "'x': `default` must be an id from 0 to .* default=3, vocabulary_size=3",
        ),
        ({"vocabulary_size": 3, "default": -1}, "`default` must be an id from 0"),
    ],
)
def test_options_of_an_id_feature(kind, arguments, message):
    with pytest.raises(ValueError, match=message):
        kind("x", **arguments)


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_length": 0}, "'x': `max_length` must be an integer of at least 1"),
        ({"separator": ""}, "'x': `separator` must be a non-empty string"),
        ({"combiner": "avg"}, "'x': `combiner` must be one of .*combiner='avg'"),
    ],
)
def test_options_of_a_list(kind, arguments, message):
    with pytest.raises(ValueError, match=message):
        kind("x", **arguments)


def test_weights_of_a_set():
    for weights in ("", "a/b", 3, True):
        message = f"'x': `weights` must name a column.*weights={weights!r}"
        with pytest.raises(ValueError, match=message):
            MultiValuedFeature("x", weights=weights)
    with pytest.raises(
        ValueError, match=r"'x' has `weights` and needs .*combiner='max', weights='w'"
    ):
        MultiValuedFeature("x", weights="w", combiner="max")
    with pytest.raises(TypeError, match="weights"):
        SequenceFeature("x", weights="w")


@pytest.mark.parametrize("weights", ["x", "n", "y", "sw", "user", "time", "w"])
def test_weights_need_a_column_of_their_own(weights):
    with pytest.raises(
        ValueError, match=f"Feature '[vx]': `weights` must .*own.*weights='{weights}'"
    ):
        Schema(
            features=[
                MultiValuedFeature("v", weights="w"),
                MultiValuedFeature("x", weights=weights),
                NumericFeature("n"),
            ],
            labels=[Label("y", sample_weight="sw")],
            group_key="user",
            timestamp="time",
        )


def test_columns_of_weights():
    schema = Schema(
        features=[
            MultiValuedFeature("a", separator=";", weights="wa", num_oov=2),
            MultiValuedFeature("b", table="a", weights="wb"),
            NumericFeature("n"),
        ],
        labels=[Label("y")],
    )
    assert schema.value_weights == {"a": "wa", "b": "wb"}
    assert schema["b"].num_oov == 2
    assert list(schema.request_columns) == ["a", "wa", "b", "wb", "n"]
    assert schema.request_columns["wa"] == Column(
        "wa", "float32", is_list=True, separator=";"
    )
    assert schema.columns == {
        **schema.request_columns,
        "y": Column("y", "float32", required=True),
    }
    assert Schema.from_json(schema.to_json()) == schema
    plain = Schema(features=[MultiValuedFeature("a")])
    assert "weights" not in plain.to_json(), "what was fitted earlier stays the same"
    other = Schema(features=[MultiValuedFeature("a", weights="wa")])
    assert other.fingerprint() != plain.fingerprint()


def test_options_of_a_sequence():
    with pytest.raises(ValueError, match=r"'x': `padding` must be .*padding='middle'"):
        SequenceFeature("x", padding="middle")
    with pytest.raises(ValueError, match="'x': `max_length` must be an integer"):
        SequenceFeature("x", max_length=None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"transform": "log"},
            "'x': `transform` must be None, 'log1p'.*transform='log'",
        ),
        ({"transform": ("zscore", "log1p")}, "'x': `transform` must be None"),
        ({"transform": ("log1p", "quantile")}, "'x': `transform` must be None"),
        ({"num_buckets": 1}, "'x': `num_buckets` must be an integer of at least 2"),
        ({"num_buckets": 4, "transform": "log1p"}, "leave it out beside `num_buckets`"),
        ({"default": "median"}, "'x': `default` must be a finite number, 'mean'"),
        ({"default": float("nan")}, "`default` must be a finite number"),
        ({"default": float("inf")}, "`default` must be a finite number"),
        ({"default": True}, "`default` must be a finite number"),
    ],
)
def test_options_of_a_number(arguments, message):
    with pytest.raises(ValueError, match=message):
        NumericFeature("x", **arguments)


def test_options_of_a_cross():
    for keys in (("a",), ("a", "a"), ()):
        with pytest.raises(ValueError, match="'x': `keys` must name two or more"):
            CrossedFeature("x", keys=keys, hash_bins=3)
    with pytest.raises(ValueError, match="'x': `hash_bins` must be an integer"):
        CrossedFeature("x", keys=("a", "b"), hash_bins=0)
    assert CrossedFeature("x", keys=["a", "b"], hash_bins=1).keys == ("a", "b")


def test_label():
    with pytest.raises(ValueError, match=r"'y': `task` must be .*task='multiclass'"):
        Label("y", task="multiclass")
    with pytest.raises(ValueError, match="`name` of a label"):
        Label("")


def test_features_are_frozen_and_take_options_by_keyword():
    with pytest.raises(dataclasses.FrozenInstanceError):
        CategoricalFeature("x").name = "y"
    with pytest.raises(TypeError):
        CategoricalFeature("x", 3)


# === Schema: every message ===


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": []}, "needs at least one feature"),
        ({"features": ["x"]}, "`features` must hold keras_recs features.*'x'"),
        ({"features": [Label("x")]}, "`features` must hold keras_recs features"),
        (
            {"features": [CategoricalFeature("x")], "labels": ["y"]},
            "`labels` must hold keras_recs.Label. Received: 'y'",
        ),
        (
            {"features": [CategoricalFeature("x"), NumericFeature("x")]},
            r"Received twice: \['x'\]",
        ),
        (
            {"features": [CategoricalFeature("x")], "labels": [Label("x")]},
            r"Received twice: \['x'\]",
        ),
        (
            {
                "features": [
                    CategoricalFeature("a"),
                    CrossedFeature("c", keys=("a", "b"), hash_bins=2),
                ]
            },
            "'c': `keys` must name CategoricalFeatures .* Received: 'b'",
        ),
        (
            {
                "features": [
                    CategoricalFeature("a"),
                    MultiValuedFeature("b"),
                    CrossedFeature("c", keys=("a", "b"), hash_bins=2),
                ]
            },
            "'c': `keys` must name CategoricalFeatures .* Received: 'b'",
        ),
        (
            {
                "features": [
                    CategoricalFeature("a"),
                    CategoricalFeature("b", table="a", num_oov=3),
                ]
            },
            "'b' shares table 'a', so `num_oov` belongs to 'a'.*num_oov=3",
        ),
        (
            {
                "features": [
                    CategoricalFeature("a", max_keys=9),
                    CategoricalFeature("b", table="a", max_keys=9, expire_after=3),
                ]
            },
            "'b' shares table 'a', so `expire_after` belongs to 'a'.*expire_after=3",
        ),
        (
            {
                "features": [
                    NumericFeature("n", num_buckets=2),
                    CategoricalFeature("b", table="n"),
                ]
            },
            "'b' cannot share table 'n': 'n' is a NumericFeature",
        ),
    ],
)
def test_schema_messages(arguments, message):
    with pytest.raises(ValueError, match=message):
        Schema(**arguments)


def test_unknown_feature():
    schema = Schema(features=[CategoricalFeature("a")])
    assert schema["a"].name == "a"
    with pytest.raises(KeyError, match="no feature 'b'"):
        schema["b"]


def test_an_unfitted_schema_says_how_to_fit():
    schema = unfitted_schema()
    assert schema.unfitted == ("user", "item", "history", "price", "age")
    assert not schema.is_fitted
    with pytest.raises(
        ValueError, match=r"Reader needs a fitted schema.*'user'.*preprocessing.fit"
    ):
        schema.check_fitted("Reader")
    with pytest.raises(ValueError, match="Table 'user' is still to be fitted"):
        schema.tables["user"].num_rows  # noqa: B018


# === Derived parts ===


def test_parts(click_schema):
    schema = click_schema
    names = ["user", "item", "genres", "history", "hour", "price", "age", "user_x_hour"]
    assert list(schema.feature_names) == names
    assert schema.label_names == ("click", "rating")
    assert schema.tasks == {"click": "binary", "rating": "regression"}
    assert [f.name for f in schema.raw_features] == names[:-1]
    assert [f.name for f in schema.numeric_features] == ["price"]
    assert [f.name for f in schema.id_features] == [n for n in names if n != "price"]
    assert [f.name for f in schema.sequence_features] == ["history"]
    assert [f.name for f in schema.crossed_features] == ["user_x_hour"]
    assert schema.is_fitted
    schema.check_fitted("anything")


def test_columns(click_schema):
    assert click_schema.columns == {
        "user": Column("user", "string", required=True),
        "item": Column("item", "string"),
        "genres": Column("genres", "string", is_list=True, separator="|"),
        "history": Column("history", "string", is_list=True, separator="|"),
        "hour": Column("hour", "int64"),
        "price": Column("price", "float32"),
        "age": Column("age", "float32"),
        "click": Column("click", "float32", required=True),
        "rating": Column("rating", "float32", required=True),
        "weight": Column("weight", "float32", required=True),
        "time": Column("time", "int64", required=True),
    }


def test_tables_have_a_padding_row_and_rows_out_of_vocabulary(click_schema):
    assert click_schema.tables == {
        "user": Table("user", "vocabulary", 1, 3),
        "item": Table("item", "vocabulary", 2, 5),
        "genres": Table("genres", "hash", 1, 7),
        "hour": Table("hour", "identity", 1, 24),
        "age": Table("age", "buckets", 1, 3),
        "user_x_hour": Table("user_x_hour", "hash", 1, 11),
    }
    rows = {name: table.num_rows for name, table in click_schema.tables.items()}
    expected = {
        "user": 5,
        "item": 8,
        "genres": 9,
        "hour": 26,
        "age": 5,
        "user_x_hour": 13,
    }
    assert rows == expected


def test_a_shared_table_has_the_options_of_its_owner():
    schema = Schema(
        features=[
            SequenceFeature("history", table="item"),
            CategoricalFeature("item", hash_bins=9, num_oov=2),
        ]
    )
    assert schema.table_owners["item"].name == "item"
    assert schema["history"].hash_bins == 9
    assert schema["history"].num_oov == 2
    # Without a feature of that name the first user is the owner.
    schema = Schema(
        features=[
            CategoricalFeature("home", table="city", vocabulary_size=4),
            CategoricalFeature("work", table="city"),
        ]
    )
    assert schema.table_owners["city"].name == "home"
    assert schema["work"].vocabulary_size == 4
    assert schema.tables["city"].num_rows == 6


def test_a_table_that_grows():
    schema = Schema(
        features=[
            SequenceFeature("history", table="item"),
            CategoricalFeature(
                "item", max_keys=9, admission_count=3, expire_after=5, num_oov=2
            ),
        ]
    )
    assert schema.tables == {"item": Table("item", "dynamic", 2, 9)}
    assert schema.tables["item"].num_rows == 1 + 2 + 9
    assert schema.is_fitted
    history = schema["history"]
    assert (history.max_keys, history.admission_count) == (9, 3)
    assert (history.expire_after, history.num_oov) == (5, 2)


@pytest.mark.parametrize(
    ("feature", "kind", "dtype"),
    [
        (CategoricalFeature("x"), "vocabulary", "string"),
        (CategoricalFeature("x", hash_bins=3), "hash", "string"),
        (CategoricalFeature("x", vocabulary_size=3), "identity", "int64"),
        (SequenceFeature("x", vocabulary_size=3), "identity", "int64"),
        (MultiValuedFeature("x", max_keys=3), "dynamic", "string"),
    ],
)
def test_kind_and_dtype(feature, kind, dtype):
    assert feature.kind == kind
    assert feature.dtype == dtype


@pytest.mark.parametrize(
    ("feature", "transforms", "needs_fit"),
    [
        (NumericFeature("x"), (), False),
        (NumericFeature("x", transform="log1p"), ("log1p",), False),
        (NumericFeature("x", transform="zscore"), ("zscore",), True),
        (NumericFeature("x", transform="quantile"), ("quantile",), True),
        (NumericFeature("x", transform=["log1p", "zscore"]), ("log1p", "zscore"), True),
        (NumericFeature("x", num_buckets=3), (), True),
        (NumericFeature("x", default="mean"), (), True),
        (NumericFeature("x", default=2), (), False),
    ],
)
def test_transforms_and_fit(feature, transforms, needs_fit):
    assert feature.transforms == transforms
    assert feature.needs_fit is needs_fit
    assert Schema(features=[feature]).is_fitted is not needs_fit


# === JSON ===


def test_json_round_trip(click_schema):
    for schema in (click_schema, unfitted_schema()):
        assert Schema.from_json(schema.to_json()) == schema
    options = Schema(
        features=[
            CategoricalFeature("a", min_count=2, max_vocabulary_size=9, default="ä"),
            CategoricalFeature("b", vocabulary_size=3, default=0),
            MultiValuedFeature("c", separator=";", max_length=4, combiner="max"),
            SequenceFeature("d", max_length=7, padding="left", combiner="sum"),
            NumericFeature("e", transform=("log1p", "zscore"), default="mean"),
            NumericFeature("f", default=-1.5),
            CategoricalFeature("g", max_keys=9, admission_count=2, expire_after=3),
            SequenceFeature("h", table="g"),
        ]
    )
    assert Schema.from_json(options.to_json()) == options
    assert "ä" in options.to_json()
    assert "num_oov" not in options.to_json(), "defaults are left out"


def test_a_saved_folder_can_move(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    schema = click_schema(here)
    schema.save(here / "schema.json")
    stored = json.loads((here / "schema.json").read_text())
    assert stored["vocabularies"]["user"]["path"] == "user.txt"
    here.rename(there)
    for path in (there, there / "schema.json", str(there)):
        loaded = Schema.load(path)
        assert loaded.vocabularies["user"].path == str(there / "user.txt")
    assert loaded.fingerprint() == schema.fingerprint()
    assert not list(there.glob(".*")), "no temporary file is left"


def test_a_schema_that_is_not_there(tmp_path):
    for path in (tmp_path, tmp_path / "schema.json"):
        with pytest.raises(FileNotFoundError, match=f"'{tmp_path}"):
            Schema.load(path)


def test_a_vocabulary_elsewhere_keeps_its_path(tmp_path):
    for name in ("here", "run"):
        (tmp_path / name).mkdir()
    schema = click_schema(tmp_path / "here")
    schema.save(tmp_path / "run" / "schema.json")
    assert Schema.load(tmp_path / "run") == schema


def test_fingerprint(click_schema, tmp_path):
    schema = click_schema
    assert schema.fingerprint() == Schema.from_json(schema.to_json()).fingerprint()
    other = dataclasses.replace(schema.vocabularies["user"], path="elsewhere")
    moved = {**schema.vocabularies, "user": other}
    assert (
        dataclasses.replace(schema, vocabularies=moved).fingerprint()
        == schema.fingerprint()
    )
    changed = {**schema.vocabularies, "user": FittedVocabulary("x", 3, "0")}
    for different in (
        dataclasses.replace(schema, vocabularies=changed),
        dataclasses.replace(schema, group_key="item"),
        dataclasses.replace(schema, labels=schema.labels[:1]),
        dataclasses.replace(schema, features=schema.features[::-1]),
    ):
        assert different.fingerprint() != schema.fingerprint()


def test_the_fingerprint_is_that_of_every_process():
    schema = unfitted_schema()
    code = "from tests.samples import unfitted_schema; print(unfitted_schema().fingerprint())"
    done = run_python("-c", code, KERAS_RECS_WITHOUT_KERAS="1")
    assert done.stdout.strip() == schema.fingerprint()


FEATURE = {"type": "categorical", "name": "x"}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{", "not valid JSON"),
        ([], 'a JSON object with "format": 1'),
        ({"format": 2}, 'with "format": 1. Received'),
        ({"format": 1, "colour": 1}, r"unknown keys: \['colour'\]"),
        ({"format": 1, "features": [{"type": "image"}]}, "number 0 .* type='image'"),
        ({"format": 1, "features": [{"name": "x"}]}, "number 0 .* type=None"),
        (
            {"format": 1, "features": [{**FEATURE, "size": 3}]},
            r"CategoricalFeature 'x' .*unknown keys: \['size'\]",
        ),
        (
            {"format": 1, "features": [{"type": "numeric"}]},
            "NumericFeature of the schema",
        ),
        (
            {"format": 1, "features": [{**FEATURE, "num_oov": 0}]},
            "'x': `num_oov` must be",
        ),
        ({"format": 1}, "at least one feature"),
        (
            {"format": 1, "features": [FEATURE], "labels": [{"name": "y", "kind": 1}]},
            "Label 'y' of the schema has unknown keys",
        ),
        (
            {"format": 1, "features": [FEATURE], "numerics": {"x": {"mean": 1.0}}},
            "FittedNumeric of the schema",
        ),
    ],
)
def test_json_that_is_no_schema(value, message):
    text = value if isinstance(value, str) else json.dumps(value)
    with pytest.raises(ValueError, match=message):
        Schema.from_json(text)


def test_fitted_numeric_takes_boundaries_from_json():
    assert FittedNumeric(0, 0, 1, 0, 1, boundaries=[1.0, 2.0]).boundaries == (1.0, 2.0)


def test_package_attributes():
    assert "layers" in dir(keras_recs)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        keras_recs.nothing  # noqa: B018


# === Names of tables ===


def test_a_table_that_nobody_else_names_is_refused():
    with pytest.raises(
        ValueError,
        match=r"'history': `table` must name a feature.*table='itm'.*\['item', 'history'\]",
    ):
        Schema([CategoricalFeature("item"), SequenceFeature("history", table="itm")])
    shared = Schema(
        [CategoricalFeature("a", table="t"), CategoricalFeature("b", table="t")]
    )
    assert list(shared.tables) == ["t"]


def test_a_table_is_named_by_its_own_name():
    features = [
        CategoricalFeature("item"),
        CategoricalFeature("other", table="item"),
        CategoricalFeature("third", table="other"),
    ]
    with pytest.raises(
        ValueError,
        match="'third': `table` names 'other', which itself uses table 'item'",
    ):
        Schema(features)


# === Roles of columns ===


@pytest.mark.parametrize("weight", ["x", "y"])
def test_a_sample_weight_is_a_column_of_numbers_of_its_own(weight):
    with pytest.raises(
        ValueError,
        match=f"'y': `sample_weight` must be a column of numbers.*'{weight}'",
    ):
        Schema([CategoricalFeature("x")], [Label("y", sample_weight=weight)])


def test_lists_are_lists():
    with pytest.raises(ValueError, match="`features` must be a list"):
        Schema(CategoricalFeature("x"))
    with pytest.raises(ValueError, match="`labels` must be a list"):
        Schema([CategoricalFeature("x")], Label("y"))
    with pytest.raises(ValueError, match=r"'c': `keys` must be a list of names.*'ab'"):
        CrossedFeature("c", keys="ab", hash_bins=2)


def test_several_labels_have_names_that_keras_takes():
    with pytest.raises(ValueError, match="'my label': beside another label"):
        Schema([CategoricalFeature("x")], [Label("my label"), Label("z")])
