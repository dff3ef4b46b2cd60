"""The tables of a model and those of a schema."""

import keras
import numpy as np
import pytest

from keras_recs import CategoricalFeature, Label, NumericFeature, Schema
from keras_recs.data import array_dataset
from keras_recs.evaluation import evaluate
from keras_recs.export import saved_model
from keras_recs.models import deepfm, logistic_regression
from keras_recs.models.check_tables import check_tables
from keras_recs.schema import FittedNumeric
from keras_recs.training import fit
from tests.samples import write_vocabulary

MESSAGE = r"Table 'item' of model '.*' was built for other values.*\['item'\]"


def schema_of(folder, names):
    folder.mkdir()
    return Schema(
        features=[CategoricalFeature("item")],
        labels=[Label("click")],
        vocabularies={"item": write_vocabulary(folder / "item.txt", names)},
    )


@pytest.fixture
def schemas(tmp_path):
    return [
        schema_of(tmp_path / name, values.split())
        for name, values in {
            "one": "a b c",
            "turned": "c b a",
            "more": "a b c d",
        }.items()
    ]


@pytest.mark.parametrize("builder", [deepfm, logistic_regression])
def test_another_vocabulary(builder, schemas, tmp_path):
    one, turned, more = schemas
    model = builder(one)
    check_tables(model, one)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for other in (turned, more):
        with pytest.raises(ValueError, match=MESSAGE):
            check_tables(loaded, other)


def test_who_looks(schemas, tmp_path):
    """Nothing trains, is measured or is published with rows of other values."""
    one, turned, _ = schemas
    model = deepfm(one, embedding_dim=2, hidden_units=(2,))
    model.compile("sgd", "binary_crossentropy")
    data = {"item": ["a", "b"], "click": np.array([0.0, 1.0])}
    batches = array_dataset(data, turned, 2)
    for use in (
        lambda: fit(model, batches, turned, tmp_path / "run"),
        lambda: evaluate(model, batches, turned),
        lambda: saved_model(model, turned, tmp_path / "export"),
    ):
        with pytest.raises(ValueError, match=MESSAGE):
            use()
    assert not (tmp_path / "run").exists() and not (tmp_path / "export").exists()


def test_other_kinds_and_boundaries():
    """Of one size, but other values have each row."""

    def schema(**options):
        return Schema(
            features=[CategoricalFeature("item", **options)], labels=[Label("click")]
        )

    def buckets(*boundaries):
        fitted = FittedNumeric(0.0, 0.0, 1.0, 0.0, 9.0, 0, boundaries)
        return Schema(
            features=[NumericFeature("item", num_buckets=3)],
            labels=[Label("click")],
            numerics={"item": fitted},
        )

    schemas = [
        schema(vocabulary_size=3),
        schema(hash_bins=3),
        schema(max_keys=3),
        buckets(1.0, 2.0),
        buckets(1.0, 3.0),
    ]
    assert len({s.tables["item"].num_rows for s in schemas}) == 1
    for one in schemas:
        model = deepfm(one, embedding_dim=2, hidden_units=(2,))
        for other in schemas:
            if other is one:
                check_tables(model, other)
                continue
            with pytest.raises(ValueError, match=MESSAGE):
                check_tables(model, other)
