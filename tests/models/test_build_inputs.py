"""The Keras inputs and table arguments of a schema."""

import pytest

from keras_recs import CategoricalFeature, MultiValuedFeature, Schema, SequenceFeature
from keras_recs.layers import TableConfig
from keras_recs.models.build_inputs import build_inputs, stack_numbers, table_arguments
from tests.samples import unfitted_schema


def test_inputs(click_schema):
    inputs = build_inputs(click_schema)
    assert list(inputs) == list(click_schema.feature_names)
    assert {n: t.shape for n, t in inputs.items()} == {
        "user": (None,),
        "item": (None,),
        "genres": (None, None),
        "history": (None, 3),
        "hour": (None,),
        "price": (None,),
        "age": (None,),
        "user_x_hour": (None,),
    }
    assert {n for n, t in inputs.items() if t.dtype == "float32"} == {"price"}
    assert all(t.dtype == "int32" for n, t in inputs.items() if n != "price")
    assert all(t.name == n for n, t in inputs.items())


def test_a_set_of_known_length():
    schema = Schema(features=[MultiValuedFeature("m", hash_bins=3, max_length=5)])
    assert build_inputs(schema)["m"].shape == (None, 5)


def test_numbers(click_schema):
    inputs = build_inputs(click_schema)
    assert stack_numbers(click_schema, inputs).shape == (None, 1)
    schema = Schema(features=[CategoricalFeature("a", hash_bins=3)])
    assert stack_numbers(schema, build_inputs(schema)) is None


def test_tables(click_schema):
    arguments = table_arguments(click_schema, 4)
    sizes = {"user": 5, "item": 8, "genres": 9, "hour": 26, "age": 5, "user_x_hour": 13}
    assert arguments["tables"] == [
        TableConfig(n, r, 4, fingerprint=click_schema.table_fingerprint(n))
        for n, r in sizes.items()
    ]
    assert arguments["features"] == {
        "user": "user",
        "item": "item",
        "genres": "genres",
        "history": "item",
        "hour": "hour",
        "age": "age",
        "user_x_hour": "user_x_hour",
    }
    assert arguments["combiners"] == {"genres": "sqrtn", "history": "mean"}
    only = table_arguments(click_schema, 2, [click_schema["history"]])
    assert only == {
        "tables": [
            TableConfig(
                "item", 8, 2, fingerprint=click_schema.table_fingerprint("item")
            )
        ],
        "features": {"history": "item"},
        "combiners": {"history": "mean"},
        "value_weights": {},
        "num_shards": 1,
    }


def test_weights_of_values():
    schema = Schema(
        features=[
            MultiValuedFeature("a", hash_bins=3, max_length=5, weights="wa"),
            MultiValuedFeature("b", hash_bins=3, weights="wb"),
            CategoricalFeature("c", hash_bins=3),
        ]
    )
    inputs = build_inputs(schema)
    assert {n: (t.shape, t.dtype) for n, t in inputs.items()} == {
        "a": ((None, 5), "int32"),
        "wa": ((None, 5), "float32"),
        "b": ((None, None), "int32"),
        "wb": ((None, None), "float32"),
        "c": ((None,), "int32"),
    }
    assert table_arguments(schema, 2)["value_weights"] == {"a": "wa", "b": "wb"}
    some = table_arguments(schema, 2, [schema["b"], schema["c"]])
    assert some["value_weights"] == {"b": "wb"}


def test_features_with_a_column_that_is_named_combiner():
    schema = Schema(
        features=[
            CategoricalFeature("combiner", hash_bins=3),
            SequenceFeature("s", table="combiner", combiner="max"),
        ]
    )
    assert table_arguments(schema, 2)["combiners"] == {"s": "max"}


def test_an_unfitted_schema():
    with pytest.raises(ValueError, match="A model needs a fitted schema"):
        build_inputs(unfitted_schema())
